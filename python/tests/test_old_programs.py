# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Programs written as for v6d's package run as they are, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted(Path(__file__).with_name("old_programs").glob("*.py"))


def test_there_are_programs():
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_program_runs(program, own_instance, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            program,
            *([tmp_path] if program.stem == "volumes" else []),
        ],
        env={
            **os.environ,
            "VINEYARD_IPC_SOCKET": own_instance.socket,
            "VINEYARD_SIZE": "64Mi",
            "TMPDIR": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
