# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""No system: the copy itself, into shared memory that nobody has touched, of huge pages if there are."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from side_by_side.peers import memcpy
from side_by_side.peers.memcpy import copy
from side_by_side.peers.peer import Address

_HUGE = 2 << 20


class Server(memcpy.Server):
    title = "memcpy, fresh pages"
    settings = (
        "np.copyto into a new memfd that asks for huge pages, making that included; all cores"
    )


class Client(memcpy.Client):
    """What is put stays until it is deleted, as in a system: else the next would get its pages."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._there: dict[int, mmap.mmap] = {}
        self._next = 0

    def put(self, value: Any) -> int:
        size = self.source.nbytes
        descriptor = os.memfd_create("bench")
        try:
            os.ftruncate(descriptor, max(-(-size // _HUGE) * _HUGE, _HUGE))
            memory = mmap.mmap(descriptor, max(size, 1))
        finally:
            os.close(descriptor)
        memory.madvise(mmap.MADV_HUGEPAGE)
        copy(np.frombuffer(memory, np.uint8, size), self.source, self.cores, self.threads)
        self._next += 1
        self._there[self._next] = memory
        return self._next

    def delete(self, keys: Sequence[int]) -> None:
        for key in keys:
            del self._there[key]  # unmapped when the copying threads have let go of it, too

    def close(self) -> None:
        self._there.clear()
        super().close()
