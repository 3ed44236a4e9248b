# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""With nothing configured, connect() starts a private instance, and ends it."""

import os
import signal
import subprocess
import sys
import time

import pytest
import vineyard
from vineyard.deploy import local
from vineyard.launching import Instance

PROGRAM = """
import os, sys, vineyard
import vineyard.settings as settings
settings.RUN_DIRECTORY = "/absent"
"""


def test_a_private_instance_serves_the_process_and_its_children(python):
    done = python(
        PROGRAM
        + """
import subprocess
client = vineyard.connect()
again = vineyard.connect()
ref = client.put([1, 2], name="x")
assert again.get(ref) == [1, 2]
assert vineyard.get(name="x") == [1, 2]
socket = os.environ["VINEYARD_IPC_SOCKET"]
assert client.ipc_socket == socket
assert os.stat(os.path.dirname(socket)).st_mode & 0o777 == 0o700
child = "import vineyard; assert vineyard.connect().get(name='x') == [1, 2]"
subprocess.run([sys.executable, "-c", child], check=True)
if os.fork() == 0:
    assert vineyard.connect().get(name="x") == [1, 2]
    sys.exit(0)
assert os.wait()[1] == 0
assert client.get(ref) == [1, 2]
print(socket)
"""
    )
    assert done.stderr.count("started a private instance") == 1
    assert done.stderr.count("\n") == 1
    assert not os.path.exists(os.path.dirname(done.stdout.strip()))


def test_it_ends_when_its_process_is_killed(tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PROGRAM + "vineyard.connect(); from vineyard import embedded\n"
            "print(embedded._instance.process.pid, flush=True); sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    daemon = int(process.stdout.readline())
    os.kill(daemon, 0)
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    while _alive(daemon):  # the test's watchdog bounds this
        time.sleep(0.01)
    while any(tmp_path.rglob("*.sock")):
        time.sleep(0.01)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_instance_can_be_started_and_stopped(tmp_path):
    path = str(tmp_path / "my.sock")
    with local.start_vineyardd(size="64Mi", socket=path) as (process, socket, _):
        assert socket == path
        with vineyard.connect(socket) as client:
            assert client.get(client.put(1)) == 1
        with pytest.raises(vineyard.VineyardServerNotReadyException):
            Instance.start(path, "64Mi")  # a live one is never taken over
        assert process.poll() is None
    assert process.poll() == 0
    assert not os.path.exists(path)


def test_an_instance_that_can_not_start_says_why():
    with pytest.raises(vineyard.VineyardServerNotReadyException, match="flagge"):
        Instance.start(arguments=["--flagge=1"])
    with pytest.raises(vineyard.VineyardServerNotReadyException, match="size"):
        Instance.start(size="many")
    with pytest.raises(ConnectionError):
        Instance.start(socket="/absent/directory/x.sock")


@pytest.mark.parametrize("options", [{"meta": "etcd"}, {"rpc": True}])
def test_what_needs_a_cluster_says_so(options):
    with pytest.raises(vineyard.NeedsClusterException), local.start_vineyardd(**options):
        pass


def test_a_program_that_can_not_be_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "program").write_text("")
    for program in ("program", "absent"):
        with pytest.raises(vineyard.VineyardServerNotReadyException, match=program):
            Instance.start(program=str(tmp_path / program))
    assert [path.name for path in tmp_path.iterdir()] == ["program"]


def test_flags_of_vineyardd_are_passed_on():
    with local.start_vineyardd(size="64Mi", deployment="mine", coredump=False) as (_, socket, _):
        assert vineyard.connect(socket).status.deployment == "mine"


def test_a_forked_child_that_leaves_the_block_ends_nothing(python):
    python(
        """
        import os, sys, vineyard
        from vineyard.deploy.local import start_vineyardd
        with start_vineyardd(size="64Mi", huge_pages="off") as (process, socket, _):
            if os.fork() == 0:
                sys.exit(0)
            assert os.wait()[1] == 0
            assert vineyard.connect(socket).get(vineyard.connect(socket).put(1)) == 1
        assert not os.path.exists(os.path.dirname(socket))
        """
    )


def test_only_the_instance_that_was_meant_is_ended(python):
    python(
        PROGRAM
        + """
from vineyard.deploy import local
client = vineyard.connect()
local.shutdown("/some/other.sock")
assert client.get(client.put(1)) == 1
local.shutdown(client.ipc_socket)
assert not os.path.exists(client.ipc_socket)
"""
    )


def test_a_missing_vineyardd_is_a_connection_error(python):
    python(
        PROGRAM
        + """
import vineyard.launching
def absent(name):
    raise FileNotFoundError(f"the program {name} was not found")
vineyard.launching.find_program = absent
try:
    vineyard.connect()
except ConnectionError as error:
    assert "VINEYARD_IPC_SOCKET" in str(error) and "vineyardd was not found" in str(error)
else:
    raise AssertionError
"""
    )


@pytest.mark.parametrize(
    ("module", "says"), [("vineyard", "vineyardd"), ("vineyard.ctl", "vineyardctl")]
)
def test_the_programs_run_as_modules(module, says):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout


def test_ctrl_c_in_the_terminal_does_not_end_the_instance(own_instance, own_client):
    os.kill(os.getpid(), 0)
    assert os.getpgid(own_instance.process.pid) != os.getpgid(0)
    own_instance.process.send_signal(signal.SIGCONT)
    assert own_client.get(own_client.put(1)) == 1
