# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""memoryview: comes back as one of the stored bytes, of the same format and shape.

Its elements are stored in C order. A format that is more than one letter comes back by way of numpy.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from vineyard.codecs.arrays import check_size
from vineyard.codecs.dtypes import dtype_from, dtype_node
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse

#: What `memoryview.cast` understands.
_LETTERS = "cbB?hHiIlLqQnNfdP"


@encodes(memoryview)
def _memoryview_node(encoder: Encoder, view: memoryview) -> Node:
    node: dict[str, Any] = {
        "codec": "memoryview",
        "format_": view.format,
        "shape_": list(view.shape or ()),
    }
    if view.format not in _LETTERS or (view.ndim != 1 and 0 in node["shape_"]):
        dtype = np.asarray(view).dtype
        like: Any = np.zeros((), dtype)
        if dtype.hasobject or memoryview(like).format != view.format:
            refuse(view, f"its format {view.format!r} is none of bytes that numpy has")
        node["dtype_"] = dtype_node(encoder, dtype)
    if not view.nbytes:
        data: Any = b""
    elif view.c_contiguous:
        data = np.frombuffer(view, np.uint8)
    else:
        data = view.tobytes()
    return {**node, "buffer": encoder.buffer(data)}


@decodes("memoryview")
def _decode_memoryview(decoder: Decoder, node: dict[str, Any]) -> memoryview:
    text = decoder.need(node, "format_", str)
    shape = decoder.need_ints(node, "shape_", 0, 2**62)
    buffer = decoder.need_buffer(node)
    if "dtype_" in node:
        dtype = dtype_from(decoder, node["dtype_"])
        if dtype.hasobject or dtype.kind == "T" or dtype.subdtype is not None:
            corrupted(f"a view of bytes that is one of {dtype}")
        check_size(shape, dtype, buffer)
        array: Any = np.ndarray(tuple(shape), dtype, buffer)
        made = memoryview(array)
    else:
        if len(text) != 1 or text not in _LETTERS:
            corrupted(f"a view of format {text[:20]!r}")
        items = len(buffer) // struct.calcsize(text)
        view = memoryview(buffer).cast("B")
        made = view.cast(text) if shape == [items] else view.cast(text, shape)
    if made.format != text or list(made.shape or ()) != shape:
        corrupted(f"a view of format {made.format!r} that says {text[:20]!r}")
    return made
