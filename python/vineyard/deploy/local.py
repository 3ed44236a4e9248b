# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Instances on this machine, started and ended by this process.

>>> from vineyard.deploy.local import start_vineyardd
>>> with start_vineyardd(size="1Gi") as (process, socket, _):  # doctest: +SKIP
...     client = vineyard.connect(socket)
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from vineyard import embedded
from vineyard.client import Client
from vineyard.connecting import connect
from vineyard.errors import NeedsClusterException
from vineyard.launching import Instance

__all__ = ["get_current_socket", "init", "shutdown", "start_vineyardd", "try_init"]


@contextlib.contextmanager
def start_vineyardd(
    meta: str | None = "local",
    etcd_endpoints: Any = None,
    etcd_prefix: str | None = None,
    vineyardd_path: str | None = None,
    size: str | int | None = "",
    socket: str | None = None,
    rpc: bool = False,
    rpc_socket_port: int | None = None,
    debug: bool = False,
    **kwargs: Any,
) -> Iterator[tuple[subprocess.Popen[bytes], str, Any]]:
    """An instance for as long as the ``with`` block runs.

    Parameters
    ----------
    meta : str
        ``"local"``; anything else needs a cluster.
    vineyardd_path : str, optional
    size : str or int, optional
        Memory: ``"8Gi"``, ``"50%"``, bytes.
    socket : str, optional
        Where it shall listen; by default in a new directory.
    rpc : bool
        True needs a cluster: an instance alone listens at its socket only.
    debug : bool
        Whether its log is shown.
    etcd_endpoints, etcd_prefix, rpc_socket_port
        Of clusters; kept for programs that pass them.
    **kwargs
        More flags of vineyardd, by name.

    Yields
    ------
    process : subprocess.Popen
    socket : str
    endpoints : None
        Of the cluster, which there is none of.
    """
    if meta not in (None, "local") or etcd_endpoints:
        raise NeedsClusterException(f"meta={meta!r} needs a cluster: an instance alone has 'local'")
    if rpc:
        raise NeedsClusterException(
            "rpc=True needs a cluster: an instance alone has its socket only"
        )
    instance = Instance.start(
        socket,
        str(size) if size else None,
        exit_with=os.getpid(),
        arguments=[_flag(name, value) for name, value in kwargs.items()],
        program=vineyardd_path,
        quiet=not debug,
    )
    try:
        yield instance.process, instance.socket, None
    finally:
        instance.stop()


def _flag(name: str, value: Any) -> str:
    return f"--{name}={str(value).lower() if isinstance(value, bool) else value}"


def init(**kwargs: Any) -> Client:
    """Starts the private instance of this process (see `vineyard.embedded`) and connects to it."""
    return Client(embedded.ensure_started(), **kwargs)


def try_init(**kwargs: Any) -> Client:
    """Connects to the instance that is configured, or starts the private one."""
    return connect(**kwargs)


def get_current_socket() -> str | None:
    """The socket that child processes will use, if there is one."""
    return os.environ.get("VINEYARD_IPC_SOCKET")


def shutdown(socket: str | None = None) -> None:
    """Ends the private instance, if this process started it (and it listens at `socket`, if given)."""
    embedded.stop(socket)
