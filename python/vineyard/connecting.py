# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Finding the instance: `connect`, and the module-level `put` and `get`.

A socket is looked for in this order, and the first that is named counts:

1. the argument ``socket``
2. the environment variable ``VINEYARD_IPC_SOCKET``
3. the argument ``config``, or ``VINEYARD_CONFIG``: a YAML file, or a directory that holds
   ``vineyard-config.yaml`` or ``vineyard/vineyard-config.yaml``
4. ``/var/run/vineyard-config.yaml``, ``/var/run/vineyard/vineyard-config.yaml``
5. ``/var/run/vineyard.sock``, ``/var/run/vineyard/vineyard.sock``
6. where an instance listens that this user started without naming a socket:
   ``$XDG_RUNTIME_DIR/vineyard/vineyard.sock``, ``~/.local/vineyard/vineyard.sock``

What was named in 1 to 3 is used or fails. With nothing named and nothing found, a private instance
is started for this process and its children (see `embedded`).
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any

from vineyard import _core, settings
from vineyard._core import ObjectID
from vineyard.client import Client
from vineyard.errors import NeedsClusterException
from vineyard.settings import allows_pickle


def connect(
    socket: str | os.PathLike[str] | None = None,
    port: int | str | None = None,
    host: str | None = None,
    endpoint: Any = None,
    rdma_endpoint: Any = None,
    session: Any = None,
    username: str | None = None,
    password: str | None = None,
    config: str | os.PathLike[str] | None = None,
    *,
    timeout: float = 60.0,
    pickle: bool | None = None,
    wait: float = 0.0,
    progress: bool | None = None,
) -> Client:
    """Connects to an instance; without arguments, to the one that this machine is set up for.

    Parameters
    ----------
    socket : path, optional
        The socket of a volume.
    port, host, endpoint, rdma_endpoint, session
        Of instances on other nodes.
    username, password : str, optional
        Not needed: the socket's permissions decide.
    config : path, optional
        A YAML file that has ``IPCSocket: ...`` in a line below ``Vineyard:``, or a directory that
        holds one.
    timeout : float
        Seconds that connecting, and every later call by default, may take.
    pickle : bool, optional
        Whether values without a codec of their own are stored by pickle, and pickles are loaded.
        Pickles run code that their writer chose. By default as the environment (``VINEYARD_PICKLE=allow``
        or ``refuse``) or the configuration file (``Pickle: refuse``) say, else only outside of pods
        of Kubernetes.
    wait : float
        Seconds to wait for an instance to come up at the socket.
    progress : bool, optional
        Whether transfers that last more than a second show a bar, where stderr is a terminal. By
        default yes, unless the environment says ``VINEYARD_PROGRESS=off``.

    Returns
    -------
    Client

    Raises
    ------
    ConnectionFailedException
        Nothing listens at the socket, or no private instance could be started (a ConnectionError).
    NeedsClusterException
        An instance on another node was asked for.
    """
    if port is not None or host is not None or endpoint or rdma_endpoint or session:
        raise NeedsClusterException(
            "connecting to another node needs a cluster: give the path of a socket on this one"
        )
    if socket is not None and _is_endpoint(socket):
        raise NeedsClusterException(
            f"{socket!r} names a host and a port, which needs a cluster: give the path of a socket"
        )
    found = find_socket(socket, config)
    if found is None:
        from vineyard import embedded

        found = embedded.ensure_started()
    pickle = allows_pickle(pickle, _path(config))
    return Client(found, timeout=timeout, pickle=pickle, wait=wait, progress=progress)


def find_socket(
    socket: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> str | None:
    """The socket that `connect` would use; None where it would start a private instance."""
    return _core.find_socket(_path(socket), _path(config), settings.RUN_DIRECTORY)


def _path(given: str | os.PathLike[str] | None) -> str | None:
    return None if given is None else os.fspath(given)


def _is_endpoint(socket: Any) -> bool:
    return isinstance(socket, str) and bool(re.fullmatch(r"[^/\s]+:\d+", socket))


# ---- without a client in hand

_lock = threading.Lock()
_clients: dict[tuple[str, tuple[int, int]], Client] = {}


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # whoever held it is not in this process


os.register_at_fork(after_in_child=_renew_lock)


def _identity(path: str) -> tuple[int, int]:
    """Tells apart the sockets of instances that came one after another at the same path."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def shared_client(socket: str) -> Client:
    """The client of this process for a socket; connects once for each."""
    key = (socket, _identity(socket))
    client = _clients.get(key)
    if client is not None and client.connected:
        return client
    made = Client(socket)  # without the lock: this may wait, and others want other sockets
    with _lock:
        client = _clients.get(key)
        if client is not None and client.connected:
            return client
        for old in [k for k in _clients if k[0] == socket]:
            del _clients[old]
        _clients[key] = made
        return made


def default_client() -> Client:
    socket = find_socket()
    if socket is None:
        from vineyard import embedded

        socket = embedded.ensure_started()
    return shared_client(socket)


def put(
    value: Any,
    builder: Any = None,
    persist: bool = False,
    name: str | None = None,
    **kwargs: Any,
) -> ObjectID:
    """`Client.put` of the instance that `connect` finds; connects once."""
    return default_client().put(value, builder, persist, name, **kwargs)


def get(
    object_id: Any = None,
    name: str | None = None,
    resolver: Any = None,
    fetch: bool = False,
    **kwargs: Any,
) -> Any:
    """`Client.get` of the instance that `connect` finds; connects once."""
    return default_client().get(object_id, name, resolver, fetch, **kwargs)
