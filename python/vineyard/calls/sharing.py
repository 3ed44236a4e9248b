# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Memory of this process that is memory of the store: finding it, and storing it again without a copy.

A put of something that was got before (an array, a view of it, a frame with one column more) refers to
the stored bytes instead of copying them.

Note [What proves that memory is the store's]
An address alone proves nothing: mappings come and go. So what is remembered of mappings here are
hints. The proof is the client's own answer. It maps an extent once, read-only and sealed, for as long
as anybody holds the mapping. If the blob that it gives now lies at the very addresses asked about,
these are its bytes, whatever the hint was made from. Where it lies elsewhere (another client of this
process mapped what is asked about), the kernel says whether both are the same pages of the same file.
A blob of another instance or volume, or one whose mapping has gone, passes neither.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vineyard import _core
from vineyard._core import Blob, ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.errors import ObjectNotExistsException, TypeErrorException
from vineyard.progress import Progress

_MOST = 4096


class _Hints:
    """Where extents were mapped when blobs of them were last seen. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starts: list[int] = []  # sorted
        self._extents: dict[int, tuple[ObjectID, int]] = {}  # start -> (blob, end as far as seen)

    def begin_child(self) -> None:
        """In a forked child: another thread of its parent may have been half-way through a change."""
        self._lock = threading.Lock()
        self._starts = sorted(self._extents)

    def __bool__(self) -> bool:
        return bool(self._extents)

    def add(self, blob: Blob) -> None:
        address = blob.address
        start, end = address - blob.offset, address + blob.size
        known = self._extents.get(start)
        if known is not None and known[1] >= end and known[0] == blob.id:
            return
        with self._lock:
            if start in self._extents:
                known = self._extents[start]
                if known[0] == blob.id:
                    end = max(end, known[1])
            elif len(self._starts) >= _MOST:
                self._forget(next(iter(self._extents)))
            # What was mapped inside of this one before it is gone.
            for gone in self._starts[
                bisect_left(self._starts, start) : bisect_left(self._starts, end)
            ]:
                self._forget(gone)
            self._starts.insert(bisect_left(self._starts, start), start)
            self._extents[start] = (blob.id, end)

    def _forget(self, start: int) -> None:
        self._starts.pop(bisect_left(self._starts, start))
        del self._extents[start]

    def find(self, address: int, size: int) -> tuple[ObjectID, int] | None:
        """The blob that these addresses may lie in, and where in it they begin."""
        with self._lock:
            i = bisect_right(self._starts, address)
            if i == 0:
                return None
            start = self._starts[i - 1]
            blob, end = self._extents[start]
            return (blob, address - start) if address + size <= end else None


_hints = _Hints()
os.register_at_fork(after_in_child=_hints.begin_child)


def note(buffers: Iterable[Any]) -> None:
    """Remembers where the blobs among these lie; for every blob that a client hands out."""
    for buffer in buffers:
        if type(buffer) is Blob and buffer.zero_copy and buffer.size:
            _hints.add(buffer)


def find_stored(
    core: _core.Client, address: int, size: int, timeout: float | None = None
) -> tuple[Blob, int] | None:
    """The blob of the client's volume that lies at these addresses, and where in it they begin: the
    very bytes, not equal ones. See Note [What proves that memory is the store's]."""
    hint = _hints.find(address, size)
    if hint is None:
        return None
    ref, offset = hint
    try:
        blob = core.get_blob(ref, timeout)
    except ObjectNotExistsException:  # deleted, or of another volume
        return None
    if not blob.zero_copy or offset + size > blob.size:
        return None
    if blob.address + offset != address:
        pages = _pages(address, size)
        if not pages or pages != _pages(blob.address + offset, size):
            return None
    return blob, offset


def _pages(address: int, size: int) -> list[tuple[str, str, int, int]]:
    """What the kernel maps at these addresses: (device, inode, place in the file, bytes) of each part;
    nothing if any of it is private to this process."""
    end = address + size
    parts = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            addresses, permissions, offset, device, inode, *_ = line.split(maxsplit=5)
            low, high = (int(text, 16) for text in addresses.split("-"))
            if high <= address or low >= end:
                continue
            if permissions != "r--s" or inode == "0":
                return []
            first, last = max(low, address), min(high, end)
            parts.append((device, inode, int(offset, 16) + first - low, last - first))
    return parts if sum(part[3] for part in parts) == size else []


# ---- storing again


class PutOptions(NamedTuple):
    """What a put is told besides what it stores, in the order of the core's arguments."""

    name: str | None = None
    if_version: int | None = None
    ttl: float | None = None
    linger: float | None = None
    copy: bool | None = None
    progress: Progress | None = None
    durability: str | None = None
    keep: bool = False


NO_OPTIONS = PutOptions()


def store(
    core: _core.Client,
    typename: str,
    metadata: str,
    buffers: Sequence[Any],
    members: dict[str, ObjectID] | None,
    timeout: float | None,
    options: PutOptions = NO_OPTIONS,
) -> ObjectID:
    """A put that refers to the buffers which lie in the store already, and copies the others; all of
    them where ``options.copy`` is True. Memory of `Client.empty` is the core's business."""
    if options.copy is True:
        buffers = [memoryview(b) if type(b) is Blob else b for b in buffers]
    if options.copy is True or not _candidates(core, buffers):
        return core.put(typename, metadata, buffers, members, None, timeout, *options)
    deadline = Deadline(timeout, core)
    referring = refer(core, buffers, deadline)
    try:
        return core.put(typename, metadata, referring, members, None, deadline.left(), *options)
    except ObjectNotExistsException:  # of a member; or of a blob, deleted a moment ago
        if not any(type(buffer) is Blob for buffer in referring):
            raise
    copied = [memoryview(b) if type(b) is Blob else b for b in buffers]
    return core.put(typename, metadata, copied, members, None, deadline.left(), *options)


def refer(core: _core.Client, buffers: Sequence[Any], deadline: Deadline) -> Sequence[Any]:
    """The buffers of a put, with blobs instead of those that lie in the store; the very same list
    where none may.

    A blob may be deleted before the put, which says then that it does not exist.
    """
    for buffer in buffers:
        if type(buffer) is not bytes:
            break
    else:
        return buffers
    candidates = _candidates(core, buffers)
    return _referring(core, buffers, candidates, deadline) if candidates else buffers


# A put of memory that lies elsewhere pays for no more than this, which follows the filling of that memory
# and so finds nothing of its own in the processor's caches: each function more is some microseconds.
def _candidates(core: _core.Client, buffers: Sequence[Any]) -> list[int]:
    candidates = []
    for i, buffer in enumerate(buffers):
        kind = type(buffer)
        if kind is bytes:
            continue
        if kind is Blob:
            if buffer.zero_copy:
                candidates.append(i)
            continue
        # Smaller ones lie in records, which can't be shared.
        nbytes = buffer.nbytes if kind is np.ndarray else memoryview(buffer).nbytes
        if nbytes > core.inline_max and _is_hinted(buffer):
            candidates.append(i)
    return candidates


def _is_hinted(buffer: Any) -> bool:
    owner = _owner(buffer)
    if type(owner) is Blob:
        note([owner])
    return bool(_hints) and _hints.find(*addresses(buffer)) is not None


def _referring(
    core: _core.Client, buffers: Sequence[Any], candidates: list[int], deadline: Deadline
) -> Sequence[Any]:
    """The buffers, with blobs instead of those that lie in the store, and bytes instead of blobs that
    lie in another.

    Of a blob of which less than half would be used, the bytes are copied: they would keep the whole.
    """
    result = list(buffers)
    found: dict[int, tuple[Blob, int, int]] = {}
    used: dict[ObjectID, int] = {}
    for i in candidates:
        buffer = buffers[i]
        note([buffer])
        address, size = addresses(buffer)
        place = find_stored(core, address, size, deadline.left())
        if type(buffer) is Blob:
            result[i] = memoryview(buffer) if place is None else buffer
        elif place is not None:
            blob, offset = place
            found[i] = blob, offset, size
            used[blob.id] = used.get(blob.id, 0) + size
    for i, (blob, offset, size) in found.items():
        if 2 * used[blob.id] >= blob.size:
            result[i] = blob.slice(offset, size)
    return result


def _owner(buffer: Any) -> Any:
    """What numpy arrays and memoryviews were made on, as far as they say."""
    while type(buffer) in (np.ndarray, memoryview):
        owner = buffer.base if type(buffer) is np.ndarray else buffer.obj
        if owner is None:
            break
        buffer = owner
    return buffer


def addresses(memory: Any) -> tuple[int, int]:
    """Address and size of the memory that an array or another buffer, contiguous or not, covers."""
    try:
        array = np.asarray(memoryview(memory) if not isinstance(memory, np.ndarray) else memory)
    except TypeError:
        raise TypeErrorException(
            f"a value of type {type(memory).__name__} is no memory: give an address, or an array or "
            "another object with the buffer protocol"
        ) from None
    if array.size == 0:
        return 0, 0
    first = array.__array_interface__["data"][0]
    spans = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    low = first + sum(span for span in spans if span < 0)
    high = first + sum(span for span in spans if span > 0) + array.itemsize
    return low, high - low
