# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""LMDB on /dev/shm: no server, a database file that all processes map.

Bytes are stored as they are. Other values are pickled, with large buffers apart, so that they are
written once and read where they lie; for that their reading transaction must stay open.
"""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from side_by_side.peers.peer import Address, Kept, pickled
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "LMDB"
    requirements = "bench-lmdb.txt"
    settings = (
        "on /dev/shm; writemap, no sync; bytes raw, else pickle 5 with buffers apart, read in place"
    )

    def start(self) -> Address:
        place = Path("/dev/shm") / self.folder.name
        place.mkdir()
        return {"folder": str(place), "size": self.size + (64 << 20)}

    def clean(self) -> None:
        shutil.rmtree(Path("/dev/shm") / self.folder.name, ignore_errors=True)


class Client(BaseClient):
    imports = ("lmdb",)
    packages = ("lmdb", "numpy", "pandas", "pyarrow")

    def __init__(self, address: Address) -> None:
        import lmdb

        super().__init__(address)
        self._env = lmdb.open(
            address["folder"],
            map_size=address["size"],
            writemap=True,
            sync=False,
            metasync=False,
            map_async=True,
            max_readers=2048,
            readahead=False,
        )
        self._prefix = os.getpid().to_bytes(4)
        self._count = itertools.count(1)
        self._reading = Kept()

    def _new_key(self, kind: bytes) -> bytes:
        return kind + self._prefix + next(self._count).to_bytes(8)

    def put(self, value: Any) -> bytes:
        with self._env.begin(write=True) as txn:
            return self._put(txn, value)

    def _put(self, txn: Any, value: Any) -> bytes:
        if type(value) is bytes:
            key = self._new_key(b"b")
            txn.put(key, value, append=False)
            return key
        data, buffers = pickled(value)
        key = self._new_key(b"p" if not buffers else b"q")
        txn.put(key, len(buffers).to_bytes(4) + data if buffers else data)
        for i, buffer in enumerate(buffers):
            txn.put(key + i.to_bytes(4), buffer.raw())
        return key

    def get(self, key: bytes) -> Any:
        if key[0] == 0x62:
            with self._env.begin() as txn:
                return txn.get(key)
        if key[0] == 0x70:
            with self._env.begin(buffers=True) as txn:
                return pickle.loads(txn.get(key))
        txn = self._env.begin(buffers=True)
        self._reading.append(txn)
        found = txn.get(key)
        buffers = [txn.get(key + i.to_bytes(4)) for i in range(int.from_bytes(found[:4]))]
        return pickle.loads(found[4:], buffers=buffers)

    def put_many(self, values: Sequence[Any]) -> list[bytes]:
        with self._env.begin(write=True) as txn:
            return [self._put(txn, value) for value in values]

    def get_many(self, keys: Sequence[bytes]) -> list[Any]:
        if any(key[0] != 0x62 for key in keys):
            return [self.get(key) for key in keys]
        with self._env.begin() as txn:
            return [txn.get(key) for key in keys]

    def delete(self, keys: Sequence[bytes]) -> None:
        self.forget()
        with self._env.begin(write=True) as txn:
            cursor = txn.cursor()
            for key in keys:
                while cursor.set_range(key) and cursor.key().startswith(key):
                    cursor.delete()

    def list_page(self, limit: int) -> Sequence[Any]:
        with self._env.begin() as txn:
            return list(itertools.islice(txn.cursor().iternext(values=False), limit))

    def forget(self) -> None:
        self._reading.clear()

    def close(self) -> None:
        self._reading.clear()
        self._env.close()
