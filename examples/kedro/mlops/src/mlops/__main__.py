# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""``python -m mlops`` is ``kedro run`` of this project, from its folder."""

from __future__ import annotations

from pathlib import Path

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main() -> None:
    package = Path(__file__).parent.name
    configure_project(package)
    find_run_command(package)()


if __name__ == "__main__":
    main()
