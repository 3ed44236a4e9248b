# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow arrays as JSON and buffers: what `arrow_values` is made of.

The node of an array says what the Arrow C data interface's ArrowArray says, in its words and its
order, so that a reader in any language can hand the buffers on as they are:

=================  ===========================================================================
``length_``        number of items
``null_count_``    of items that are null; absent: none
``buffers_``       indexes of the buffers, null where one is absent (or empty). Of views, without the
                   last one, which only repeats the sizes of those before it
``children_``      nodes of the child arrays
``dictionary_``    node of the values of a dictionary
=================  ===========================================================================

The offset is always 0: of a slice only its own bytes are stored. Buffers of fixed-width items and
of bytes are handed over without a copy. Copied at put, where a slice does not begin at the start of
its parent, are offsets (they are counted from the slice's first byte) and bitmaps (where the slice
begins within a byte of theirs). At get nothing is copied.

An extension array is stored as its storage array; its type says what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from vineyard.codecs.arrow_types import _REE as _RUN_ENDS
from vineyard.codecs.tree import Decoder, Encoder, corrupted, refuse

_MAX_LENGTH = 2**62
#: A view's bytes stand in the view itself up to this length.
_INLINE_VIEW = 12


def _ids(*names: str) -> list[int]:
    """The numbers of those types that this pyarrow has."""
    return [i for i in (getattr(pa.lib, "Type_" + name, None) for name in names) if i is not None]


_SIZES = {
    1: _ids("INT8", "UINT8"),
    2: _ids("INT16", "UINT16", "HALF_FLOAT"),
    4: _ids("INT32", "UINT32", "FLOAT", "DATE32", "TIME32", "DECIMAL32"),
    8: _ids("INT64", "UINT64", "DOUBLE", "DATE64", "TIME64", "TIMESTAMP", "DURATION", "DECIMAL64"),
    16: _ids("DECIMAL128", "INTERVAL_MONTH_DAY_NANO"),
    32: _ids("DECIMAL256"),
}
#: Bytes of an item, by the number of its type.
_WIDTHS = {number: size for size, numbers in _SIZES.items() for number in numbers}
#: Whether offsets have 64 bits, by the number of the type.
_BINARIES = {
    **dict.fromkeys(_ids("STRING", "BINARY"), False),
    **dict.fromkeys(_ids("LARGE_STRING", "LARGE_BINARY"), True),
}
_LISTS = {**dict.fromkeys(_ids("LIST", "MAP"), False), **dict.fromkeys(_ids("LARGE_LIST"), True)}
_LIST_VIEWS = {
    **dict.fromkeys(_ids("LIST_VIEW"), False),
    **dict.fromkeys(_ids("LARGE_LIST_VIEW"), True),
}
_VIEWS = _ids("STRING_VIEW", "BINARY_VIEW")

Node = dict[str, Any]


# ---- put


class ArrayWriter:
    """Writes arrays of one value; a buffer that several of them share is stored once."""

    __slots__ = ("_encoder", "_seen")

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._seen: dict[tuple[int, int], int] = {}

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
    width = _WIDTHS.get(array.type.id) or array.type.byte_width
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
    large = _BINARIES[array.type.id]
    index, first, last = _write_offsets(writer, buffers[1], large, offset, length)
    stored.append(index)
    stored.append(writer.add(buffers[2], first, last - first))
    return node


def _write_list(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    large = _LISTS[array.type.id]
    index, first, last = _write_offsets(writer, buffers[1], large, offset, length)
    stored.append(index)
    node["children_"] = [writer.node(array.values.slice(first, last - first))]
    return node


def _write_list_view(writer: ArrayWriter, array: pa.Array, offset: int, length: int) -> Node:
    buffers = array.buffers()
    node, stored = writer.head(array, buffers)
    letter, width = ("q", 8) if _LIST_VIEWS[array.type.id] else ("i", 4)
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
        self.low = np.full(self.buffers, _MAX_LENGTH)
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
    **dict.fromkeys(_WIDTHS, _write_fixed),
    **dict.fromkeys(_BINARIES, _write_binary),
    **dict.fromkeys(_LISTS, _write_list),
    **dict.fromkeys(_LIST_VIEWS, _write_list_view),
    **dict.fromkeys(_VIEWS, _write_view),
}
if _RUN_ENDS is not None:
    _WRITERS[_RUN_ENDS] = _write_run_ends


