# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Extension arrays of pandas: each as the arrays it consists of.

==================  ============================================================
codec               parts
==================  ============================================================
pandas.datetime     ``values_`` (datetime64), ``zone_``, ``freq_`` (pandas 2, where there is one)
pandas.timedelta    ``values_`` (timedelta64), ``freq_``
pandas.period       ``values_`` (int64), ``freq_``
pandas.categorical  ``codes_``, ``categories_`` (an index), ``ordered_``
pandas.masked       ``values_``, ``mask_`` (nullable integers, floats, booleans)
pandas.interval     ``left_``, ``right_``, ``closed_``
pandas.string       ``values_`` (Arrow chunks, or an object array), ``na_``
pandas.arrow        ``values_`` (Arrow chunks)
pandas.numpy        ``values_``
pandas.sparse       ``values_``, ``fill_``, ``size_``, and where the values stand:
                    ``indices_``, or ``starts_`` and ``lengths_`` of blocks
==================  ============================================================
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs import timezones
from vineyard.codecs.pandas_offsets import freq_node, freq_of
from vineyard.codecs.tree import (
    LAZY_DECODERS,
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
    refuse,
)
from vineyard.errors import UnknownLayoutException

LAZY_DECODERS.setdefault("arrow", "vineyard.codecs.arrow_values")


# ---- helpers of the decoders


def array_of(decoder: Decoder, node: dict[str, Any], key: str, kinds: str) -> Any:
    """The numpy array that is the value of ``node[key]``, of one of these kinds of dtype."""
    array = decoder.value(node.get(key))
    if type(array) is not np.ndarray or array.dtype.kind not in kinds:
        corrupted(f"{key!r} of codec {node['codec']!r} is no array of kind {kinds!r}")
    return array


def index_of(decoder: Decoder, node: dict[str, Any], key: str) -> pd.Index:
    """The index that is the value of ``node[key]``."""
    index = decoder.value(node.get(key))
    if not isinstance(index, pd.Index):
        corrupted(f"{key!r} of codec {node.get('codec')!r} is no index")
    return index


def holds(dtype: np.dtype[Any]) -> bool:
    """Whether pandas itself holds arrays of this dtype of numpy; others would break it later."""
    if dtype.kind in "mM":
        units = (("s", 1), ("ms", 1), ("us", 1), ("ns", 1))
        return dtype.isnative and np.datetime_data(dtype) in units
    return dtype.kind in "biufcOSV" and dtype.names is None


def checked_for_put(values: Any) -> Any:
    """The array; refused, if it is one of numpy that pandas does not hold."""
    if isinstance(values, np.ndarray) and not holds(values.dtype):
        refuse(values, f"pandas holds no {values.dtype}")
    return values


def checked_for_get(values: Any) -> Any:
    """The array; said to be damaged, if it is one of numpy that pandas does not hold."""
    if isinstance(values, np.ndarray) and not holds(values.dtype):
        corrupted(f"pandas holds no {values.dtype}")
    return values


# ---- datetimes, timedeltas, periods


def _freq_keys(encoder: Encoder, array: Any) -> dict[str, Node]:
    freq = internals.array_freq(array)
    return {} if freq is None else {"freq_": freq_node(encoder, freq)}


@encodes(pd.arrays.DatetimeArray)
def _datetime_node(encoder: Encoder, array: Any) -> Node:
    return {
        "codec": "pandas.datetime",
        "values_": encoder.node(internals.ndarray_of(array)),
        "zone_": timezones.encode_zone(encoder, array.tz),
        **_freq_keys(encoder, array),
    }


