# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Data frames and series of polars, by way of Arrow.

polars hands its columns to pyarrow without a copy, and takes them back so. A frame is stored as the
pyarrow Table that it gives (see `arrow_values`), a series as the table of its frame; ``sorted_``
says which columns are flagged as sorted: ``{"0": "ascending"}``.

What polars 2 gives to pyarrow is not all that it holds. Arrow has no integers of 128 bits: such a
column is stored as a struct of its halves, ``high`` and ``low``, and ``wide_`` says so:
``{"0": "Int128"}``. A value that would not come back with the same dtypes is refused: Python objects,
integers of 128 bits within lists and structs, arrays of width 0, names with a NUL.

==============  ==============================================================
polars.frame    keys of ``arrow.table``, ``sorted_``, ``wide_``
polars.series   the same; one column, of the series' name
==============  ==============================================================
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from vineyard.codecs.arrow_values import decode_table, table_node
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse

if not hasattr(
    pa.DataType, "has_variadic_buffers"
):  # its strings are views, which pyarrow 19 holds
    raise ImportError(
        f"values of polars need pyarrow 19 or later; this is {pa.__version__}", name="pyarrow"
    )
# Older ones hand slices of structs to pyarrow wrongly, and abort the process over some nested types.
if tuple(map(int, pl.__version__.split(".")[:2])) < (1, 44):
    raise ImportError(
        f"values of polars need polars 1.44 or later; this is {pl.__version__}", name="polars"
    )

_FLAGS = {"SORTED_ASC": "ascending", "SORTED_DESC": "descending"}
#: What a panic of polars, which is no Exception, derives from.
_Panic: Any = pl.exceptions.PanicException


class _Stream:
    """A table that shows nothing but its Arrow stream, so that polars reads no more into it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def _frame_of(table: pa.Table) -> pl.DataFrame:
    if table.num_columns == 0:
        return pl.DataFrame(height=table.num_rows) if table.num_rows else pl.DataFrame()
    return pl.DataFrame(_Stream(table))


# ---- put


@encodes(pl.DataFrame)
def _frame_node(encoder: Encoder, frame: pl.DataFrame) -> Node:
    return {**_node(encoder, frame, frame), "codec": "polars.frame"}


@encodes(pl.Series)
def _series_node(encoder: Encoder, series: pl.Series) -> Node:
    return {**_node(encoder, series, series.to_frame()), "codec": "polars.series"}


def _node(encoder: Encoder, value: Any, frame: pl.DataFrame) -> dict[str, Any]:
    whole = frame
    frame, wide = _split(frame)
    for name, dtype in frame.schema.items():
        why = _NUL if "\0" in name else _obstacle(dtype)
        if why:
            refuse(value, f"column {name!r} of dtype {dtype}: {why}")
    try:
        table = pa.table(frame)
        empty = _frame_of(table.slice(0, 0))
    except (pa.ArrowException, pl.exceptions.PolarsError, _Panic, TypeError) as error:
        refuse(value, f"polars and pyarrow can't exchange it: {error}")
    if empty.schema != frame.schema:
        refuse(value, f"it would come back with the dtypes {list(empty.schema.values())}")
    node = {**table_node(encoder, table), "from_polars": True}
    if wide:
        node["wide_"] = wide
    flags = _sorted_columns(whole)
    return {**node, "sorted_": flags} if flags else node


def _obstacle(dtype: Any) -> str | None:
    """Why a dtype can't be stored, or None."""
    if dtype == pl.Object:
        return "Python objects are nothing that Arrow holds"
    if dtype in _WIDE.values():
        return "Arrow has no integers of 128 bits; cast it to Decimal or to String"
    if isinstance(dtype, pl.Array) and dtype.size == 0:
        return "polars can't take arrays of width 0 back"
    inner = [dtype.inner] if isinstance(dtype, (pl.List, pl.Array)) else []
    if isinstance(dtype, pl.Struct):
        if any("\0" in field.name for field in dtype.fields):
            return _NUL
        inner = [field.dtype for field in dtype.fields]
    for part in inner:
        why = _obstacle(part)
        if why:
            return why
    return None


_NUL = "polars can't hand a name with a NUL in it to anybody (it aborts)"


# ---- integers of 128 bits

_WIDE: dict[str, Any] = {
    name: getattr(pl, name) for name in ("Int128", "UInt128") if hasattr(pl, name)
}
_HALVES: dict[str, Any] = {"Int128": pl.Int64, "UInt128": pl.UInt64}  # the upper one's dtype