# ---- get


def hollow(length: int) -> pa.Array:
    """So many nulls, without any memory (`pyarrow.nulls` makes a bitmap of them)."""
    return pa.Array.from_buffers(pa.null(), length, [None])


_EMPTY = pa.py_buffer(b"")
_ZERO = pa.py_buffer(bytes(8))  # the one offset of an empty array


def array_of(decoder: Decoder, t: pa.DataType, node: Any) -> pa.Array:
    """The array of a node that nobody has checked.

    Buffers are checked to be as large as the type wants them. Where pickles are refused, everything
    that pyarrow would follow is checked too: offsets, codes, views, and text to be UTF-8.
    """
    if type(node) is not dict:
        corrupted("an Arrow array is no JSON object")
    if isinstance(t, pa.BaseExtensionType):
        return t.wrap_array(array_of(decoder, t.storage_type, node))
    length = decoder.need_int(node, "length_", 0, _MAX_LENGTH)
    return _READERS[t.id](decoder, t, node, length)


def _buffers(decoder: Decoder, node: Node, count: int, more: bool = False) -> list[Any]:
    """The buffers of a node, None where one is absent; exactly so many, or at least."""
    indexes = decoder.need(node, "buffers_", list)
    if len(indexes) != count and not (more and len(indexes) > count):
        corrupted(f"{len(indexes)} buffers where an Arrow array has {count}")
    stored = decoder.buffers
    found: list[Any] = []
    for index in indexes:
        if index is None:
            found.append(None)
        elif type(index) is int and 0 <= index < len(stored):
            found.append(pa.py_buffer(stored[index]))
        else:
            corrupted(f"names buffer {str(index)[:20]}, and has {len(stored)}")
    return found


def _nulls(decoder: Decoder, node: Node, buffers: list[Any], length: int) -> int:
    if buffers[0] is None:
        if "null_count_" in node:
            corrupted("nulls without a bitmap of them")
        return 0
    count = decoder.need_int(node, "null_count_", 0, length)
    return count if decoder.pickle else -1  # to be counted when asked for


def _child(decoder: Decoder, node: Node, *types: pa.DataType) -> list[pa.Array]:
    children = decoder.need(node, "children_", list)
    if len(children) != len(types):
        corrupted(f"{len(children)} children where an Arrow array has {len(types)}")
    return [array_of(decoder, t, c) for t, c in zip(types, children, strict=True)]