@decodes("pandas.datetime")
def _decode_datetime(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = checked_for_get(array_of(decoder, node, "values_", "M"))
    zone = timezones.zone_of(decoder, node)
    dtype: Any = values.dtype
    if zone is not None:
        try:
            dtype = pd.DatetimeTZDtype(np.datetime_data(values.dtype)[0], zone)
        except (TypeError, AttributeError, ValueError) as error:
            corrupted(str(error))
    return internals.datetime_array(values, dtype, freq_of(decoder, node))


@encodes(pd.arrays.TimedeltaArray)
def _timedelta_node(encoder: Encoder, array: Any) -> Node:
    return {
        "codec": "pandas.timedelta",
        "values_": encoder.node(internals.ndarray_of(array)),
        **_freq_keys(encoder, array),
    }


@decodes("pandas.timedelta")
def _decode_timedelta(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = checked_for_get(array_of(decoder, node, "values_", "m"))
    return internals.timedelta_array(values, freq_of(decoder, node))


@encodes(pd.arrays.PeriodArray)
def _period_node(encoder: Encoder, array: Any) -> Node:
    values = internals.ndarray_of(array)
    return {
        "codec": "pandas.period",
        "values_": encoder.node(values),
        "freq_": internals.freqstr_of(array),
    }


@decodes("pandas.period")
def _decode_period(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = array_of(decoder, node, "values_", "i")
    try:
        dtype = internals.period_dtype(decoder.need(node, "freq_", str))
        return pd.arrays.PeriodArray(values, dtype=dtype, copy=False)
    except (ValueError, TypeError, KeyError) as error:
        corrupted(str(error))


# ---- categories, nullable values, intervals


@encodes(pd.Categorical)
def _categorical_node(encoder: Encoder, array: pd.Categorical) -> Node:
    return {
        "codec": "pandas.categorical",
        "ordered_": array.ordered,
        "categories_": encoder.node(array.categories),
        "codes_": encoder.node(array.codes),
    }


def ordered_of(node: dict[str, Any]) -> bool | None:
    """Whether categories are ordered; None: nobody said."""
    ordered = node.get("ordered_")
    if ordered is not None and type(ordered) is not bool:
        corrupted(f"categories that are ordered: {ordered!r:.20}")
    return ordered


@decodes("pandas.categorical")
def _decode_categorical(decoder: Decoder, node: dict[str, Any]) -> Any:
    categories = index_of(decoder, node, "categories_")
    codes = array_of(decoder, node, "codes_", "i")
    try:
        if decoder.pickle:  # not looked at: of many categories a get costs nothing
            dtype = internals.believed_categories(categories, ordered_of(node))
        else:
            dtype = pd.CategoricalDtype(categories, ordered_of(node))
        return pd.Categorical.from_codes(codes, dtype=dtype, validate=not decoder.pickle)
    except (ValueError, TypeError) as error:
        corrupted(str(error))


@encodes(
    pd.arrays.BooleanArray,
    pd.arrays.IntegerArray,
    pd.arrays.FloatingArray,
)
def _masked_node(encoder: Encoder, array: Any) -> Node:
    values, mask = internals.masked_parts(array)
    return {
        "codec": "pandas.masked",
        "values_": encoder.node(values),
        "mask_": encoder.node(mask),
    }


@decodes("pandas.masked")
def _decode_masked(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = array_of(decoder, node, "values_", "biuf")
    mask = array_of(decoder, node, "mask_", "b")
    made = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(
        values.dtype.kind, pd.arrays.IntegerArray
    )
    if values.shape != mask.shape or not values.dtype.isnative:
        corrupted("values and mask do not belong together")
    try:
        return made(values, mask, copy=False)
    except (ValueError, TypeError) as error:
        corrupted(str(error))


@encodes(pd.arrays.IntervalArray)
def _interval_node(encoder: Encoder, array: Any) -> Node:
    left, right = internals.interval_parts(array)
    return {
        "codec": "pandas.interval",
        "closed_": array.closed,
        "left_": encoder.node(left),
        "right_": encoder.node(right),
    }


@decodes("pandas.interval")
def _decode_interval(decoder: Decoder, node: dict[str, Any]) -> Any:
    closed: Any = decoder.need(node, "closed_", str)
    left, right = (checked_for_get(decoder.value(node.get(key))) for key in ("left_", "right_"))
    for part in (left, right):
        if not isinstance(part, (np.ndarray, ExtensionArray)) or part.ndim != 1:
            corrupted("an end of intervals is no array of one dimension")
    if left.dtype != right.dtype or len(left) != len(right):
        corrupted("the ends of intervals do not belong together")
    try:
        dtype = pd.IntervalDtype(left.dtype, closed)
        if not decoder.pickle:
            pd.arrays.IntervalArray.from_arrays(left, right, closed)
        return internals.interval_array(left, right, dtype)
    except (ValueError, TypeError) as error:
        corrupted(str(error))


# ---- strings and Arrow


def _string_node(encoder: Encoder, array: Any) -> Node:
    dtype = array.dtype
    na = "NA" if dtype.na_value is pd.NA else "nan"
    storage = "pyarrow" if dtype.storage.startswith("pyarrow") else dtype.storage
    node = {"codec": "pandas.string", "storage_": storage, "na_": na}
    if storage == "pyarrow":
        from vineyard.codecs.arrow_values import chunked_node

        return {**node, "values_": chunked_node(encoder, internals.arrow_of(array))}
    items = np.array(internals.object_array_of(array), object)
    items[pd.isna(items)] = None
    return {**node, "values_": encoder.node(items)}


def string_dtype(storage: Any, na: Any) -> Any:
    """The string dtype of pandas with this storage and this missing value."""
    if storage not in ("pyarrow", "python") or na not in ("NA", "nan"):
        corrupted(f"a string dtype of {storage!r} and {na!r}")
    return _string_dtype(storage, na)


@lru_cache
def _string_dtype(storage: Any, na: str) -> Any:
    if na == "NA":
        return pd.StringDtype(storage)
    try:
        return pd.StringDtype(storage, na_value=np.nan)
    except TypeError:  # before pandas 2.3
        if storage == "pyarrow":
            return pd.StringDtype("pyarrow_numpy")
        raise UnknownLayoutException(
            "strings of the dtype 'str' that were stored without pyarrow need pandas 2.3"
        ) from None


@decodes("pandas.string")
def _decode_string(decoder: Decoder, node: dict[str, Any]) -> Any:
    dtype = string_dtype(node.get("storage_"), node.get("na_"))
    values = decoder.value(node.get("values_"))
    if dtype.storage.startswith("pyarrow"):
        import pyarrow as pa

        if not isinstance(values, pa.ChunkedArray) or "string" not in str(values.type):
            corrupted("strings that are no Arrow strings")
        return dtype.__from_arrow__(values)
    if type(values) is not np.ndarray or values.dtype != object or values.ndim not in (1, 2):
        corrupted("strings that are no object array")
    items = np.array(values)
    missing = np.array([v is None for v in items.ravel()], bool).reshape(items.shape)
    if not all(type(v) is str for v in items[~missing]):
        corrupted("strings that are no strings")
    items[missing] = dtype.na_value
    items.flags.writeable = False
    return internals.string_array(items, dtype)


for _name in ("ArrowStringArray", "StringArray"):
    encodes(getattr(pd.arrays, _name))(_string_node)
for _dtype in ("pyarrow", "python"):
    try:
        encodes(string_dtype(_dtype, "nan").construct_array_type())(_string_node)
    except (ImportError, UnknownLayoutException):  # no pyarrow, or an old pandas
        pass


@encodes(pd.arrays.ArrowExtensionArray)
def _arrow_node(encoder: Encoder, array: Any) -> Node:
    from vineyard.codecs.arrow_values import chunked_node

    return {"codec": "pandas.arrow", "values_": chunked_node(encoder, internals.arrow_of(array))}


@decodes("pandas.arrow")
def _decode_arrow(decoder: Decoder, node: dict[str, Any]) -> Any:
    import pyarrow as pa

    values = decoder.value(node.get("values_"))
    if not isinstance(values, pa.ChunkedArray):
        corrupted("an Arrow-backed array without Arrow")
    return pd.arrays.ArrowExtensionArray(values)


@encodes(pd.arrays.NumpyExtensionArray)
def _numpy_node(encoder: Encoder, array: Any) -> Node:
    return {"codec": "pandas.numpy", "values_": encoder.node(internals.ndarray_of(array))}


@decodes("pandas.numpy")
def _decode_numpy(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = decoder.value(node.get("values_"))
    if type(values) is not np.ndarray or values.ndim not in (1, 2):
        corrupted("an array of pandas that is none of numpy")
    return pd.arrays.NumpyExtensionArray(values, copy=False)


# ---- sparse


@encodes(pd.arrays.SparseArray)
def _sparse_node(encoder: Encoder, array: pd.arrays.SparseArray) -> Node:
    parts = internals.sparse_places(array.sp_index)
    return {
        "codec": "pandas.sparse",
        "type_": str(array.dtype.subtype),
        "size_": len(array),
        "fill_": encoder.node(array.fill_value),
        "values_": encoder.node(array.sp_values),
        **{key: encoder.node(part) for key, part in parts.items()},
    }


@decodes("pandas.sparse")
def _decode_sparse(decoder: Decoder, node: dict[str, Any]) -> Any:
    size = decoder.need_int(node, "size_", 0, 2**63 - 1)
    values = checked_for_get(decoder.value(node.get("values_")))
    if type(values) is not np.ndarray or values.ndim != 1:
        corrupted("the values of a sparse array are no array of one dimension")
    keys = ("indices_",) if "indices_" in node else ("starts_", "lengths_")
    parts = {key: array_of(decoder, node, key, "i") for key in keys}
    if any(part.dtype != np.int32 or part.ndim != 1 for part in parts.values()):
        corrupted("the places of a sparse array are no 32-bit integers")
    try:
        places = internals.sparse_index(size, parts)
        if places.npoints != len(values):
            corrupted(f"{len(values)} values for {places.npoints} places")
        dtype = pd.SparseDtype(values.dtype, decoder.value(node.get("fill_")))
        return internals.sparse_array(values, places, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))
