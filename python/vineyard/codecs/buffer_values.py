# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""array.array and ctypes arrays; and what else has bytes to show but can't be stored as it is.

Both come back writable, as their types know nothing else. An array.array is a copy. A ctypes array
lies in a private copy-on-write mapping of the stored pages (`private_buffer`): nothing is copied,
and what is written to it stays in this process.

>>> import array
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(array.array("h", [1, -2]))
>>> decode(typename, metadata, [bytes(b) for b in buffers])
array('h', [1, -2])
"""

from __future__ import annotations

import array
import ctypes
import mmap
import pickle
from math import prod
from typing import Any

from vineyard import _core
from vineyard._core import Blob
from vineyard.codecs.tree import (
    Decoder,
    Encode,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
    recognises,
    refuse,
)

# ---- buffers to write to


def private_buffer(decoder: Decoder, node: dict[str, Any], key: str = "buffer") -> Any:
    """The buffer that ``node[key]`` names, writable; the same object for the same buffer.

    Of pages of the store, a private copy-on-write mapping of them; of other bytes, a copy. What is
    writable already (the caller made it so) is given as it is.
    """
    buffer = decoder.need_buffer(node, key)
    if not memoryview(buffer).readonly:
        return buffer
    made: dict[int, Any] = decoder.memo.setdefault("private", {})
    if node[key] not in made:
        if type(buffer) is Blob:
            # All at once: those that lie in one extent share a mapping.
            blobs = [i for i, b in enumerate(decoder.buffers) if type(b) is Blob]
            mapped = _core.map_private([decoder.buffers[i] for i in blobs])
            made.update(zip(blobs, mapped, strict=True))
        else:
            made[node[key]] = bytearray(buffer)
    return made[node[key]]


# ---- array.array


@encodes(array.array)
def _array_node(encoder: Encoder, value: array.array[Any]) -> Node:
    return {
        "codec": "array",
        "value_type_": value.typecode,
        "item_bytes_": value.itemsize,
        "size_": len(value),
        "buffer": encoder.buffer(memoryview(value).cast("B") if value else b""),
    }


@decodes("array")
def _decode_array(decoder: Decoder, node: dict[str, Any]) -> array.array[Any]:
    code = decoder.need(node, "value_type_", str)
    if code not in array.typecodes or len(code) != 1:
        corrupted(f"{code[:20]!r} is no type of items that an array.array has here")
    value: array.array[Any] = array.array(code)
    buffer = decoder.need_buffer(node)
    size = decoder.need_int(node, "size_", 0)
    if decoder.need_int(node, "item_bytes_") != value.itemsize:
        corrupted(
            f"items {code!r} of {node['item_bytes_']} bytes, which here have {value.itemsize}"
        )
    if len(buffer) != size * value.itemsize:
        corrupted(f"{len(buffer)} bytes for {size} items of {value.itemsize}")
    if code in "uw" and any(not 0 <= c <= 0x10FFFF for c in memoryview(buffer).cast("B").cast("I")):
        corrupted("text with a character beyond the last")
    value.frombytes(buffer)
    return value


# ---- ctypes arrays

#: Types of items, by the names that programs use.
_ITEM_TYPES = """
    c_bool c_byte c_ubyte c_char c_wchar c_short c_ushort c_int c_uint c_long c_ulong c_longlong
    c_ulonglong c_float c_double c_longdouble c_int8 c_uint8 c_int16 c_uint16 c_int32 c_uint32
    c_int64 c_uint64 c_size_t c_ssize_t
"""
_ITEMS: dict[str, Any] = {name: getattr(ctypes, name) for name in _ITEM_TYPES.split()}
#: Several names are one type; a stored one is the first of these.
_ITEM_NAMES = {t: name for name, t in reversed(_ITEMS.items())}


@recognises
def _find_ctypes_encoder(t: type) -> Encode | None:
    """Arrays, of arrays, of plain items; but no classes derived from such."""
    if not issubclass(t, ctypes.Array):
        return None
    item, shape = _item_and_shape(t)
    return _ctypes_node if item in _ITEM_NAMES and t is _array_type(item, shape) else None


def _item_and_shape(t: Any) -> tuple[Any, list[int]]:
    shape = []
    while issubclass(t, ctypes.Array):
        shape.append(t._length_)
        t = t._type_
    return t, shape


def _array_type(item: Any, shape: list[int]) -> Any:
    for length in reversed(shape):
        item = item * length
    return item


def _ctypes_node(encoder: Encoder, value: Any) -> Node:
    item, shape = _item_and_shape(type(value))
    return {
        "codec": "ctypes.array",
        "value_type_": _ITEM_NAMES[item],
        "item_bytes_": ctypes.sizeof(item),
        "shape_": shape,
        "buffer": encoder.buffer(memoryview(value).cast("B") if prod(shape) else b""),
    }


@decodes("ctypes.array")
def _decode_ctypes(decoder: Decoder, node: dict[str, Any]) -> Any:
    item = _ITEMS.get(decoder.need(node, "value_type_", str))
    shape = decoder.need_ints(node, "shape_", 0, 2**62)
    buffer = decoder.need_buffer(node)
    if item is None or ctypes.sizeof(item) != decoder.need_int(node, "item_bytes_"):
        corrupted(f"{node['value_type_'][:20]!r} is no type of items here, or has another size")
    if not 1 <= len(shape) <= 64 or len(buffer) != prod(shape) * ctypes.sizeof(item):
        corrupted(f"{len(buffer)} bytes for an array of {str(shape)[:60]} {node['value_type_']}")
    if not prod(shape) and prod(n or 1 for n in shape) > 2**40:
        corrupted(f"an empty array of {str(shape)[:60]}")
    t = _array_type(item, shape)
    return t.from_buffer(private_buffer(decoder, node)) if prod(shape) else t()


# ---- what can't be stored as it is


@encodes(mmap.mmap)
def _mmap_node(encoder: Encoder, value: mmap.mmap) -> Node:
    refuse(
        value,
        "it is a file's, and would not come back as one: put numpy.frombuffer(value, numpy.uint8) "
        "(copied once), or value[:] for bytes",
    )


@encodes(pickle.PickleBuffer)
def _pickle_buffer_node(encoder: Encoder, value: pickle.PickleBuffer) -> Node:
    refuse(value, "it only refers to another object: put that, or memoryview(value)")


def advice(value: Any) -> str:
    """What to put instead of a value without a codec, where that is known; else nothing."""
    if hasattr(type(value), "__dlpack__"):
        return "; its elements can be stored: put numpy.from_dlpack(value)"
    if hasattr(type(value), "__arrow_c_stream__"):
        return "; its columns can be stored: put pyarrow.table(value)"
    try:
        memoryview(value).release()
    except Exception:
        return ""
    return "; its bytes can be stored: put numpy.asarray(memoryview(value)), or bytes(value)"
