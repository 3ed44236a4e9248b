# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The nodes of Arrow arrays, for a put. What they look like: see `arrow_arrays`, which reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from vineyard.codecs.arrow_arrays import (
    BINARIES,
    LIST_VIEWS,
    LISTS,
    MAX_LENGTH,
    VIEWS,
    WIDTHS,
    Node,
)
from vineyard.codecs.arrow_types import RUN_ENDS
from vineyard.codecs.tree import Encoder, refuse

#: A view's bytes stand in the view itself up to this length.
_INLINE_VIEW = 12


class ArrayWriter:
    """Writes arrays; a buffer that several of the value's arrays share is stored once."""

    __slots__ = ("_encoder", "_seen")

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._seen: dict[tuple[int, int], int] = encoder.memo.setdefault("arrow buffers", {})

    def node(self, array: pa.Array) -> Node:
        """The node of any array."""
        t = array.type
        while isinstance(t, pa.BaseExtensionType):
            array = array.storage
            t = array.type
        write = _WRITERS.get(t.id)
        if write is None:
            refuse(array, f"the Arrow type {t} has no codec")
        return write(self, array, array.offset, len(array))

    def add(self, buffer: pa.Buffer | None, start: int, size: int) -> int | None:
        """Stores a part of a buffer; None where that is empty."""
        if size == 0 or buffer is None:
            return None
        if not buffer.is_cpu:
            refuse(buffer, "it lies in the memory of a device; copy it to the host first")
        key = (buffer.address + start, size)
        index = self._seen.get(key)
        if index is None:
            if start or size != buffer.size:
                buffer = buffer.slice(start, size)
            index = self._seen[key] = self._encoder.buffer(buffer)  # which keeps the address ours
        return index

    def add_numpy(self, array: np.ndarray[Any, Any]) -> int | None:
        """Stores the bytes of an array that was made for the purpose."""
        return self._encoder.buffer(np.ascontiguousarray(array)) if array.size else None

    def bits(self, bitmap: pa.Buffer, offset: int, length: int) -> int | None:
        """Stores a part of a bitmap; copied where that does not begin with a byte."""
        if offset % 8:
            part = pa.Array.from_buffers(pa.bool_(), length, [None, bitmap], 0, offset)
            bitmap = pa.concat_arrays([part, part.slice(0, 0)]).buffers()[1]  # compacts
            offset = 0
        return self.add(bitmap, offset // 8, (length + 7) // 8)

    def head(self, array: pa.Array, buffers: list[pa.Buffer]) -> tuple[Node, list[int | None]]:
        """A node with the validity of an array."""
        node: Node = {"length_": len(array)}
        stored: list[int | None] = [None]
        node["buffers_"] = stored
        if buffers[0] is not None:
            nulls = array.null_count
            if nulls:
                node["null_count_"] = nulls
                stored[0] = self.bits(buffers[0], array.offset, len(array))
        return node, stored


def _write_null(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    return {"length_": length, "null_count_": length, "buffers_": []}


def _write_bool(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    stored.append(writer.bits(buffers[1], offset, length) if length else None)
    return node


def _write_fixed(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    width = WIDTHS.get(array.type.id) or array.type.byte_width
    stored.append(writer.add(buffers[1], offset * width, length * width))
    return node


def _write_dictionary(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    width = array.type.index_type.bit_width // 8
    stored.append(writer.add(buffers[1], offset * width, length * width))
    node["dictionary_"] = writer.node(array.dictionary)
    return node


def _write_offsets(
    writer: ArrayWriter, offsets: Any, large: bool, offset: int, length: int
) -> tuple[int | None, int, int]:
    """The stored offsets, counted from the first of them; that one and the last."""
    if length == 0:
        return None, 0, 0
    letter, width = ("q", 8) if large else ("i", 4)
    (first,) = struct.unpack_from(letter, offsets, offset * width)
    (last,) = struct.unpack_from(letter, offsets, (offset + length) * width)
    if first == 0:
        return writer.add(offsets, offset * width, (length + 1) * width), first, last
    own = np.frombuffer(offsets, letter, length + 1, offset * width)
    return writer.add_numpy(own - own[0]), first, last


def _write_binary(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    large = BINARIES[array.type.id]
    index, first, last = _write_offsets(writer, buffers[1], large, offset, length)
    stored.append(index)
    stored.append(writer.add(buffers[2], first, last - first))
    return node


def _write_list(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    large = LISTS[array.type.id]
    index, first, last = _write_offsets(writer, buffers[1], large, offset, length)
    stored.append(index)
    node["children_"] = [writer.node(array.values.slice(first, last - first))]
    return node


def _write_list_view(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    letter, width = ("q", 8) if LIST_VIEWS[array.type.id] else ("i", 4)
    values = array.values
    if length == 0:
        node["children_"] = [writer.node(values.slice(0, 0))]
        stored.extend((None, None))
        return node
    starts = np.frombuffer(buffers[1], letter, length, offset * width)
    sizes = np.frombuffer(buffers[2], letter, length, offset * width)
    low, high, used = _range_of(starts, sizes)
    if low == 0 and high == len(values):
        stored.append(writer.add(buffers[1], offset * width, length * width))
        stored.append(writer.add(buffers[2], offset * width, length * width))
    else:
        gathered = _gathered(values, starts, sizes) if used < (high - low) // 2 else None
        if gathered is None:
            values = values.slice(low, high - low)
            starts = np.where(sizes > 0, starts - low, 0)
        else:
            values, starts = gathered
        stored.append(writer.add_numpy(starts.astype(letter)))
        stored.append(writer.add_numpy(sizes))
    node["children_"] = [writer.node(values)]
    return node


def _range_of(starts: Any, sizes: Any) -> tuple[int, int, int]:
    """Where the first of some ranges begins, where the last ends, and the sum of their sizes."""
    filled = sizes > 0
    if not filled.any():
        return 0, 0, 0
    starts = starts[filled].astype(np.int64)
    sizes = sizes[filled]
    return int(starts.min()), int((starts + sizes).max()), int(sizes.sum(dtype=np.int64))


def _gathered(values: pa.Array, starts: Any, sizes: Any) -> tuple[pa.Array, Any] | None:
    """The values that some ranges of them use, one range after the other, and the new starts."""
    ends = sizes.cumsum(dtype=np.int64)
    moved = ends - sizes
    indexes = np.repeat(starts - moved, sizes) + np.arange(ends[-1])
    try:
        return values.take(pa.array(indexes)), moved
    except pa.ArrowNotImplementedError:
        return None


def _write_fixed_list(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    node, _ = writer.head(array, array.buffers())
    size = array.type.list_size
    node["children_"] = [writer.node(array.values.slice(offset * size, length * size))]
    return node


def _write_struct(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    node, _ = writer.head(array, array.buffers())
    node["children_"] = [writer.node(array.field(i)) for i in range(array.type.num_fields)]
    return node


def _write_sparse_union(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    codes = array.buffers()[1]
    children = [writer.node(array.field(i)) for i in range(array.type.num_fields)]
    return {
        "length_": length,
        "buffers_": [writer.add(codes, offset, length)],
        "children_": children,
    }


def _write_dense_union(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    children = [array.field(i) for i in range(array.type.num_fields)]
    codes = starts = np.empty(0, "i")
    if length:
        codes = np.frombuffer(buffers[1], "b", length, offset)
        starts = np.frombuffer(buffers[2], "i", length, offset * 4)
    rebased = starts
    for i, code in enumerate(array.type.type_codes):
        mine = codes == code
        low, high, _ = _range_of(starts[mine], np.ones(int(mine.sum()), "i"))
        if low:
            rebased = rebased - np.where(mine, np.int32(low), np.int32(0))
        children[i] = children[i].slice(low, high - low)
    same = rebased is starts
    return {
        "length_": length,
        "buffers_": [
            writer.add(buffers[1], offset, length),
            writer.add(buffers[2], offset * 4, length * 4) if same else writer.add_numpy(rebased),
        ],
        "children_": [writer.node(child) for child in children],
    }


def _write_run_ends(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    first = array.find_physical_offset()
    count = array.find_physical_length()
    ends = array.run_ends.slice(first, count)
    if offset:
        counted = ends.to_numpy(zero_copy_only=True) - offset
        ends = pa.array(np.minimum(counted, length).astype(counted.dtype), ends.type)
    return {
        "length_": length,
        "buffers_": [],
        "children_": [writer.node(ends), writer.node(array.values.slice(first, count))],
    }


def _write_view(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    data = buffers[2:]
    used = _UsedData(array, offset, length, stored[0] is not None) if data and length else None
    if used is None:
        ends = []
    elif used.bytes >= sum(b.size for b in data):
        ends = [b.size for b in data]
    else:
        used.find_ranges()
        if used.bytes < used.span // 2:  # worth a copy of what is used
            dense = _dense_views(array)
            if dense is not None:
                return _write_view(writer, dense, 0, length)
        if used.is_worth_moving():
            stored.append(writer.add_numpy(used.moved()))
            for buffer, low, high in zip(data, used.low, used.high, strict=True):
                if high > low:
                    stored.append(writer.add(buffer, int(low), int(high - low)))
            return node
        ends = used.high.tolist()
    stored.append(writer.add(buffers[1], offset * 16, length * 16))
    stored.extend(writer.add(b, 0, end) for b, end in zip(data, ends, strict=False))
    return node


def _dense_views(array: pa.Array) -> pa.Array | None:
    """The same views, of bytes that all are used; None where one buffer can't hold those."""
    large = pa.large_string() if array.type == pa.string_view() else pa.large_binary()
    dense = array.cast(large)
    data = dense.buffers()[2]
    return dense.cast(array.type) if data is None or data.size < 2**31 else None


class _UsedData:
    """Which bytes of its data buffers an array of views uses.

    The ranges that `find_ranges` finds are ``low`` and ``high``, one pair per buffer.
    """

    def __init__(self, array: pa.Array, offset: int, length: int, has_nulls: bool) -> None:
        buffers = array.buffers()
        views = np.frombuffer(buffers[1], "i", length * 4, offset * 16)
        self.views = views.reshape(length, 4)
        self.buffers = len(buffers) - 2
        self.long = self.views[:, 0] > _INLINE_VIEW
        self.odd = np.zeros(length, bool)  # nulls, whose views may say anything
        if has_nulls:
            self.odd = self.long & ~array.is_valid().to_numpy(zero_copy_only=False)
            self.long &= ~self.odd
        self.sizes, self.which, self.starts = self.views[self.long][:, (0, 2, 3)].T.astype("q")
        self.bytes = int(self.sizes.sum())

    def find_ranges(self) -> None:
        self.low = np.full(self.buffers, MAX_LENGTH)
        self.high = np.zeros(self.buffers, "q")
        np.minimum.at(self.low, self.which, self.starts)
        np.maximum.at(self.high, self.which, self.starts + self.sizes)
        self.low = np.minimum(self.low, self.high)
        self.span = int((self.high - self.low).sum())

    def is_worth_moving(self) -> bool:
        """Whether bytes before the ranges, which only new views can spare, outweigh the views."""
        return bool(self.odd.any()) or int(self.low.sum()) > self.views.nbytes // 8

    def moved(self) -> Any:
        """The views, with buffers that are not used left out and ranges moved to their start."""
        views = self.views.copy()
        views[self.long, 2] = (np.cumsum(self.high > self.low) - 1)[self.which]
        views[self.long, 3] = self.starts - self.low[self.which]
        views[self.odd] = 0
        return views


_Writer = Callable[[ArrayWriter, Any, int, int], Node]
_WRITERS: dict[int, _Writer] = {
    pa.lib.Type_NA: _write_null,
    pa.lib.Type_BOOL: _write_bool,
    pa.lib.Type_FIXED_SIZE_BINARY: _write_fixed,
    pa.lib.Type_DICTIONARY: _write_dictionary,
    pa.lib.Type_FIXED_SIZE_LIST: _write_fixed_list,
    pa.lib.Type_STRUCT: _write_struct,
    pa.lib.Type_SPARSE_UNION: _write_sparse_union,
    pa.lib.Type_DENSE_UNION: _write_dense_union,
    **dict.fromkeys(WIDTHS, _write_fixed),
    **dict.fromkeys(BINARIES, _write_binary),
    **dict.fromkeys(LISTS, _write_list),
    **dict.fromkeys(LIST_VIEWS, _write_list_view),
    **dict.fromkeys(VIEWS, _write_view),
}
if RUN_ENDS is not None:
    _WRITERS[RUN_ENDS] = _write_run_ends
