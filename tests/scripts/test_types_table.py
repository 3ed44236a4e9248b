# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The page about types says what is found when its cases are run."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/types_table.py"

for module in ("pandas", "polars", "pyarrow", "scipy"):
    pytest.importorskip(module)


def test_the_page_is_true():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