def _read_null(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    return hollow(length)


def _read_fixed(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    buffers = _buffers(decoder, node, 2)
    nulls = _nulls(decoder, node, buffers, length)
    if buffers[1] is None:
        buffers[1] = _EMPTY
    return pa.Array.from_buffers(t, length, buffers, nulls)


def _read_dictionary(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    dictionary = array_of(decoder, t.value_type, node.get("dictionary_"))
    buffers = _buffers(decoder, node, 2)
    nulls = _nulls(decoder, node, buffers, length)
    if buffers[1] is None:
        buffers[1] = _EMPTY
    pa.Array.from_buffers(t.index_type, length, buffers, nulls)  # checks sizes
    if not decoder.pickle:
        proxy = pa.dictionary(t.index_type, pa.null())
        values = hollow(len(dictionary))
        pa.DictionaryArray.from_buffers(proxy, length, buffers, values).validate(full=True)
    return pa.DictionaryArray.from_buffers(t, length, buffers, dictionary, nulls)


def _read_binary(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    buffers = _buffers(decoder, node, 3)
    nulls = _nulls(decoder, node, buffers, length)
    if buffers[1] is None and length == 0:
        buffers[1] = _ZERO
    if buffers[2] is None:
        buffers[2] = _EMPTY
    array = pa.Array.from_buffers(t, length, buffers, nulls)
    if not decoder.pickle:
        array.validate(full=True)
    return array


def _read_view(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    buffers = _buffers(decoder, node, 2, more=True)
    nulls = _nulls(decoder, node, buffers, length)
    buffers[1:] = [_EMPTY if b is None else b for b in buffers[1:]]
    array = pa.Array.from_buffers(t, length, buffers, nulls)
    if not decoder.pickle:
        array.validate(full=True)
    return array


def _read_list(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    inner = t.field(0).type if t.id == pa.lib.Type_MAP else t.value_type
    children = _child(decoder, node, inner)
    buffers = _buffers(decoder, node, 2)
    nulls = _nulls(decoder, node, buffers, length)
    if buffers[1] is None and length == 0:
        buffers[1] = _ZERO
    if not decoder.pickle:
        proxy = pa.large_list(pa.null()) if _LISTS[t.id] else pa.list_(pa.null())
        _check_followed(proxy, length, buffers, [hollow(len(children[0]))])
    return pa.Array.from_buffers(t, length, buffers, nulls, children=children)


def _read_list_view(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    children = _child(decoder, node, t.value_type)
    buffers = _buffers(decoder, node, 3)
    nulls = _nulls(decoder, node, buffers, length)
    buffers[1:] = [_EMPTY if b is None else b for b in buffers[1:]]
    if not decoder.pickle:
        proxy = pa.large_list_view(pa.null()) if _LIST_VIEWS[t.id] else pa.list_view(pa.null())
        _check_followed(proxy, length, buffers, [hollow(len(children[0]))])
    return pa.Array.from_buffers(t, length, buffers, nulls, children=children)


def _check_followed(t: pa.DataType, length: int, buffers: list[Any], children: list[Any]) -> None:
    """Raises unless all that leads from an array to its children stays within them.

    The children are hollow: they have been checked, and Arrow's own check of them would refuse
    values that harm nobody, such as a date64 that is no whole day.
    """
    pa.Array.from_buffers(t, length, buffers, children=children).validate(full=True)


def _read_fixed_list(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    children = _child(decoder, node, t.value_type)
    buffers = _buffers(decoder, node, 1)
    nulls = _nulls(decoder, node, buffers, length)
    return pa.Array.from_buffers(t, length, buffers, nulls, children=children)


def _read_struct(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    children = _child(decoder, node, *(t.field(i).type for i in range(t.num_fields)))
    buffers = _buffers(decoder, node, 1)
    nulls = _nulls(decoder, node, buffers, length)
    return pa.Array.from_buffers(t, length, buffers, nulls, children=children)


def _read_union(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    children = _child(decoder, node, *(t.field(i).type for i in range(t.num_fields)))
    dense = t.id == pa.lib.Type_DENSE_UNION
    buffers = [_EMPTY if b is None else b for b in _buffers(decoder, node, 2 if dense else 1)]
    if not decoder.pickle:
        fields = [pa.field("", pa.null()) for _ in children]
        proxy = pa.union(fields, "dense" if dense else "sparse", t.type_codes)
        _check_followed(proxy, length, [None, *buffers], [hollow(len(c)) for c in children])
    return pa.Array.from_buffers(t, length, [None, *buffers], 0, children=children)


def _read_run_ends(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    ends, values = _child(decoder, node, t.run_end_type, t.value_type)
    _buffers(decoder, node, 0)
    if not decoder.pickle:
        proxy = pa.run_end_encoded(t.run_end_type, pa.null())
        _check_followed(proxy, length, [None], [ends, hollow(len(values))])
    return pa.Array.from_buffers(t, length, [None], 0, children=[ends, values])


_Reader = Callable[[Decoder, Any, Node, int], Any]
_READERS: dict[int, _Reader] = {
    pa.lib.Type_NA: _read_null,
    pa.lib.Type_BOOL: _read_fixed,
    pa.lib.Type_FIXED_SIZE_BINARY: _read_fixed,
    pa.lib.Type_DICTIONARY: _read_dictionary,
    pa.lib.Type_FIXED_SIZE_LIST: _read_fixed_list,
    pa.lib.Type_STRUCT: _read_struct,
    pa.lib.Type_SPARSE_UNION: _read_union,
    pa.lib.Type_DENSE_UNION: _read_union,
    **dict.fromkeys(_WIDTHS, _read_fixed),
    **dict.fromkeys(_BINARIES, _read_binary),
    **dict.fromkeys(_LISTS, _read_list),
    **dict.fromkeys(_LIST_VIEWS, _read_list_view),
    **dict.fromkeys(_VIEWS, _read_view),
}
if _RUN_ENDS is not None:
    _READERS[_RUN_ENDS] = _read_run_ends
