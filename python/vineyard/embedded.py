# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A private instance for this process and its children, where none is configured.

Its socket lies in a directory that only this user may enter, and is exported as
``VINEYARD_IPC_SOCKET``, so that child processes find it. It ends with the process that started it,
however that one ends. ``VINEYARD_SIZE`` bounds its memory, as for every instance.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading

from vineyard.errors import VineyardServerNotReadyException
from vineyard.launching import Instance

_lock = threading.Lock()
_instance: Instance | None = None
_owner = 0


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # whoever held it is not in this process


os.register_at_fork(after_in_child=_after_fork)


def ensure_started() -> str:
    """Starts the private instance unless it runs; returns its socket."""
    global _instance, _owner
    with _lock:
        if _instance is not None and _owner == os.getpid() and _instance.running:
            return _instance.socket
        try:
            instance = Instance.start(exit_with=os.getpid())
        except FileNotFoundError as error:
            raise VineyardServerNotReadyException(
                f"no instance is configured (VINEYARD_IPC_SOCKET names one), and none can be started "
                f"for this process: {error}"
            ) from error
        _instance, _owner = instance, os.getpid()
        os.environ["VINEYARD_IPC_SOCKET"] = instance.socket
        atexit.register(stop)
        print(
            f"vineyard: started a private instance for this process and its children ({instance.socket}); "
            "to share data with others, start vineyardd and set VINEYARD_IPC_SOCKET",
            file=sys.stderr,
        )
        return instance.socket


def stop(socket: str | None = None) -> None:
    """Ends the private instance, if this process started it (and it listens at `socket`, if given)."""
    global _instance
    with _lock:
        if _instance is None or _owner != os.getpid():
            return
        if socket is not None and socket != _instance.socket:
            return
        if os.environ.get("VINEYARD_IPC_SOCKET") == _instance.socket:
            del os.environ["VINEYARD_IPC_SOCKET"]
        with contextlib.suppress(OSError):
            _instance.stop()
        _instance = None