def _split(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """The frame with halves in the place of wide integers, and which columns those are."""
    wide = {}
    for i, (name, dtype) in enumerate(frame.schema.items()):
        if dtype in _WIDE.values():
            wide[str(i)] = str(dtype)
            column = frame.to_series(i).alias("whole").to_frame()
            scale = pl.lit(2**64, dtype=dtype)
            high = (pl.col("whole") // scale).alias("high")
            low = (pl.col("whole") - pl.col("high") * scale).cast(pl.UInt64).alias("low")
            halves = column.with_columns(high).select(pl.col("high").cast(_HALVES[str(dtype)]), low)
            frame = frame.clone().replace_column(i, halves.to_struct(name))
    return frame, wide


def _joined(frame: pl.DataFrame, wide: dict[str, Any]) -> pl.DataFrame:
    """The reverse of `_split`."""
    for key, name in wide.items():
        if name not in _WIDE or not key.isdecimal() or int(key) >= frame.width:
            corrupted(f"column {key[:20]!r} has integers {str(name)[:20]!r}")
        halves = frame.to_series(int(key))
        if halves.dtype != pl.Struct({"high": _HALVES[name], "low": pl.UInt64}):
            corrupted(f"integers of 128 bits made of {halves.dtype}")
        high, low = (pl.col(part).cast(_WIDE[name]) for part in ("high", "low"))
        whole = high * pl.lit(2**64, dtype=_WIDE[name]) + low
        column = halves.struct.unnest().select(whole.alias("whole")).to_series()
        frame = frame.replace_column(int(key), column.alias(halves.name))
    return frame


def _sorted_columns(frame: pl.DataFrame) -> dict[str, str]:
    found = {}
    for i, column in enumerate(frame.get_columns()):
        for flag, order in _FLAGS.items():
            if column.flags.get(flag):
                found[str(i)] = order
    return found


@encodes(pl.LazyFrame)
def _refuse_lazy(encoder: Encoder, frame: pl.LazyFrame) -> Node:
    refuse(frame, "it is a plan, which may read what changes; store what frame.collect() gives")


# ---- get


@decodes("polars.frame")
def _decode_frame(decoder: Decoder, node: dict[str, Any]) -> pl.DataFrame:
    table = decode_table(decoder, node)
    for field in table.schema:
        _check_type(field.type)
    try:
        frame = _frame_of(table)
    except _Panic as error:
        corrupted(f"polars says: {error}")
    if "wide_" in node:
        frame = _joined(frame, decoder.need(node, "wide_", dict))
    return _with_flags(decoder, node, frame)


def _check_type(arrow_type: Any) -> None:
    """Refuses what polars never gives. Comparing decimals of 32 or 64 bits, it reads behind them."""
    if pa.types.is_decimal(arrow_type) and arrow_type.bit_width != 128:
        corrupted(f"polars has no decimals of {arrow_type.bit_width} bits")
    if pa.types.is_dictionary(arrow_type):
        _check_type(arrow_type.value_type)
    elif pa.types.is_nested(arrow_type):
        for i in range(arrow_type.num_fields):
            _check_type(arrow_type.field(i).type)


@decodes("polars.series")
def _decode_series(decoder: Decoder, node: dict[str, Any]) -> pl.Series:
    frame = _decode_frame(decoder, node)
    if frame.width != 1:
        corrupted(f"a series of {frame.width} columns")
    return frame.to_series(0)


def _with_flags(decoder: Decoder, node: dict[str, Any], frame: pl.DataFrame) -> pl.DataFrame:
    flags = decoder.need(node, "sorted_", dict) if "sorted_" in node else {}
    columns = frame.get_columns()
    for key, order in flags.items():
        if order not in _FLAGS.values() or not key.isdecimal() or int(key) >= len(columns):
            corrupted(f"column {key[:20]!r} is sorted {str(order)[:20]!r}")
        column, descending = columns[int(key)], order == "descending"
        if not decoder.pickle and not _is_sorted(column, descending):
            corrupted(f"column {key} is not sorted, and flagged so")
        frame = frame.replace_column(int(key), column.set_sorted(descending=descending))
    return frame


def _is_sorted(column: pl.Series, descending: bool) -> bool:
    try:  # nulls stand at either end
        return any(column.is_sorted(descending=descending, nulls_last=n) for n in (True, False))
    except (pl.exceptions.PolarsError, _Panic):
        return True  # no order that polars knows: nothing it would rely on
