# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`multiprocessing.shared_memory`: one segment for each value; bytes and arrays alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import numpy as np

from side_by_side.peers.peer import Address, CannotDo, Kept
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "shared_memory"
    settings = (
        "multiprocessing.shared_memory, a segment for each value, without its resource tracker"
    )

    def start(self) -> Address:
        return {"prefix": f"{self.folder.name}-"}

    def clean(self) -> None:
        for path in Path("/dev/shm").glob(f"{self.folder.name}-*"):
            path.unlink()


class Client(BaseClient):
    packages = ("numpy",)

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._prefix = f"{address['prefix']}{os.getpid()}-"
        self._next = 0
        self._kept = Kept()
        self._options: dict[str, Any] = {}
        if sys.version_info >= (3, 13):
            self._options = {"track": False}
        else:  # else a reader's end would remove the segment
            resource_tracker.register = lambda *_: None
            resource_tracker.unregister = lambda *_: None

    def _create(self, size: int) -> shared_memory.SharedMemory:
        self._next += 1
        name = f"{self._prefix}{self._next}"
        return shared_memory.SharedMemory(name, create=True, size=size, **self._options)

    def put(self, value: Any) -> Any:
        if type(value) is bytes:
            segment = self._create(len(value))
            segment.buf[: len(value)] = value
            key: Any = (segment.name, None, len(value))
        elif type(value) is np.ndarray:
            segment = self._create(value.nbytes)
            np.copyto(np.ndarray(value.shape, value.dtype, segment.buf), value)
            key = (segment.name, value.dtype.str, value.shape)
        else:
            raise CannotDo("bytes and arrays alone")
        segment.close()
        return key

    def get(self, key: Any) -> Any:
        name, dtype, shape = key
        segment = shared_memory.SharedMemory(name, **self._options)
        if dtype is None:
            value = bytes(segment.buf[:shape])
            segment.close()
            return value
        self._kept.append(segment)
        return np.ndarray(shape, dtype, segment.buf)

    def empty(self, shape: Any, dtype: Any) -> Any:
        raise CannotDo("an array in a segment is shared from its birth; there is no put of it")

    def delete(self, keys: Sequence[Any]) -> None:
        for name, _, _ in keys:
            os.unlink(f"/dev/shm/{name}")

    def forget(self) -> None:
        for segment in self._kept:
            segment.close()
        self._kept.clear()

    def close(self) -> None:
        self.forget()
