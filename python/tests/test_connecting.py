# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where connect() looks, and what it says when nobody answers."""

import os
import pickle
import socket as sockets
import threading

import pytest
import vineyard
from vineyard import connecting, settings
from vineyard.errors import ConnectionFailedException, InvalidException, NeedsClusterException


@pytest.fixture
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "RUN_DIRECTORY", str(tmp_path / "run"))
    for key in ("VINEYARD_IPC_SOCKET", "VINEYARD_CONFIG", "VINEYARD_RPC_ENDPOINT"):
        monkeypatch.delenv(key, raising=False)
    (tmp_path / "run/vineyard").mkdir(parents=True)
    return tmp_path / "run"


def test_the_first_that_is_named_counts(run_directory, tmp_path, monkeypatch):
    assert connecting.find_socket() is None
    (run_directory / "vineyard/vineyard.sock").touch()
    assert connecting.find_socket() == str(run_directory / "vineyard/vineyard.sock")
    (run_directory / "vineyard.sock").touch()
    assert connecting.find_socket() == str(run_directory / "vineyard.sock")
    (run_directory / "other.sock").touch()
    (run_directory / "vineyard-config.yaml").write_text("Vineyard:\n  IPCSocket: other.sock\n")
    assert connecting.find_socket() == str(run_directory / "other.sock")
    (tmp_path / "vineyard-config.yaml").write_text("Vineyard:\n  IPCSocket: /named/by/config\n")
    monkeypatch.setenv("VINEYARD_CONFIG", str(tmp_path))
    assert connecting.find_socket() == "/named/by/config"
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", "/named/by/environment")
    assert connecting.find_socket() == "/named/by/environment"
    assert connecting.find_socket("/named") == "/named"


def test_an_instance_of_this_user_is_found_last(run_directory, tmp_path, monkeypatch):
    for variable, below in (("HOME", ".local/vineyard"), ("XDG_RUNTIME_DIR", "vineyard")):
        monkeypatch.setenv(variable, str(tmp_path / variable))
        (tmp_path / variable / below).mkdir(parents=True)
        assert not (connecting.find_socket() or "").startswith(str(tmp_path / variable))
        (tmp_path / variable / below / "vineyard.sock").touch()
        assert connecting.find_socket() == str(tmp_path / variable / below / "vineyard.sock")
    (run_directory / "vineyard.sock").touch()
    assert connecting.find_socket() == str(run_directory / "vineyard.sock")


def test_connecting_to_one_socket_holds_up_no_other(socket, tmp_path):
    def wait_for_mute():
        with pytest.raises(vineyard.VineyardException):
            connecting.shared_client(str(tmp_path / "mute.sock"))

    with sockets.socket(sockets.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        waiting = threading.Thread(target=wait_for_mute)
        waiting.start()
        accepted, _ = mute.accept()  # it has connected, and waits for an answer
        assert connecting.shared_client(socket) is connecting.shared_client(socket)
        assert waiting.is_alive()
        accepted.close()
    waiting.join()


@pytest.mark.parametrize(
    "text",
    [
        "Vineyard:\n  IPCSocket: a.sock\n  RPCEndpoint: x:9600,y:9600\n",
        "# comment\nOther:\n  IPCSocket: wrong\nVineyard:\n  RPCEndpoint: h:1\n  IPCSocket: 'a.sock' # c\n",
        'Vineyard:\n    IPCSocket: "a.sock"\n',
        "Vineyard: {RPCEndpoint: 'h:1', IPCSocket: a.sock}",
    ],
)
def test_configurations_are_read(run_directory, tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    assert connecting.find_socket(config=tmp_path / "c.yaml") == str(tmp_path / "a.sock")


def test_a_configured_socket_that_is_gone_is_passed_over(run_directory):
    (run_directory / "vineyard-config.yaml").write_text("Vineyard:\n  IPCSocket: gone.sock\n")
    assert connecting.find_socket() is None


def test_a_configuration_that_was_named_must_be_right(run_directory, tmp_path):
    for config in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(InvalidException, match=r"configuration|vineyard-config"):
            connecting.find_socket(config=config)
    (tmp_path / "c.yaml").write_text("Vineyard:\n  Nothing: here\n")
    with pytest.raises(InvalidException, match="IPCSocket"):
        connecting.find_socket(config=tmp_path / "c.yaml")


def test_only_a_remote_endpoint_needs_a_cluster(run_directory, monkeypatch):
    monkeypatch.setenv("VINEYARD_RPC_ENDPOINT", "h:9600")
    with pytest.raises(NeedsClusterException):
        vineyard.connect()


def test_a_named_socket_where_nobody_listens_is_an_error(tmp_path, monkeypatch):
    absent = str(tmp_path / "absent.sock")
    with pytest.raises(ConnectionFailedException, match="absent"):
        vineyard.connect(absent)
    with pytest.raises(ConnectionError):
        vineyard.connect(absent, wait=0.05)
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", absent)
    with pytest.raises(ConnectionFailedException, match="absent"):
        vineyard.connect()
    (tmp_path / "file.sock").touch()
    with pytest.raises(vineyard.VineyardException):
        vineyard.connect(tmp_path / "file.sock")
    with pytest.raises(vineyard.VineyardException):
        vineyard.connect(tmp_path)
    with pytest.raises(ValueError, match="empty"):
        vineyard.connect("")
    with pytest.raises(vineyard.VineyardException):
        vineyard.connect("/tmp/" + "x" * 200)


def test_a_listener_that_is_no_vineyardd_is_an_error(tmp_path):
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen()
        with pytest.raises(vineyard.VineyardException):
            vineyard.connect(tmp_path / "mute.sock", timeout=0.2)


def test_a_closed_client_says_so(socket):
    client = vineyard.connect(socket)
    assert client.connected
    client.close()
    client.close()
    assert not client.connected
    assert "closed" in repr(client)
    with pytest.raises(vineyard.FailedPreconditionException, match="closed"):
        client.put(1)


def test_a_client_is_a_context_and_a_handle(socket):
    with vineyard.connect(socket) as client:
        ref = client.put(1)
        with client.fork() as other, pickle.loads(pickle.dumps(client)) as third:
            assert other.get(ref) == third.get(ref) == 1
        client.delete(ref)
    assert not client.connected


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_timeouts_that_are_no_times_are_refused(client, socket, timeout):
    with pytest.raises(ValueError, match="timeout"):
        client.put(1, timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        vineyard.connect(socket, timeout=timeout)


def test_endless_timeouts_are_times(client):
    assert client.get(client.put(1, timeout=float("inf")), timeout=1e30) == 1


def test_importing_starts_nothing_and_imports_little(python):
    done = python(
        """
        import sys, threading, numpy
        before = set(sys.modules)
        import vineyard
        for heavy in ("pandas", "pyarrow", "torch", "yaml", "subprocess", "asyncio"):
            assert heavy not in sys.modules or heavy in before, heavy
        assert threading.active_count() == 1
        import os
        assert "VINEYARD_IPC_SOCKET" not in os.environ
        """
    )
    assert done.stdout == done.stderr == ""


def test_every_error_is_a_vineyard_exception_and_says_its_message():
    for name in vineyard.errors.__all__:
        cls = getattr(vineyard, name)
        assert issubclass(cls, vineyard.VineyardException)
        assert str(cls("what happened")) == "what happened"


def test_the_environment_is_left_alone(socket):
    before = dict(os.environ)
    vineyard.connect(socket).close()
    assert dict(os.environ) == before
