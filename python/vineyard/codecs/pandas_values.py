# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""pandas DataFrame, Series, Index and scalars. Imported when the first of them is met.

A frame is stored block by block, as pandas itself holds it: columns of one dtype lie together in one
buffer and come back as one block, a view of the stored bytes. Each block has ``columns_`` (the
positions of its columns) and ``values_`` (columns × rows).

>>> import pandas as pd
>>> from vineyard.codecs import decode, encode
>>> frame = pd.DataFrame([[1, 3], [2, 4]])
>>> typename, metadata, buffers, _ = encode(frame)
>>> typename, [memoryview(b).nbytes for b in buffers]
('vineyard::DataFrame', [32])
>>> decode(typename, metadata, [bytes(b) for b in buffers])
   0  1
0  1  3
1  2  4
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs import timezones
from vineyard.codecs.containers import items_keys, items_of
from vineyard.codecs.pandas_arrays import array_of, freq_node, freq_of, index_of
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes


def _extras(encoder: Encoder, value: pd.DataFrame | pd.Series) -> dict[str, Any]:
    """The keys for what hangs on a frame or a series beside its data."""
    keys: dict[str, Any] = {}
    if value.attrs:
        keys["attrs_"] = encoder.node(value.attrs)
    if not value.flags.allows_duplicate_labels:
        keys["unique_labels_"] = True
    return keys


def _set_extras(decoder: Decoder, node: dict[str, Any], value: Any) -> None:
    if "attrs_" in node:
        attrs = decoder.value(node["attrs_"])
        if type(attrs) is not dict:
            corrupted("attrs are no dict")
        value.attrs = attrs
    if "unique_labels_" in node:
        try:
            value.flags.allows_duplicate_labels = False
        except ValueError as error:
            corrupted(str(error))


def _plain(values: Any) -> Any:
    """Without time zone, datetimes and timedeltas are arrays of numpy to us."""
    if isinstance(values, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):
        if isinstance(values.dtype, np.dtype):
            return internals.ndarray_of(values)
    return values


# ---- DataFrame


@encodes(pd.DataFrame)
def _frame_node(encoder: Encoder, frame: pd.DataFrame) -> Node:
    node: dict[str, Any] = {
        "codec": "pandas.frame",
        "shape_": list(frame.shape),
        "columns_": encoder.node(frame.columns),
        "index_": encoder.node(frame.index),
    }
    node["blocks_"] = [
        {"columns_": _positions(encoder, positions), "values_": encoder.node(_plain(values))}
        for values, positions in internals.blocks_of(frame)
    ]
    return {**node, **_extras(encoder, frame)}


def _positions(encoder: Encoder, positions: Any) -> Any:
    listed = positions.tolist()
    if len(listed) < 8:
        return listed
    step = listed[1] - listed[0]
    if listed == list(range(listed[0], listed[0] + step * len(listed), step or 1)):
        return {"start_": listed[0], "step_": step, "count_": len(listed)}
    return {"codec": "positions", **items_keys(encoder, listed)}


def _positions_of(decoder: Decoder, node: dict[str, Any], columns: int) -> list[int]:
    listed = node.get("columns_")
    if type(listed) is dict:
        if "codec" in listed:
            listed = items_of(decoder, listed)
        else:
            start = decoder.need_int(listed, "start_", 0, columns)
            step = decoder.need_int(listed, "step_", 1, columns)
            count = decoder.need_int(listed, "count_", 0, columns)
            listed = list(range(start, start + step * count, step))
    if type(listed) is not list or not all(type(i) is int and 0 <= i < columns for i in listed):
        corrupted("a block of columns that the frame does not have")
    return listed


@decodes("pandas.frame")
def _decode_frame(decoder: Decoder, node: dict[str, Any]) -> pd.DataFrame:
    columns = index_of(decoder, node, "columns_")
    index = index_of(decoder, node, "index_")
    blocks = []
    seen: set[int] = set()
    count = 0
    for block in decoder.need(node, "blocks_", list):
        if type(block) is not dict:
            corrupted("a block is no JSON object")
        positions = _positions_of(decoder, block, len(columns))
        values = decoder.value(block.get("values_"))
        _check_block(values, len(positions), len(index))
        blocks.append((values, np.array(positions, np.intp)))
        seen.update(positions)
        count += len(positions)
    if count != len(columns) or len(seen) != count:
        corrupted(f"blocks of {count} columns for a frame of {len(columns)}")
    frame = internals.create_dataframe_from_blocks(blocks, index=index, columns=columns)
    _set_extras(decoder, node, frame)
    return frame


def _check_block(values: Any, columns: int, rows: int) -> None:
    if not isinstance(values, (np.ndarray, ExtensionArray)):
        corrupted("a block is no array")
    if values.ndim == 1 and isinstance(values, ExtensionArray):
        fits = columns == 1 and len(values) == rows
    else:
        fits = values.shape == (columns, rows)
    if not fits:
        corrupted(f"a block of shape {values.shape} for {columns} columns and {rows} rows")
    _check_dtype(values)


