# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The parts of Arrow's tables and chunked arrays: record batches, and chunks.

A table is cut where ``pyarrow.Table.to_batches`` cuts it: wherever a chunk of some column ends. Empty
batches are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa

from vineyard.codecs import arrow_types as types
from vineyard.codecs.arrow_arrays import MAX_LENGTH, array_of
from vineyard.codecs.arrow_values import rows_alone, schema_and_columns
from vineyard.codecs.parts import Piece, cuts
from vineyard.codecs.tree import Decoder, corrupted


@cuts("arrow.chunked")
def _cut_chunked(decoder: Decoder, node: dict[str, Any]) -> Iterator[Piece]:
    t = types.type_of(node.get("type_"))
    for chunk in decoder.need(node, "chunks_", list):
        yield Piece([chunk], lambda own, chunk=chunk: array_of(own, t, chunk))  # type: ignore[misc]


@cuts("arrow.table")
def _cut_table(decoder: Decoder, node: dict[str, Any]) -> Iterator[Piece]:
    schema, columns, rows = schema_and_columns(decoder, node)
    if not columns:
        if rows:
            yield Piece([], lambda own: rows_alone(pa.RecordBatch, rows, schema))
        return
    ends = [_ends(decoder, column, rows) for column in columns]
    current = [0] * len(columns)  # which chunk of each column the batch lies in
    for begin, end in pairwise([0, *sorted(set().union(*ends) - {0})]):
        chunks = []
        for c, column in enumerate(columns):
            while ends[c][current[c]] <= begin:
                current[c] += 1
            chunk = column[current[c]]
            chunks.append((chunk, begin - (ends[c][current[c]] - chunk["length_"])))
        yield _batch(schema, chunks, end - begin)


def _ends(decoder: Decoder, column: Any, rows: int) -> list[int]:
    """Where the chunks of a column end, in rows."""
    if type(column) is not list or any(type(chunk) is not dict for chunk in column):
        corrupted("the chunks of an Arrow column are no JSON array")
    ends = list(accumulate(decoder.need_int(chunk, "length_", 0, MAX_LENGTH) for chunk in column))
    if (ends[-1] if ends else 0) != rows:
        corrupted(f"a column of {ends[-1] if ends else 0} items in a table of {rows} rows")
    return ends


def _batch(schema: pa.Schema, chunks: list[tuple[Any, int]], rows: int) -> Piece:
    def make(decoder: Decoder) -> pa.RecordBatch:
        arrays = [
            array_of(decoder, t, chunk).slice(offset, rows)
            for t, (chunk, offset) in zip(schema.types, chunks, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Piece([chunk for chunk, _ in chunks], make)
