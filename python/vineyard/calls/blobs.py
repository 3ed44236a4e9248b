# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Blobs: memory to be filled in place, and sealed bytes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, overload

import numpy as np

from vineyard._core import Blob, BlobBuilder, ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.refs import Calls, Ref, to_id
from vineyard.calls.sharing import addresses, find_stored, note
from vineyard.errors import InvalidException


class BlobCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    @overload
    def create_blob(self, size: SupportsIndex, *, timeout: float | None = None) -> BlobBuilder: ...
    @overload
    def create_blob(
        self, size: Sequence[SupportsIndex], *, timeout: float | None = None
    ) -> list[BlobBuilder]: ...
    def create_blob(
        self, size: SupportsIndex | Sequence[SupportsIndex], *, timeout: float | None = None
    ) -> BlobBuilder | list[BlobBuilder]:
        """Memory of `size` bytes, all zero, to be filled and sealed; a list for a list of sizes.

        Returns
        -------
        BlobBuilder, or a list of them
        """
        if not isinstance(size, SupportsIndex):
            deadline = Deadline(timeout, self._core)
            return [self.create_blob(s, timeout=deadline.left()) for s in size]
        count = operator.index(size)
        if not 0 <= count < 2**63:
            raise InvalidException(f"a blob can't have {count} bytes")
        return self._core.create_blob(count, timeout)

    def _seal(self, builder: BlobBuilder) -> Blob:
        """What ``builder.seal(client)`` calls."""
        blob = self._core.seal(builder)
        note([blob])
        return blob

    def create_empty_blob(self) -> Blob:
        """A blob of no bytes."""
        return self._core.seal(self._core.create_blob(0))

    def get_blob(
        self, object_id: Ref, unsafe: bool = False, *, timeout: float | None = None
    ) -> Blob:
        """A sealed blob."""
        blob = self._core.get_blob(to_id(object_id), timeout)
        note([blob])
        return blob

    def get_blobs(
        self, object_ids: Sequence[Ref], unsafe: bool = False, *, timeout: float | None = None
    ) -> list[Blob]:
        deadline = Deadline(timeout, self._core)
        return [self.get_blob(ref, timeout=deadline.left()) for ref in object_ids]

    def find_shared_memory(self, memory: Any, *, timeout: float | None = None) -> ObjectID | None:
        """The blob of this volume that something lies in.

        Parameters
        ----------
        memory : int, or an object with the buffer protocol
            An address, or an array or other buffer, which must lie in the blob as a whole.

        Returns
        -------
        ObjectID, or None
            None for memory of this process's own. That includes small values (those that `put`
            stores within a record, up to 256 KiB), of which every get makes a copy.
        """
        if isinstance(memory, (int, np.integer)):
            address, size = int(memory), 1
        else:
            address, size = addresses(memory)
        place = find_stored(self._core, address, size, timeout) if size else None
        return None if place is None else place[0].id

    def is_shared_memory(self, memory: Any, *, timeout: float | None = None) -> bool:
        """Whether something lies in a blob of this volume; as `find_shared_memory`."""
        return self.find_shared_memory(memory, timeout=timeout) is not None

    @property
    def allocated_size(self) -> int:
        """Bytes of this volume's live objects and of blobs that are being written."""
        return self._core.status().memory_usage
