# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Every kind of pandas Index.

A RangeIndex stays its three numbers, and a MultiIndex its levels and codes; the other kinds are an
array each (``values_``), of numpy or of pandas (`pandas_arrays`). A frequency is believed: pandas
itself keeps some that it would not infer.

>>> import pandas as pd
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(pd.RangeIndex(3, name="n"))
>>> decode(typename, metadata, buffers)
RangeIndex(start=0, stop=3, step=1, name='n')
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs.pandas_arrays import array_of, checked_for_get, checked_for_put, index_of
from vineyard.codecs.pandas_offsets import freq_node, freq_of
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes


@encodes(pd.RangeIndex)
def _range_node(encoder: Encoder, index: pd.RangeIndex) -> Node:
    return {
        "codec": "pandas.rangeindex",
        "start_": encoder.node(index.start),
        "stop_": encoder.node(index.stop),
        "step_": encoder.node(index.step),
        "name_": encoder.node(index.name),
    }


@decodes("pandas.rangeindex")
def _decode_range(decoder: Decoder, node: dict[str, Any]) -> pd.RangeIndex:
    bounds = [decoder.value(node.get(key)) for key in ("start_", "stop_", "step_")]
    if not all(type(bound) is int for bound in bounds) or bounds[2] == 0:
        corrupted(f"a range of {bounds!r:.60}")
    return pd.RangeIndex(*bounds, name=name_of(decoder, node))


def name_of(decoder: Decoder, node: dict[str, Any]) -> Any:
    """The name of an index or a series, from the key ``name_``."""
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
    values = index.to_numpy() if numpy else index.array
    return {
        "codec": "pandas.index",
        "class_": type(index).__name__,
        "size_": len(index),
        "name_": encoder.node(index.name),
        **freq,
        "values_": encoder.node(checked_for_put(values)),
    }


@decodes("pandas.index")
def _decode_index(decoder: Decoder, node: dict[str, Any]) -> pd.Index:
    name = name_of(decoder, node)
    freq = freq_of(decoder, node)
    values = decoder.value(node.get("values_"))
    if not isinstance(values, (np.ndarray, ExtensionArray)) or values.ndim != 1:
        corrupted("the values of an index are no array of one dimension")
    checked_for_get(values)
    try:
        index = pd.Index(values, dtype=values.dtype, name=name, copy=False)
        if freq is not None:
            if not isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
                corrupted(f"a {type(index).__name__} with a frequency")
            internals.set_freq(index, freq)
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
