# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Running systems: their environments, their processes, and what goes wrong with them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from side_by_side import environments, processes
from side_by_side.measuring import System
from side_by_side.peers.peer import CannotDo, NotToBeHad
from side_by_side.session import Failed, Session


@pytest.fixture
def session(tmp_path, monkeypatch):
    """Pickle files, up, with a producer and a consumer."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with System.of("pickle_shm").start(1 << 20) as session:
        yield session


def test_a_worker_that_ends_is_a_failure_of_the_row_and_of_those_after(session):
    _, keys = session.producer.run("put", value="bytes:10", count=1)
    assert session.consumer.run("verify", keys=keys, value="bytes:10")
    os.kill(session.consumer.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(Failed, match="its process ended"):
            session.consumer.run("verify", keys=keys, value="bytes:10")
    assert session.producer.run("put", value="bytes:10", count=1)


def test_a_step_that_does_not_end_is_given_up_with_its_process(session, monkeypatch):
    monkeypatch.setattr("side_by_side.session.PATIENCE", 0.01)
    with pytest.raises(Failed, match="no answer"):
        session.producer.run("put", value="bytes:10", count=1, pause=1000)
    with pytest.raises(Failed, match="its process ended"):
        session.producer.run("put", value="bytes:10", count=1)


def test_an_end_that_is_interrupted_can_be_repeated(session, tmp_path, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(session.consumer, "stop", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.stop()
    assert session in Session.running
    session.stop()
    assert session not in Session.running
    assert list(tmp_path.glob("vybench-*")) == []
    session.stop()


def test_a_system_whose_turn_it_is_not_stands_still(session):
    def states():
        pids = processes.descendants(session._roots())
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in pids]
        return {stat.rpartition(")")[2].split()[0] for stat in stats}

    session.freeze()
    while states() != {"T"}:  # a signal takes its time
        pass
    session.thaw()
    assert session.producer.run("put", value="bytes:10", count=1)


def test_what_goes_wrong_in_a_step_is_said(session):
    with pytest.raises(Failed, match="FileNotFoundError"):
        session.consumer.run("verify", keys=["/nowhere/at/all"], value="bytes:10")
    with pytest.raises(CannotDo, match="no list"):
        session.consumer.run("listing", limit=1, repeat=1)


def test_a_server_that_does_not_come_up_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    system = System.of("ours")
    with pytest.raises(NotToBeHad, match=r"did not start: .*size"):
        system.start(-1)
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_can_not_be_installed_is_not_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wanted = tmp_path / "peer.txt"
    wanted.write_text("numpy==2.4.6\n")
    for _ in range(2):  # what was made halfway is not taken for whole
        with pytest.raises(NotToBeHad, match=r"could not be installed: .*numpy"):
            environments.installed("peer", wanted)


def test_what_is_measured_keeps_what_python_compiles(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KEPT", "1")
    given = processes.environment({"MORE": "2"})
    assert (given["PYTHONDONTWRITEBYTECODE"], given["KEPT"], given["MORE"]) == ("", "1", "2")
    code = "import sys; print(sys.dont_write_bytecode)"
    said = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True)
    assert said.stdout == "False\n"


def test_stopped_processes_and_their_children_are_ended():
    shell = subprocess.Popen(
        ["sh", "-c", "sleep 1000 & sleep 1000 & echo up; wait"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert shell.stdout.readline() == "up\n"
    family_of = processes.descendants([shell.pid])
    assert len(family_of) == 3
    processes.freeze([shell.pid])
    processes.end([shell.pid])
    assert processes.descendants([shell.pid]) == [shell.pid]
    assert not any(processes._runs(pid) for pid in family_of)
    shell.stdout.close()
    shell.wait()
