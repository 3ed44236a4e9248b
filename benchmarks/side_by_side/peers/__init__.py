# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One file for each system: its `Server`, met by the driver, and its `Client`, met by the workers.

The imports of a system's own packages stand in its client alone: the driver has none of them.
"""

from __future__ import annotations

import importlib

from side_by_side.peers.peer import Server

#: In the order of the table; the name is the file's.
NAMES = (
    "ours",
    "v6d",
    "ray",
    "lmdb",
    "redis",
    "shm",
    "pickle_shm",
    "pickle_disk",
    "npy",
    "arrow",
    "memcpy",
    "memcpy_fresh",
)


def server_of(name: str) -> type[Server]:
    """Return the class that starts the system."""
    server: type[Server] = importlib.import_module(f"side_by_side.peers.{name}").Server
    return server
