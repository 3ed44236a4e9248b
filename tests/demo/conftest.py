# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The demonstration's scripts, importable and runnable, and what they need, checked once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights"
sys.path.insert(0, str(FLIGHTS))

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script() -> Script:
    """Run one of the scripts with arguments, and return how it ended and what it said."""

    def run(name: str, *args: object, env: dict[str, str] | None = None):
        return subprocess.run(
            [sys.executable, str(FLIGHTS / name), *map(str, args)],
            capture_output=True,
            text=True,
            env=os.environ | (env or {}),
            check=False,
        )

    return run


@pytest.fixture
def one_line() -> Callable[[subprocess.CompletedProcess[str]], str]:
    """Check that a script failed with a single line, and return that."""

    def check(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode != 0
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line

    return check
