# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of pyarrow: arrays, chunked arrays, record batches, tables, schemas, scalars, buffers.

==============  =============================================================================
codec           keys beside those of `arrow_arrays` (arrays) and `arrow_types` (types, schemas)
==============  =============================================================================
arrow.array     ``type_``, and the array's own
arrow.chunked   ``type_``, ``chunks_`` (arrays)
arrow.batch     ``schema_``, ``num_rows_``, ``num_columns_``, ``columns_`` (arrays)
arrow.table     the same, but ``columns_`` holds the arrays of each column's chunks
arrow.schema    ``schema_``
arrow.field     ``field_``
arrow.type      ``type_``
arrow.scalar    ``type_``, and those of an array of one item
arrow.buffer    ``buffer``
arrow.metadata  ``metadata_``
==============  =============================================================================

Everything that pyarrow would not tell apart by itself is kept: metadata, nullability, how columns
are cut into chunks, the values of a dictionary that no item uses. Validity of an array without nulls
is not. What comes back are views of the stored bytes, also in tables of many columns.

An extension type must be registered where the value is put. Where it is got and not registered, its
storage comes back, as from Arrow IPC.
"""

from __future__ import annotations

from typing import Any, TypeVar

import pyarrow as pa

from vineyard.codecs import arrow_tensors  # noqa: F401 - registers
from vineyard.codecs import arrow_types as types
from vineyard.codecs.arrow_arrays import array_of, hollow
from vineyard.codecs.arrow_writing import ArrayWriter
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

_T = TypeVar("_T")


def _classes(base: type[_T]) -> list[type[_T]]:
    """The classes of pyarrow itself that values of a base class have."""
    return [c for c in vars(pa.lib).values() if isinstance(c, type) and issubclass(c, base)]


# ---- arrays


@encodes(*_classes(pa.Array))
def encode_array(encoder: Encoder, array: pa.Array) -> Node:
    """The node of a pyarrow Array."""
    node = ArrayWriter(encoder).node(array)
    return {"codec": "arrow.array", "type_": types.type_node(array.type), **node}


@decodes("arrow.array")
def _decode_array(decoder: Decoder, node: dict[str, Any]) -> pa.Array:
    return array_of(decoder, types.type_of(node.get("type_")), node)


@encodes(pa.ChunkedArray)
def chunked_node(encoder: Encoder, chunked: pa.ChunkedArray) -> Node:
    """The node of a pyarrow ChunkedArray."""
    writer = ArrayWriter(encoder)
    chunks = [writer.node(chunk) for chunk in chunked.chunks]
    return {"codec": "arrow.chunked", "type_": types.type_node(chunked.type), "chunks_": chunks}


@decodes("arrow.chunked")
def _decode_chunked(decoder: Decoder, node: dict[str, Any]) -> pa.ChunkedArray:
    return _chunked_of(decoder, types.type_of(node.get("type_")), node.get("chunks_"))


def _chunked_of(decoder: Decoder, t: pa.DataType, chunks: Any) -> pa.ChunkedArray:
    if type(chunks) is not list:
        corrupted("the chunks of an Arrow column are no JSON array")
    return pa.chunked_array([array_of(decoder, t, chunk) for chunk in chunks], t)


# ---- tables


def _table_node(codec: str, table: Any, columns: list[Any]) -> dict[str, Any]:
    return {
        "codec": codec,
        "num_rows_": table.num_rows,
        "num_columns_": table.num_columns,
        "schema_": types.schema_node(table.schema),
        "columns_": columns,
    }


@encodes(pa.RecordBatch)
def _batch_node(encoder: Encoder, batch: pa.RecordBatch) -> Node:
    writer = ArrayWriter(encoder)
    return _table_node("arrow.batch", batch, [writer.node(column) for column in batch.columns])


@encodes(pa.Table)
def table_node(encoder: Encoder, table: pa.Table) -> dict[str, Any]:
    """The node of a pyarrow Table."""
    writer = ArrayWriter(encoder)
    columns = [[writer.node(chunk) for chunk in column.chunks] for column in table.columns]
    return _table_node("arrow.table", table, columns)


def schema_and_columns(decoder: Decoder, node: dict[str, Any]) -> tuple[pa.Schema, list[Any], int]:
    schema = types.schema_of(node.get("schema_"))
    columns = decoder.need(node, "columns_", list)
    if len(columns) != len(schema):
        corrupted(f"{len(columns)} columns where the schema has {len(schema)}")
    return schema, columns, decoder.need_int(node, "num_rows_", 0, 2**62)


@decodes("arrow.batch")
def _decode_batch(decoder: Decoder, node: dict[str, Any]) -> pa.RecordBatch:
    schema, columns, rows = schema_and_columns(decoder, node)
    if not columns:
        return rows_alone(pa.RecordBatch, rows, schema)
    arrays = [array_of(decoder, t, c) for t, c in zip(schema.types, columns, strict=True)]
    _check_rows(rows, arrays)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


@decodes("arrow.table")
def decode_table(decoder: Decoder, node: dict[str, Any]) -> pa.Table:
    """The reverse of `table_node`, for a node that nobody has checked."""
    schema, columns, rows = schema_and_columns(decoder, node)
    if not columns:
        return rows_alone(pa.Table, rows, schema)
    arrays = [_chunked_of(decoder, t, c) for t, c in zip(schema.types, columns, strict=True)]
    _check_rows(rows, arrays)
    return pa.Table.from_arrays(arrays, schema=schema)


def _check_rows(rows: int, columns: list[Any]) -> None:
    for column in columns:
        if len(column) != rows:
            corrupted(f"a column of {len(column)} items in a table of {rows} rows")


def rows_alone(kind: Any, rows: int, schema: pa.Schema) -> Any:
    """A table of rows without columns."""
    one = pa.schema([("", pa.null())], schema.metadata)
    return kind.from_arrays([hollow(rows)], schema=one).select([])


@encodes(pa.RecordBatchReader)
def _refuse_reader(encoder: Encoder, reader: pa.RecordBatchReader) -> Node:
    refuse(reader, "it can be read once only; store what reader.read_all() gives")


# ---- what says how data looks


@encodes(pa.Schema)
def _schema_node(encoder: Encoder, schema: pa.Schema) -> Node:
    return {"codec": "arrow.schema", "schema_": types.schema_node(schema)}


@decodes("arrow.schema")
def _decode_schema(decoder: Decoder, node: dict[str, Any]) -> pa.Schema:
    return types.schema_of(node.get("schema_"))


@encodes(pa.Field)
def _field_node(encoder: Encoder, field: pa.Field) -> Node:
    return {"codec": "arrow.field", "field_": types.field_node(field)}


@decodes("arrow.field")
def _decode_field(decoder: Decoder, node: dict[str, Any]) -> pa.Field:
    return types.field_of(node.get("field_"))


@encodes(*_classes(pa.DataType))
def encode_type(encoder: Encoder, t: pa.DataType) -> Node:
    """The node of a pyarrow DataType."""
    return {"codec": "arrow.type", "type_": types.type_node(t)}


@decodes("arrow.type")
def _decode_type(decoder: Decoder, node: dict[str, Any]) -> pa.DataType:
    return types.type_of(node.get("type_"))


@encodes(pa.KeyValueMetadata)
def _metadata_node(encoder: Encoder, metadata: pa.KeyValueMetadata) -> Node:
    return {"codec": "arrow.metadata", "metadata_": types.metadata_node(metadata.items())}


@decodes("arrow.metadata")
def _decode_metadata(decoder: Decoder, node: dict[str, Any]) -> pa.KeyValueMetadata:
    return pa.KeyValueMetadata(types.metadata_of(node.get("metadata_")))


# ---- scalars and buffers


@encodes(*_classes(pa.Scalar))
def encode_scalar(encoder: Encoder, scalar: pa.Scalar) -> Node:
    """The node of a pyarrow Scalar."""
    try:
        array = _array_of_one(scalar)
        array.validate()
    except pa.ArrowException as error:  # of run-end encoded parts
        refuse(scalar, f"pyarrow can't make an array of it ({error}); store a slice of its array")
    node = ArrayWriter(encoder).node(array)
    return {"codec": "arrow.scalar", "type_": types.type_node(scalar.type), **node}


def _array_of_one(scalar: pa.Scalar) -> pa.Array:
    if not isinstance(scalar, pa.ExtensionScalar):
        return pa.repeat(scalar, 1)
    # Older releases of pyarrow repeat no scalar of an extension type.
    storage = scalar.type.storage_type
    array = pa.nulls(1, storage) if scalar.value is None else pa.repeat(scalar.value, 1)
    return pa.ExtensionArray.from_storage(scalar.type, array)


@decodes("arrow.scalar")
def _decode_scalar(decoder: Decoder, node: dict[str, Any]) -> pa.Scalar:
    array = array_of(decoder, types.type_of(node.get("type_")), node)
    if len(array) != 1:
        corrupted(f"an Arrow scalar of {len(array)} items")
    return array[0]


@encodes(pa.Buffer)
def _buffer_node(encoder: Encoder, buffer: pa.Buffer) -> Node:
    if not buffer.is_cpu:
        refuse(buffer, "it lies in the memory of a device; copy it to the host first")
    return {"codec": "arrow.buffer", "buffer": encoder.buffer(buffer)}


@encodes(pa.ResizableBuffer)
def _refuse_resizable(encoder: Encoder, buffer: pa.ResizableBuffer) -> Node:
    refuse(buffer, "what comes back could not grow; store buffer.slice()")


@decodes("arrow.buffer")
def _decode_buffer(decoder: Decoder, node: dict[str, Any]) -> pa.Buffer:
    return pa.py_buffer(decoder.need_buffer(node))


# ---- classes of extension types that a program or a library made


@recognises
def _encoder_of_extension(t: type) -> Encode | None:
    if issubclass(t, pa.ExtensionArray):
        return encode_array
    if issubclass(t, pa.ExtensionScalar):
        return encode_scalar
    return encode_type if issubclass(t, pa.BaseExtensionType) else None


# ---- typenames

_NUMBERS = {"b": "bool", "e": "halffloat", "f": "float", "g": "double"}
_NUMBERS.update(
    zip("cCsSiIlL", (f"{u}int{n}" for n in (8, 16, 32, 64) for u in ("", "u")), strict=True)
)
_NAMES = {
    "b": "BooleanArray",
    "n": "NullArray",
    "u": "BaseBinaryArray<arrow::StringArray>",
    "U": "BaseBinaryArray<arrow::LargeStringArray>",
    "z": "BaseBinaryArray<arrow::BinaryArray>",
    "Z": "BaseBinaryArray<arrow::LargeBinaryArray>",
    "+l": "ListArray",
    "+L": "LargeListArray",
}


def typename_of(node: dict[str, Any]) -> str:
    """The typename of a stored array, from its node; v6d's where it had one."""
    t = node["type_"]
    text = t if type(t) is str else t.get("format_", "")
    if type(t) is dict and ("dictionary_" in t or "extension_" in t):
        return "vineyard::ArrowArray"
    name = _NAMES.get(text)
    if name is None and text in _NUMBERS:
        name = f"NumericArray<{_NUMBERS[text]}>"
    if name is None:
        name = "FixedSizeBinaryArray" if text.startswith("w:") else "ArrowArray"
    return f"vineyard::{name}"
