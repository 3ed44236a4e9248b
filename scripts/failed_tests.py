#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Prints what the failed tests of a ctest run have printed, so that it stands last, after thousands of
others that passed.

Usage: failed_tests.py REPORT      REPORT: of `ctest --output-junit`
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

MOST_LINES = 80  # of one test, the last ones


def main(report: str) -> int:
    if not Path(report).exists():
        print(f"no report of a test run at '{report}'", file=sys.stderr)
        return 1
    for case in ET.parse(report).getroot().iter("testcase"):
        if case.get("status") != "fail":
            continue
        lines = (case.findtext("system-out") or "").splitlines()
        print(
            f"\n==== {case.get('name')} failed"
            + (", its last lines:" if len(lines) > MOST_LINES else ":")
        )
        print("\n".join(lines[-MOST_LINES:]))
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
