# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A short soak: that it runs, and finds what it is made to find."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from vineyard.launching import Instance

from soak.model import Model

RUN = Path(__file__).with_name("run.py")
#: Built by `make test` and `make soak`.
SOAK = RUN.parents[2] / "build/release/tests/vineyard_soak"
needs_soak = pytest.mark.skipif(not SOAK.exists(), reason="vineyard_soak has not been built")


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("size", ["64Mi", "24Mi"], ids=["room", "full"])
def test_nothing_differs(size):
    done = soak("--operations=3000", "--clients=3", "--pause=0.05", "--round=250", f"--size={size}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3000 operations" in done.stdout


def native_soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SOAK), "--operations=20000", "--clients=3", "--round=1000", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@needs_soak
@pytest.mark.parametrize(
    "arguments",
    [
        ["--engine-kills=10", "--client-kills=10"],
        ["--engine-kills=10", "--spill", "--size=48Mi", "--live=64", "--large=300"],
    ],
    ids=["kills", "disk"],
)
def test_nothing_differs_for_clients_in_cpp(arguments):
    done = native_soak("--engine-pause=0.02", "--client-pause=0.02", "--clear=2", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "soak: done" in done.stdout


@needs_soak
def test_an_object_that_goes_behind_their_backs_is_missed():
    done = native_soak("--forget")
    assert done.returncode == 1
    assert "is lost" in done.stderr
    shutil.rmtree(re.search(r"log is in (\S+)", done.stderr)[1])


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