def _check_dtype(values: Any) -> None:
    """Only what pandas itself holds: other dtypes of numpy would break it later."""
    dtype = values.dtype
    if not isinstance(dtype, np.dtype):
        return
    if dtype.kind not in "biufcmMO" or not dtype.isnative:
        corrupted(f"pandas holds no {dtype}")
    if dtype.kind in "mM" and np.datetime_data(dtype) not in (
        ("s", 1),
        ("ms", 1),
        ("us", 1),
        ("ns", 1),
    ):
        corrupted(f"pandas holds no {dtype}")


# ---- Series


@encodes(pd.Series)
def _series_node(encoder: Encoder, series: pd.Series) -> Node:
    numpy = isinstance(series.dtype, np.dtype)
    node = {
        "codec": "pandas.series",
        "size_": len(series),
        "name_": encoder.node(series.name),
        "index_": encoder.node(series.index),
        "values_": encoder.node(series.to_numpy() if numpy else series.array),
    }
    return {**node, **_extras(encoder, series)}


@decodes("pandas.series")
def _decode_series(decoder: Decoder, node: dict[str, Any]) -> pd.Series:
    name = decoder.value(node.get("name_"))
    if not isinstance(name, Hashable):
        corrupted(f"a name of type {type(name).__name__}")
    index = index_of(decoder, node, "index_")
    values = decoder.value(node.get("values_"))
    if not isinstance(values, (np.ndarray, ExtensionArray)) or values.shape != (len(index),):
        corrupted("the values of a series do not fit its index")
    _check_dtype(values)
    series = pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)
    _set_extras(decoder, node, series)
    return series


# ---- Index


@encodes(pd.RangeIndex)
def _range_node(encoder: Encoder, index: pd.RangeIndex) -> Node:
    return {
        "codec": "pandas.rangeindex",
        "start_": index.start,
        "stop_": index.stop,
        "step_": index.step,
        "name_": encoder.node(index.name),
    }


@decodes("pandas.rangeindex")
def _decode_range(decoder: Decoder, node: dict[str, Any]) -> pd.RangeIndex:
    low, high = -(2**63), 2**63 - 1
    start, stop, step = (decoder.need_int(node, k, low, high) for k in ("start_", "stop_", "step_"))
    if step == 0:
        corrupted("a range with step 0")
    return pd.RangeIndex(start, stop, step, name=_name_of(decoder, node))


def _name_of(decoder: Decoder, node: dict[str, Any]) -> Any:
    name = decoder.value(node.get("name_"))
    if not isinstance(name, Hashable):
        corrupted(f"a name of type {type(name).__name__}")
    return name


@encodes(
    pd.Index,
    pd.DatetimeIndex,
    pd.TimedeltaIndex,
    pd.PeriodIndex,
    pd.CategoricalIndex,
    pd.IntervalIndex,
)
def _index_node(encoder: Encoder, index: pd.Index) -> Node:
    datetimes = isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex))
    numpy = isinstance(index.dtype, np.dtype) and not datetimes
    freq = {"freq_": freq_node(encoder, index.freq)} if datetimes else {}
    return {
        "codec": "pandas.index",
        "class_": type(index).__name__,
        "size_": len(index),
        "name_": encoder.node(index.name),
        **freq,
        "values_": encoder.node(index.to_numpy() if numpy else index.array),
    }


@decodes("pandas.index")
def _decode_index(decoder: Decoder, node: dict[str, Any]) -> pd.Index:
    name = _name_of(decoder, node)
    freq = freq_of(decoder, node)
    values = decoder.value(node.get("values_"))
    if not isinstance(values, (np.ndarray, ExtensionArray)) or values.ndim != 1:
        corrupted("the values of an index are no array of one dimension")
    _check_dtype(values)
    try:
        index = pd.Index(values, dtype=values.dtype, name=name, copy=False)
        if freq is not None:
            if not isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
                corrupted(f"a {type(index).__name__} with a frequency")
            if decoder.pickle:
                internals.set_freq(index, freq)
            else:
                index.freq = freq
    except (ValueError, TypeError, NotImplementedError) as error:
        corrupted(str(error))
    if type(index).__name__ != node.get("class_"):
        corrupted(f"values of dtype {values.dtype} for a {str(node.get('class_'))[:40]}")
    return index


@encodes(pd.MultiIndex)
def _multi_node(encoder: Encoder, index: pd.MultiIndex) -> Node:
    return {
        "codec": "pandas.multiindex",
        "size_": len(index),
        "names_": encoder.node(tuple(index.names)),
        "levels_": [encoder.node(level) for level in index.levels],
        "codes_": [{"values_": encoder.node(np.asarray(codes))} for codes in index.codes],
        "sortorder_": index.sortorder,
    }


