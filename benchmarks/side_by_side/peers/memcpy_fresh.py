# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""No system: the copy itself, into shared memory that nobody has touched, of huge pages if there are."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from side_by_side.peers import memcpy
from side_by_side.peers.memcpy import copy

_HUGE = 2 << 20


class Server(memcpy.Server):
    title = "memcpy, fresh pages"
    settings = (
        "np.copyto into a new memfd that asks for huge pages, making that included; all cores"
    )


class Client(memcpy.Client):
    def put(self, value: Any) -> int:
        size = self.source.nbytes
        descriptor = os.memfd_create("bench")
        try:
            os.ftruncate(descriptor, max(-(-size // _HUGE) * _HUGE, _HUGE))
            with mmap.mmap(descriptor, max(size, 1)) as memory:
                memory.madvise(mmap.MADV_HUGEPAGE)
                to = np.frombuffer(memory, np.uint8, size)
                copy(to, self.source, self.cores, self.threads)
                del to
        finally:
            os.close(descriptor)
        return 0
