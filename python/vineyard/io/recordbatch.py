# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams of Arrow record batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vineyard._core import ObjectID
from vineyard.errors import TypeErrorException
from vineyard.io.stream import Stream, StreamReader, StreamWriter

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(value: Any) -> pa.Table:
    """A chunk as an Arrow table: a batch, a table, or bytes of an Arrow IPC stream."""
    import pyarrow as pa

    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, memoryview):
        with pa.ipc.open_stream(pa.py_buffer(value)) as reader:
            return reader.read_all()
    raise TypeErrorException(f"a chunk of the stream is no Arrow data but a {type(value).__name__}")


class RecordBatchReader(StreamReader):
    """Gives record batches. A chunk of several (bytes of Arrow IPC) comes as one."""

    def _value(self, ref: ObjectID) -> Any:
        import pyarrow as pa

        value = super()._value(ref)
        if isinstance(value, pa.RecordBatch):
            return value
        table = table_of(value)
        columns = [column.combine_chunks() for column in table.columns]
        return pa.RecordBatch.from_arrays(columns, schema=table.schema)

    def read_table(self) -> pa.Table:
        """All that follows, up to the end, as one table.

        Raises
        ------
        ValueError
            Nothing follows: there is no schema.
        """
        import pyarrow as pa

        return pa.Table.from_batches(list(self))


class RecordBatchWriter(StreamWriter):
    """Appends record batches."""

    def append(self, value: Any, *, timeout: float | None = None) -> ObjectID:
        """A `pyarrow.RecordBatch` as the next chunk; otherwise as `Stream`'s."""
        import pyarrow as pa

        if not isinstance(value, pa.RecordBatch):
            raise TypeErrorException(
                f"a chunk of this stream is a pyarrow.RecordBatch, not {type(value).__name__}"
            )
        return super().append(value, timeout=timeout)

    write = append


class RecordBatchStream(Stream):
    """A stream of `pyarrow.RecordBatch`, whose columns readers get without a copy."""

    __slots__ = ()

    TYPENAME: ClassVar[str] = "vineyard::RecordBatchStream"
    Reader: ClassVar[type[StreamReader]] = RecordBatchReader
    Writer: ClassVar[type[StreamWriter]] = RecordBatchWriter
