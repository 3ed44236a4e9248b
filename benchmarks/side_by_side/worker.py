# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A worker process: the client of one system, told over a socket which steps to take.

Started as ``python -m side_by_side.worker PEER FD``, in the system's own environment. Over the socket
come ``(step, arguments)``; ``("ok", result)`` or ``("cannot" | "failed", why)`` goes back. It ends when
the socket does.
"""

from __future__ import annotations

import gc
import importlib
import re
import sys
import time
import traceback
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from side_by_side import steps, tasks
from side_by_side.peers.peer import CannotDo, Client
from side_by_side.processes import die_with_parent


def run(client: Client, step: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    """Take one step, and say how it ended."""
    try:
        own = step in ("forward", "spawn", "make_volumes")
        timed = tasks if step == "work" else steps
        take = getattr(client, step) if own else partial(getattr(timed, step), client)
        return "ok", take(**arguments)
    except CannotDo as error:
        return "cannot", str(error)
    except Exception as error:
        traceback.print_exc()
        text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return "failed", re.sub(r" at 0x[0-9a-f]+", "", text)  # differs from run to run
    finally:
        gc.collect()


def main() -> int:
    die_with_parent()
    peer, descriptor = sys.argv[1:]
    connection = Connection(int(descriptor))
    client: Client | None = None
    try:
        try:
            address = connection.recv()
            kind = importlib.import_module(f"side_by_side.peers.{peer}").Client
            for module in kind.imports:
                importlib.import_module(module)
            begin = time.perf_counter()
            client = kind(address)
            taken = time.perf_counter() - begin
            connection.send(("ok", (taken, client.versions())))
        except Exception as error:
            traceback.print_exc()
            connection.send(("failed", f"{type(error).__name__}: {error}"))
            return 1
        while True:
            step, arguments = connection.recv()
            connection.send(run(client, step, arguments))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return 0
    finally:
        if client is not None:
            client.close()


if __name__ == "__main__":
    sys.exit(main())
