# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The driver: its result, its bad inputs, and that it leaves nothing behind."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness.instance import Instance, InstanceError, find_vineyardd

FLIGHTS = Path(__file__).resolve().parents[2] / "examples" / "flights"
FILES = "shm_pickle,disk_warm,disk_cold"
OWN = ("vineyard", "vineyard_allocated")
KEYS = {"write_s", "read_s", "compute_s", "total_s", "peak_bytes", "mse"}

# Behaves as a server does from outside: takes the options, listens, ends on SIGTERM.
SERVER = f"""#!{sys.executable}
import socket, sys
path = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--socket="))
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
while True:
    listener.accept()
"""


def leftovers() -> set[Path]:
    return {p for d in ("/dev/shm", "/tmp") for p in Path(d).glob("vineyard-flights-*")}


def vineyard_is_here() -> bool:
    try:
        find_vineyardd()
        importlib.import_module("vineyard.csi")
    except (InstanceError, ImportError):
        return False
    return True


with_vineyard = pytest.mark.skipif(not vineyard_is_here(), reason="vineyard is not built")


@pytest.fixture
def server(tmp_path: Path):
    def make(text: str) -> Path:
        binary = tmp_path / "server"
        binary.write_text(text)
        binary.chmod(0o755)
        return binary

    return make


def test_file_transports_agree_and_the_result_has_every_key(script, tmp_path: Path) -> None:
    before = leftovers()
    done = script("run.py", "--rows", "20k", "--transports", FILES, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rows"] == 20_000
    assert result["bytes"] > 20_000 * 300
    assert result["differences"] == []
    assert set(result["transports"]) == {*OWN, "disk_cold", "disk_warm", "shm_pickle"}
    for name, entry in result["transports"].items():
        assert set(entry) >= KEYS
        assert (entry["mse"] is None) == (name in OWN)
    assert isinstance(result["transports"]["disk_cold"]["caches_dropped"], bool)
    assert (tmp_path / "handover.png").stat().st_size > 10_000
    assert (tmp_path / "handover.svg").read_text().startswith("<?xml")
    assert "\r" not in done.stderr and "\x1b" not in done.stderr
    assert sum("preprocess" in line for line in done.stderr.splitlines()) == 3
    assert leftovers() == before


@with_vineyard
def test_vineyard_agrees_with_pickle_bit_by_bit(script, tmp_path: Path) -> None:
    before = leftovers()
    ways = "vineyard,vineyard_allocated,shm_pickle"
    done = script("run.py", "--rows", "30k", "--transports", ways, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["differences"] == []
    entries = [result["transports"][name] for name in ways.split(",")]
    assert len({entry["mse"] for entry in entries}) == 1
    assert leftovers() == before


@with_vineyard
def test_what_is_read_over_vineyard_reads_flat_and_computes_the_same(script, tmp_path) -> None:
    done = script("scale.py", "--sizes", "1M,20M", "--repeats", 2, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    small, large = json.loads((tmp_path / "scale.json").read_text())["sizes"]
    assert small["identical"] and large["identical"]


@with_vineyard
def test_a_path_in_no_volume_is_one_line(script, one_line, tmp_path: Path) -> None:
    done = script("prepare.py", "--rows", "10", "--output", tmp_path / "flights")
    assert one_line(done).startswith("prepare: ")


def test_rows_come_from_the_environment_too(script, one_line, tmp_path: Path) -> None:
    done = script("run.py", "--output", tmp_path, env={"ROWS": "some"})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "--rows: 'some' is not a positive count (like 336776, 500k or 1.5M)"
    )


def test_an_unknown_transport_is_named(script) -> None:
    done = script("run.py", "--transports", "shm_pickle,pigeon")
    assert done.returncode == 2
    assert "no transport 'pigeon'" in done.stderr.splitlines()[-1]


def test_more_rows_than_fit_are_refused_with_a_number_that_fits(script, tmp_path: Path) -> None:
    done = script("run.py", "--rows", "900G", "--transports", FILES, "--output", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("run: 900000000000 rows hand over")
    assert "fits" in done.stderr.splitlines()[-1]


def test_a_server_that_is_not_there_is_one_line(script, one_line, tmp_path: Path) -> None:
    done = script("run.py", "--vineyardd", tmp_path / "none", "--output", tmp_path)
    assert "there is no vineyardd at" in one_line(done)


def test_a_missing_input_is_one_line(script, one_line, tmp_path: Path) -> None:
    done = script(
        "train.py", "--transport", "disk_warm", "--input", tmp_path, "--model", tmp_path / "model"
    )
    line = one_line(done)
    assert line.startswith(f"train: read {tmp_path}/x_train: FileNotFoundError")


def test_an_instance_runs_for_the_length_of_its_block(server) -> None:
    with Instance(server(SERVER), 2**20, ask=lambda socket: None) as instance:
        volume = instance.volume
        pid = instance._process.pid
        assert (volume / "vineyard.sock").is_socket()
        os.kill(pid, 0)
    assert not volume.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_instance_that_does_not_start_says_why(server) -> None:
    before = leftovers()
    dead = server("#!/bin/sh\necho 'size: 5 is too small' >&2\nexit 3\n")
    with (
        pytest.raises(InstanceError, match="status 3: size: 5 is too small"),
        Instance(dead, 5),
    ):
        pass
    assert leftovers() == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(how: int, tmp_path: Path) -> None:
    before = leftovers()
    command = [sys.executable, FLIGHTS / "run.py", "--rows", "2M", "--transports", FILES]
    run = subprocess.Popen(
        [*command, "--output", tmp_path],
        stderr=subprocess.PIPE,
        text=True,
    )
    for said in run.stderr:
        if "rows" in said:
            break
    time.sleep(0.2)
    run.send_signal(how)
    _, rest = run.communicate()
    assert run.returncode in (130, 143)
    assert "Traceback" not in rest
    assert leftovers() == before
    assert not any(tmp_path.iterdir())
