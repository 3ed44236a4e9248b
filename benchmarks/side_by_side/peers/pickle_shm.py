# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Pickle files on /dev/shm."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

from side_by_side.peers.peer import Address, FileClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "pickle, /dev/shm"
    settings = "protocol 5, a file for each value"
    place = Path("/dev/shm")

    def start(self) -> Address:
        folder = self.place / self.folder.name
        folder.mkdir()
        return {"folder": str(folder)}

    def clean(self) -> None:
        shutil.rmtree(self.place / self.folder.name, ignore_errors=True)


class Client(FileClient):
    packages = ("numpy", "pandas", "pyarrow")

    def put(self, value: Any) -> str:
        path = self.new_path()
        with open(path, "wb") as file:
            pickle.dump(value, file, protocol=5)
        return path

    def get(self, key: str) -> Any:
        with open(key, "rb") as file:
            return pickle.load(file)
