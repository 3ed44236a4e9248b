# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""pandas DataFrame and Series. Imported, with its neighbours, when a value of pandas is met.

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

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

import vineyard.codecs.pandas_dtypes
import vineyard.codecs.pandas_scalars  # noqa: F401
from vineyard.codecs import pandas_internals as internals
from vineyard.codecs.containers import items_keys, items_of
from vineyard.codecs.pandas_arrays import checked_for_get, checked_for_put, index_of
from vineyard.codecs.pandas_indexes import name_of
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
    """The array of a block: without time zone, datetimes and timedeltas are arrays of numpy to us."""
    if isinstance(values, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):
        if isinstance(values.dtype, np.dtype):
            values = internals.ndarray_of(values)
    return checked_for_put(values)


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
    frame = internals.frame_of(blocks, index, columns)
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
    checked_for_get(values)


# ---- Series


@encodes(pd.Series)
def _series_node(encoder: Encoder, series: pd.Series) -> Node:
    numpy = isinstance(series.dtype, np.dtype)
    node = {
        "codec": "pandas.series",
        "size_": len(series),
        "name_": encoder.node(series.name),
        "index_": encoder.node(series.index),
        "values_": encoder.node(checked_for_put(series.to_numpy() if numpy else series.array)),
    }
    return {**node, **_extras(encoder, series)}


@decodes("pandas.series")
def _decode_series(decoder: Decoder, node: dict[str, Any]) -> pd.Series:
    name = name_of(decoder, node)
    index = index_of(decoder, node, "index_")
    values = decoder.value(node.get("values_"))
    if not isinstance(values, (np.ndarray, ExtensionArray)) or values.shape != (len(index),):
        corrupted("the values of a series do not fit its index")
    checked_for_get(values)
    series = pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)
    _set_extras(decoder, node, series)
    return series
