# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Starts instances of its own, and finds them by the environment."""

import os
import subprocess
import sys
import tempfile

import vineyard
from vineyard.deploy.local import start_vineyardd

with tempfile.TemporaryDirectory() as directory:
    socket = os.path.join(directory, "vineyard.sock")
    with start_vineyardd(
        meta="local", size="64Mi", socket=socket, rpc=False, rpc_socket_port=9600, debug=False
    ) as (process, found, endpoints):
        assert (process.poll(), found, endpoints) == (None, socket, None)
        with vineyard.envvars("VINEYARD_IPC_SOCKET", socket) as environment:
            assert environment["VINEYARD_IPC_SOCKET"] == vineyard.get_current_socket() == socket
            client = vineyard.connect()
            assert client.connected
            assert client.is_ipc
            assert client.ipc_socket == socket
            assert client.ipc_client.ipc_socket == socket
            assert client.status.instance_id == client.instance_id
            ref = client.put({"x": 1})
            program = "import vineyard, sys; print(vineyard.get(sys.argv[1])['x'])"
            done = subprocess.run(
                [sys.executable, "-c", program, repr(ref)],
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout == "1\n"
            done = subprocess.run(
                [sys.executable, "-m", "vineyard.ctl", "--socket", socket, "status"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert socket in done.stdout or "default" in done.stdout
            fork = client.fork()
            client.close()
            assert not client.connected
            assert fork.get(ref) == {"x": 1}
    assert process.poll() is not None
    with vineyard.envvars({"VINEYARD_IPC_SOCKET": socket, "EXAMPLE": "1"}):
        try:
            vineyard.connect()
        except vineyard.ConnectionFailedException as error:
            assert isinstance(error, ConnectionError)
        else:
            raise AssertionError("nobody listens there any more")
    assert "EXAMPLE" not in os.environ

    # python -m vineyard is the instance's program.
    listening = subprocess.Popen(
        [sys.executable, "-m", "vineyard", "--socket", socket, "--size", "64Mi"],
        stderr=subprocess.DEVNULL,
    )
    try:
        client = vineyard.connect(socket, wait=60)
        assert client.get(client.put(1.25)) == 1.25
    finally:
        listening.terminate()
        listening.wait()

# Without any, connect() starts a private one.
del os.environ["VINEYARD_IPC_SOCKET"]
client = vineyard.connect()
ref = client.put(1024)
assert vineyard.connect().get(ref) == 1024
assert vineyard.get_current_socket() == client.ipc_socket
vineyard.shutdown()
assert vineyard.get_current_socket() is None
assert vineyard.try_init().put(1)
vineyard.shutdown()
