# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Redis over a unix socket. Bytes as they are, other values as pickles."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
from collections.abc import Sequence
from typing import Any

from side_by_side.peers.peer import Address, NotToBeHad
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "Redis"
    requirements = "bench-redis.txt"
    settings = "unix socket, hiredis parser, no snapshots, no log; bytes raw, else pickle 5"

    def start(self) -> Address:
        # Debian's redis-tools brings the program under the name of its checking tool, without the
        # service that the package redis-server would start.
        program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
        if program is None:
            raise NotToBeHad("neither redis-server nor Debian's redis-tools is installed")
        socket = self.folder / "redis.sock"
        command = (
            f"redis-server --port 0 --unixsocket {socket} --appendonly no"
            f" --proto-max-bulk-len {8 << 30} --client-query-buffer-limit {8 << 30}"
        )
        self.launch([*command.split(), "--save", ""], executable=program)
        self.wait_for(socket.exists, "redis-server")
        return {"socket": str(socket)}


class Client(BaseClient):
    imports = ("redis",)
    packages = ("redis", "hiredis", "numpy", "pandas", "pyarrow")

    def __init__(self, address: Address) -> None:
        import redis

        super().__init__(address)
        self._redis = redis.Redis(unix_socket_path=address["socket"])
        self._redis.ping()
        self._prefix = os.getpid().to_bytes(4)
        self._count = itertools.count(1)

    def _encoded(self, value: Any) -> tuple[bytes, bytes]:
        number = self._prefix + next(self._count).to_bytes(8)
        if type(value) is bytes:
            return b"b" + number, value
        return b"p" + number, pickle.dumps(value, protocol=5)

    def put(self, value: Any) -> bytes:
        key, data = self._encoded(value)
        self._redis.set(key, data)
        return key

    def get(self, key: bytes) -> Any:
        data = self._redis.get(key)
        return data if key[0] == 0x62 else pickle.loads(data)

    def put_many(self, values: Sequence[Any]) -> list[bytes]:
        pairs = [self._encoded(value) for value in values]
        self._redis.mset(dict(pairs))
        return [key for key, _ in pairs]

    def get_many(self, keys: Sequence[bytes]) -> list[Any]:
        found = self._redis.mget(keys)
        return [d if k[0] == 0x62 else pickle.loads(d) for k, d in zip(keys, found, strict=True)]

    def delete(self, keys: Sequence[bytes]) -> None:
        for first in range(0, len(keys), 10_000):
            self._redis.delete(*keys[first : first + 10_000])

    def list_page(self, limit: int) -> Sequence[Any]:
        found: list[Any] = []
        cursor: Any = 0
        while len(found) < limit:
            cursor, part = self._redis.scan(cursor, count=limit - len(found))
            found += part
            if not cursor:
                break
        return found[:limit]

    def versions(self) -> dict[str, str]:
        return super().versions() | {"redis-server": self._redis.info("server")["redis_version"]}

    def close(self) -> None:
        self._redis.close()
