# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A short soak: that it runs, and finds what it is made to find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from vineyard.launching import Instance

from soak.model import Model

RUN = Path(__file__).with_name("run.py")


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("size", ["64Mi", "24Mi"], ids=["room", "full"])
def test_nothing_differs(size):
    done = soak("--operations=3000", "--clients=3", "--pause=0.05", "--round=250", f"--size={size}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3000 operations" in done.stdout


def test_a_store_that_forgets_is_found_out(tmp_path):
    # A worker whose log says that it has put what nobody has.
    worker = [sys.executable, "-m", "soak.worker"]
    log = tmp_path / "log"
    log.write_text('["put_named", "0/1", 8, 5]\n["o0000000000000001"]\n')
    instance = Instance.start(size="64Mi", exit_with=os.getpid())
    try:
        done = subprocess.run(
            [*worker, instance.socket, "0", "1", str(log)],
            input="0\n",
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(RUN.parents[1]), *sys.path])},
        )
    finally:
        instance.stop()
    assert done.returncode == 1
    assert "o0000000000000001" in done.stderr


def test_the_model_knows_who_owns_what():
    model = Model()
    model.apply(("put_named", "a", 8, 1), ["x"])
    model.apply(("name", "b", "x"), [])
    model.apply(("drop", "a"), [])
    assert model.names == {"b": ("x", 1)}
    model.apply(("put_named", "b", 8, 2), ["y"])
    assert model.names == {"b": ("y", 2)}
    assert model.gone == ["x"]
    assert list(model.objects) == ["y"]
    model.apply(("put", 8, 3), ["z"])
    model.apply(("name", "c", "z"), [])
    model.apply(("drop", "c"), [])  # nobody's name owned it
    model.apply(("delete", "y"), [])
    assert list(model.objects) == ["z"]
    assert not model.names
