# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""array.array; memory to write to; and what has bytes to show but can't be stored as it is.

An array.array comes back writable, as its type knows nothing else: it is a copy.

>>> import array
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(array.array("h", [1, -2]))
>>> decode(typename, metadata, [bytes(b) for b in buffers])
array('h', [1, -2])
"""

from __future__ import annotations

import array
import mmap
import pickle
from typing import Any

from vineyard import _core
from vineyard._core import Blob
from vineyard.codecs.tree import (
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
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
