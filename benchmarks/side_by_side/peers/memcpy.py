# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""No system: the copy itself, into memory that was touched before, by as many threads as help."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from side_by_side.peers.peer import Address, CannotDo
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer
from side_by_side.values import copies_of

#: From here on all cores copy.
PARALLEL = 4 << 20


class Server(BaseServer):
    title = "memcpy"
    settings = "np.copyto into touched memory; by all cores from 4 MiB on"
    limit = True
    shared = False


class Client(BaseClient):
    """What is put is copied to the same place again; what is got is the process's own copy."""

    packages = ("numpy",)

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.cores = len(os.sched_getaffinity(0))
        self.threads = ThreadPoolExecutor(self.cores)
        self._memory = np.zeros(0, np.uint8)
        self._own: Any = None

    def prepare(self, value: Any) -> None:
        self._own = value
        try:
            (self.source,) = copies_of(value)
        except TypeError as error:
            raise CannotDo("bytes and arrays alone") from error
        if self._memory.nbytes < self.source.nbytes:
            self._memory = np.ones(self.source.nbytes, np.uint8)

    def put(self, value: Any) -> int:
        size = self.source.nbytes
        copy(self._memory[:size], self.source, self.cores, self.threads)
        return 0

    def get(self, key: int) -> Any:
        return self._own

    def delete(self, keys: Sequence[int]) -> None:
        pass

    def close(self) -> None:
        self.threads.shutdown()


def copy(to: np.ndarray, source: np.ndarray, cores: int, threads: ThreadPoolExecutor) -> None:
    """Copy by as many threads as there are cores, or by this one."""
    if source.nbytes < PARALLEL or cores == 1:
        np.copyto(to, source)
        return
    step = -(-source.nbytes // cores)
    parts = [slice(i, i + step) for i in range(0, source.nbytes, step)]
    for _ in threads.map(lambda part: np.copyto(to[part], source[part]), parts):
        pass
