# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams of data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from vineyard._core import ObjectID
from vineyard.errors import TypeErrorException
from vineyard.io.recordbatch import table_of
from vineyard.io.stream import Stream, StreamReader, StreamWriter

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class DataframeReader(StreamReader):
    """Gives data frames; chunks that were written as Arrow tables or bytes of Arrow IPC are made
    into such."""

    def _value(self, ref: ObjectID) -> pd.DataFrame:
        import pandas as pd

        value = super()._value(ref)
        if isinstance(value, pd.DataFrame):
            return value
        return table_of(value).to_pandas()

    def read_table(self) -> pa.Table:
        """All that follows, up to the end, as one Arrow table.

        Raises
        ------
        ValueError
            Nothing follows: there is no schema.
        """
        import pandas as pd
        import pyarrow as pa

        tables = []
        while (ref := self.next_id()) is not None:
            value = super()._value(ref)
            frame = isinstance(value, pd.DataFrame)
            tables.append(pa.Table.from_pandas(value) if frame else table_of(value))
        return pa.concat_tables(tables)


class DataframeWriter(StreamWriter):
    """Appends data frames."""

    def append(self, value: Any, *, timeout: float | None = None) -> ObjectID:
        """A `pandas.DataFrame` as the next chunk; otherwise as `Stream`'s."""
        import pandas as pd

        if not isinstance(value, pd.DataFrame):
            raise TypeErrorException(
                f"a chunk of this stream is a pandas.DataFrame, not {type(value).__name__}"
            )
        return super().append(value, timeout=timeout)

    write = append

    def write_table(self, table: pa.Table, *, timeout: float | None = None) -> ObjectID:
        """An Arrow table as the next chunk, which readers get as a data frame."""
        return super().append(table, timeout=timeout)


class DataframeStream(Stream):
    """A stream of `pandas.DataFrame`. Each comes as it was written: its dtypes, index and labels."""

    __slots__ = ()

    TYPENAME: ClassVar[str] = "vineyard::DataframeStream"
    Reader: ClassVar[type[StreamReader]] = DataframeReader
    Writer: ClassVar[type[StreamWriter]] = DataframeWriter
