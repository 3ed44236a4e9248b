# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Clients that work on more than the memory holds, for some seconds: that it runs, and finds what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from soak.spilling_worker import Difference, Pattern

RUN = Path(__file__).with_name("spilling.py")


def spilling(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), f"--spill-path={folder}", "--no-fio", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_four_times_the_memory_without_an_error(tmp_path):
    done = spilling(
        tmp_path, "--size=64Mi", "--working-set=256Mi", "--objects=1Mi-8Mi", "--seconds=4"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors, 0 later" in done.stdout
    assert not any(tmp_path.iterdir())


def test_what_is_refused_is_an_error(tmp_path):
    # Each object is larger than the memory.
    done = spilling(tmp_path, "--size=16Mi", "--working-set=64Mi", "--objects=64Mi", "--seconds=1")
    assert done.returncode == 1
    assert "never fits" in done.stderr


def test_a_call_that_does_not_end_is_told_of():
    program = "import time\nfrom soak.spilling_worker import watched\nwith watched(0.05):\n    time.sleep(600)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(RUN.parents[1]), *sys.path])},
    )
    assert done.returncode == 1
    assert "Timeout" in done.stderr


@pytest.mark.parametrize("at", [0, 512, 1000], ids=["first", "page", "within"])
def test_contents_that_differ_are_seen(at):
    pattern = Pattern(1 << 16)
    value = np.array(pattern.fill(2000, seed=7))
    pattern.check(value, 2000, 7, whole=True)
    value[at] ^= np.uint64(1)
    with pytest.raises(Difference):
        pattern.check(value, 2000, 7, whole=True)


def test_the_contents_of_another_are_seen_at_a_glance():
    pattern = Pattern(1 << 16)
    value = np.array(pattern.fill(2000, seed=7))
    with pytest.raises(Difference):
        pattern.check(value, 2000, 8, whole=False)
