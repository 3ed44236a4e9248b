# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow arrays as JSON and buffers; how they are read. `arrow_writing` writes them.

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

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from vineyard.codecs.arrow_types import RUN_ENDS
from vineyard.codecs.tree import Decoder, corrupted

MAX_LENGTH = 2**62


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
WIDTHS = {number: size for size, numbers in _SIZES.items() for number in numbers}
#: Whether offsets have 64 bits, by the number of the type.
BINARIES = {
    **dict.fromkeys(_ids("STRING", "BINARY"), False),
    **dict.fromkeys(_ids("LARGE_STRING", "LARGE_BINARY"), True),
}
LISTS = {**dict.fromkeys(_ids("LIST", "MAP"), False), **dict.fromkeys(_ids("LARGE_LIST"), True)}
LIST_VIEWS = {
    **dict.fromkeys(_ids("LIST_VIEW"), False),
    **dict.fromkeys(_ids("LARGE_LIST_VIEW"), True),
}
VIEWS = _ids("STRING_VIEW", "BINARY_VIEW")

Node = dict[str, Any]


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
    length = decoder.need_int(node, "length_", 0, MAX_LENGTH)
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
        if buffers[0] is not None:
            array = _without_odd_views(array, buffers)
    return array


def _without_odd_views(array: pa.Array, buffers: list[Any]) -> pa.Array:
    """The same array; views of nulls, of which Arrow says nothing but which polars follows, are
    empty if not all of them are sound."""
    t, length = array.type, len(array)
    try:
        pa.Array.from_buffers(t, length, [None, *buffers[1:]]).validate(full=True)
    except pa.ArrowException:
        views = np.frombuffer(buffers[1], np.uint8, length * 16).reshape(length, 16).copy()
        views[array.is_null().to_numpy(zero_copy_only=False)] = 0
        return pa.Array.from_buffers(t, length, [buffers[0], pa.py_buffer(views), *buffers[2:]])
    return array


def _read_list(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    inner = t.field(0).type if t.id == pa.lib.Type_MAP else t.value_type
    children = _child(decoder, node, inner)
    buffers = _buffers(decoder, node, 2)
    nulls = _nulls(decoder, node, buffers, length)
    if buffers[1] is None and length == 0:
        buffers[1] = _ZERO
    if not decoder.pickle:
        proxy = pa.large_list(pa.null()) if LISTS[t.id] else pa.list_(pa.null())
        _check_followed(proxy, length, buffers, [hollow(len(children[0]))])
    return pa.Array.from_buffers(t, length, buffers, nulls, children=children)


def _read_list_view(decoder: Decoder, t: pa.DataType, node: Node, length: int) -> pa.Array:
    children = _child(decoder, node, t.value_type)
    buffers = _buffers(decoder, node, 3)
    nulls = _nulls(decoder, node, buffers, length)
    buffers[1:] = [_EMPTY if b is None else b for b in buffers[1:]]
    if not decoder.pickle:
        proxy = pa.large_list_view(pa.null()) if LIST_VIEWS[t.id] else pa.list_view(pa.null())
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
    **dict.fromkeys(WIDTHS, _read_fixed),
    **dict.fromkeys(BINARIES, _read_binary),
    **dict.fromkeys(LISTS, _read_list),
    **dict.fromkeys(LIST_VIEWS, _read_list_view),
    **dict.fromkeys(VIEWS, _read_view),
}
if RUN_ENDS is not None:
    _READERS[RUN_ENDS] = _read_run_ends
