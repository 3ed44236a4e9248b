# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`np.save` on /dev/shm, read by `np.load` with a mapping; arrays alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from side_by_side.peers.peer import CannotDo, FileClient
from side_by_side.peers.pickle_shm import Server as ShmServer


class Server(ShmServer):
    title = "np.save + mmap"
    settings = "files on /dev/shm, np.load(mmap_mode='r')"


class Client(FileClient):
    packages = ("numpy",)

    def put(self, value: Any) -> str:
        if type(value) is not np.ndarray:
            raise CannotDo("arrays alone")
        path = self.new_path() + ".npy"
        np.save(path, value)
        return path

    def get(self, key: str) -> Any:
        return np.load(key, mmap_mode="r")