@decodes("pandas.multiindex")
def _decode_multi(decoder: Decoder, node: dict[str, Any]) -> pd.MultiIndex:
    names = decoder.value(node.get("names_"))
    if type(names) is not tuple:
        corrupted("the names of a multi-level index are no tuple")
    levels = [
        index_of(decoder, {"codec": "levels", "level": level}, "level")
        for level in decoder.need(node, "levels_", list)
    ]
    codes = [
        array_of(decoder, {"codec": "codes", **_dict(c)}, "values_", "i")
        for c in decoder.need(node, "codes_", list)
    ]
    size = decoder.need_int(node, "size_", 0)
    if not len(names) == len(levels) == len(codes) or any(c.shape != (size,) for c in codes):
        corrupted("names, levels and codes of an index do not belong together")
    sortorder = node.get("sortorder_")
    if sortorder is not None:
        sortorder = decoder.need_int(node, "sortorder_", 0, len(levels))
    try:
        return pd.MultiIndex(
            levels,
            codes,
            names=names,
            sortorder=sortorder,
            verify_integrity=not decoder.pickle,
        )
    except (ValueError, TypeError) as error:
        corrupted(str(error))


def _dict(node: Any) -> dict[str, Any]:
    if type(node) is not dict:
        corrupted("a JSON object is missing")
    return node


# ---- scalars


@encodes(type(pd.NaT), type(pd.NA), atom=True)
def _missing_node(encoder: Encoder, value: Any) -> Node:
    return {"codec": "pandas.missing", "which_": "NaT" if value is pd.NaT else "NA"}


@decodes("pandas.missing")
def _decode_missing(decoder: Decoder, node: dict[str, Any]) -> Any:
    which = node.get("which_")
    if which not in ("NaT", "NA"):
        corrupted(f"a missing value {str(which)[:20]!r}")
    return pd.NaT if which == "NaT" else pd.NA


@encodes(pd.Timestamp)
def _timestamp_node(encoder: Encoder, value: pd.Timestamp) -> Node:
    return {
        "codec": "pandas.timestamp",
        "value_": int(value.asm8.view("i8")),
        "unit_": value.unit,
        "zone_": timezones.encode_zone(encoder, value.tz),
    }


@decodes("pandas.timestamp")
def _decode_timestamp(decoder: Decoder, node: dict[str, Any]) -> pd.Timestamp:
    zone = timezones.zone_of(decoder, node)
    try:
        stamp = pd.Timestamp(np.datetime64(*_moment(decoder, node)))
        if zone is not None:
            stamp = stamp.tz_localize("UTC").tz_convert(zone)
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))
    return stamp


@encodes(pd.Timedelta)
def _delta_node(encoder: Encoder, value: pd.Timedelta) -> Node:
    return {
        "codec": "pandas.delta",
        "value_": int(value.asm8.view("i8")),
        "unit_": value.unit,
    }


@decodes("pandas.delta")
def _decode_delta(decoder: Decoder, node: dict[str, Any]) -> pd.Timedelta:
    try:
        return pd.Timedelta(np.timedelta64(*_moment(decoder, node)))
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))


def _moment(decoder: Decoder, node: dict[str, Any]) -> tuple[int, Any]:
    unit = decoder.need(node, "unit_", str)
    if unit not in ("s", "ms", "us", "ns"):
        corrupted(f"unit {unit[:20]!r}")
    return decoder.need_int(node, "value_", 1 - 2**63, 2**63 - 1), unit


@encodes(pd.Period)
def _period_node(encoder: Encoder, value: pd.Period) -> Node:
    return {"codec": "pandas.one_period", "value_": value.ordinal, "freq_": value.freqstr}


@decodes("pandas.one_period")
def _decode_period(decoder: Decoder, node: dict[str, Any]) -> pd.Period:
    try:
        return pd.Period(
            ordinal=decoder.need_int(node, "value_", -(2**63), 2**63 - 1),
            freq=decoder.need(node, "freq_", str),
        )
    except (ValueError, TypeError) as error:
        corrupted(str(error))


@encodes(pd.Interval)
def _interval_node(encoder: Encoder, value: Any) -> Node:
    return {
        "codec": "pandas.one_interval",
        "left_": encoder.node(value.left),
        "right_": encoder.node(value.right),
        "closed_": value.closed,
    }


@decodes("pandas.one_interval")
def _decode_interval(decoder: Decoder, node: dict[str, Any]) -> Any:
    left, right = decoder.value(node.get("left_")), decoder.value(node.get("right_"))
    try:
        return pd.Interval(left, right, decoder.need(node, "closed_", str))
    except (ValueError, TypeError) as error:
        corrupted(str(error))
