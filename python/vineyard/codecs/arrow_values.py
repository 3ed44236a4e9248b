# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow chunked arrays, for the pandas columns that consist of them.

Strings and binary: the buffers of each chunk as they are (validity, offsets, bytes), without a copy;
of a slice only its own bytes. Every other type: one Arrow IPC stream, read without a copy.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes

_PLAIN = {
    "large_string": pa.large_string(),
    "large_binary": pa.large_binary(),
    "string": pa.string(),
    "binary": pa.binary(),
}


def chunked_node(encoder: Encoder, chunked: pa.ChunkedArray) -> Node:
    """The node of a pyarrow ChunkedArray."""
    name = str(chunked.type)
    if name in _PLAIN:
        chunks = [_chunk_node(encoder, chunk) for chunk in chunked.chunks]
        return {"codec": "arrow.chunks", "type_": name, "chunks_": chunks}
    sink = pa.BufferOutputStream()
    schema = pa.schema([pa.field("values", chunked.type)])
    with pa.ipc.new_stream(sink, schema) as writer:
        for chunk in chunked.chunks:
            writer.write_batch(pa.record_batch([chunk], schema=schema))
    return {"codec": "arrow.ipc", "buffer": encoder.buffer(sink.getvalue())}


def _chunk_node(encoder: Encoder, chunk: pa.Array) -> dict[str, Any]:
    width = 8 if str(chunk.type).startswith("large") else 4
    count = len(chunk)
    if count == 0:
        return {"size_": 0}
    if chunk.offset or int.from_bytes(chunk.buffers()[1][:width], "little"):
        chunk = pa.concat_arrays([chunk, chunk.slice(0, 0)])  # compacts
    validity, offsets, data = chunk.buffers()
    end = int.from_bytes(offsets[count * width : (count + 1) * width], "little")
    node = {
        "size_": count,
        "offsets_": encoder.buffer(offsets.slice(0, (count + 1) * width)),
        "data_": encoder.buffer(data.slice(0, end) if data is not None else b""),
    }
    if validity is not None and chunk.null_count:
        node["nulls_"] = chunk.null_count
        node["validity_"] = encoder.buffer(validity.slice(0, (count + 7) // 8))
    return node


@decodes("arrow.chunks")
def _decode_chunks(decoder: Decoder, node: dict[str, Any]) -> pa.ChunkedArray:
    kind = _PLAIN.get(decoder.need(node, "type_", str))
    if kind is None:
        corrupted(f"chunks of type {node['type_'][:40]!r}")
    chunks = [_decode_chunk(decoder, kind, c) for c in decoder.need(node, "chunks_", list)]
    return pa.chunked_array(chunks, kind)


def _decode_chunk(decoder: Decoder, kind: pa.DataType, node: Any) -> pa.Array:
    if type(node) is not dict:
        corrupted("a chunk is no JSON object")
    count = decoder.need_int(node, "size_", 0, 2**61)
    if count == 0:
        return pa.array([], kind)
    width = 8 if str(kind).startswith("large") else 4
    offsets = decoder.need_buffer(node, "offsets_")
    data = decoder.need_buffer(node, "data_")
    validity = None
    nulls = 0
    if "validity_" in node:
        validity = pa.py_buffer(decoder.need_buffer(node, "validity_"))
        nulls = decoder.need_int(node, "nulls_", 0, count)
        if len(validity) != (count + 7) // 8:
            corrupted(f"{len(validity)} bytes of validity for {count} items")
    if len(offsets) != (count + 1) * width:
        corrupted(f"{len(offsets)} bytes of offsets for {count} items")
    try:
        array = pa.Array.from_buffers(
            kind, count, [validity, pa.py_buffer(offsets), pa.py_buffer(data)], nulls
        )
        array.validate(full=not decoder.pickle)
    except pa.ArrowException as error:
        corrupted(str(error))
    return array


@decodes("arrow.ipc")
def _decode_ipc(decoder: Decoder, node: dict[str, Any]) -> pa.ChunkedArray:
    try:
        table = pa.ipc.open_stream(pa.py_buffer(decoder.need_buffer(node))).read_all()
        table.validate(full=not decoder.pickle)
    except (pa.ArrowException, OSError) as error:
        corrupted(str(error))
    if table.num_columns != 1:
        corrupted(f"{table.num_columns} columns where one is announced")
    return table.column(0)
