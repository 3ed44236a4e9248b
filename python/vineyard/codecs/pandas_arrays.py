# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Extension arrays of pandas: each as the arrays it consists of.

==================  ============================================================
codec               parts
==================  ============================================================
pandas.datetime     ``values_`` (datetime64), ``zone_``
pandas.timedelta    ``values_`` (timedelta64)
pandas.period       ``values_`` (int64), ``freq_``
pandas.categorical  ``codes_``, ``categories_`` (an index), ``ordered_``
pandas.masked       ``values_``, ``mask_`` (nullable integers, floats, booleans)
pandas.interval     ``left_``, ``right_`` (indexes), ``closed_``
pandas.string       ``values_`` (Arrow chunks, or an object array), ``na_``
pandas.arrow        ``values_`` (Arrow chunks)
pandas.numpy        ``values_``
==================  ============================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs import timezones
from vineyard.codecs.tree import (
    LAZY_DECODERS,
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
)
from vineyard.errors import UnknownLayoutException

LAZY_DECODERS.setdefault("arrow", "vineyard.codecs.arrow_values")


# ---- frequencies


def freq_node(encoder: Encoder, freq: Any) -> Node:
    """A frequency as its text, where that means the same frequency; else as a pickle."""
    if freq is None:
        return None
    try:
        if to_offset(freq.freqstr) == freq:
            return str(freq.freqstr)
    except ValueError:
        pass
    from vineyard.codecs.pickled import encode_pickle

    return encode_pickle(encoder, freq)


def freq_of(decoder: Decoder, node: dict[str, Any]) -> Any:
    """The reverse of `freq_node`, for the key ``freq_``."""
    freq = decoder.value(node.get("freq_"))
    if type(freq) is not str:
        return freq
    try:
        return to_offset(freq)
    except (ValueError, KeyError) as error:
        corrupted(f"frequency {freq[:40]!r}: {error}")


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


def _checked_unit(array: Any) -> None:
    if np.datetime_data(array.dtype) not in (("s", 1), ("ms", 1), ("us", 1), ("ns", 1)):
        corrupted(f"pandas has no {array.dtype}")
    if not array.dtype.isnative:
        corrupted("pandas has no big-endian datetimes")


# ---- datetimes, timedeltas, periods


@encodes(pd.arrays.DatetimeArray)
def _datetime_node(encoder: Encoder, array: Any) -> Node:
    return {
        "codec": "pandas.datetime",
        "values_": encoder.node(internals.ndarray_of(array)),
        "zone_": timezones.encode_zone(encoder, array.tz),
    }


@decodes("pandas.datetime")
def _decode_datetime(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = array_of(decoder, node, "values_", "M")
    _checked_unit(values)
    zone = timezones.zone_of(decoder, node)
    dtype: Any = values.dtype
    if zone is not None:
        try:
            dtype = pd.DatetimeTZDtype(np.datetime_data(values.dtype)[0], zone)
        except (TypeError, AttributeError, ValueError) as error:
            corrupted(str(error))
    return internals.datetime_array(values, dtype)


@encodes(pd.arrays.TimedeltaArray)
def _timedelta_node(encoder: Encoder, array: Any) -> Node:
    return {
        "codec": "pandas.timedelta",
        "values_": encoder.node(internals.ndarray_of(array)),
    }


@decodes("pandas.timedelta")
def _decode_timedelta(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = array_of(decoder, node, "values_", "m")
    _checked_unit(values)
    return internals.timedelta_array(values)


@encodes(pd.arrays.PeriodArray)
def _period_node(encoder: Encoder, array: Any) -> Node:
    values = internals.ndarray_of(array)
    return {
        "codec": "pandas.period",
        "values_": encoder.node(values),
        "freq_": array.freqstr,
    }


@decodes("pandas.period")
def _decode_period(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = array_of(decoder, node, "values_", "i")
    try:
        dtype = pd.PeriodDtype(decoder.need(node, "freq_", str))
        return pd.arrays.PeriodArray(values, dtype=dtype, copy=False)
    except (ValueError, TypeError, KeyError) as error:
        corrupted(str(error))


# ---- categories, nullable values, intervals


@encodes(pd.Categorical)
def _categorical_node(encoder: Encoder, array: pd.Categorical) -> Node:
    return {
        "codec": "pandas.categorical",
        "ordered_": bool(array.ordered),
        "categories_": encoder.node(array.categories),
        "codes_": encoder.node(array.codes),
    }


@decodes("pandas.categorical")
def _decode_categorical(decoder: Decoder, node: dict[str, Any]) -> Any:
    categories = index_of(decoder, node, "categories_")
    codes = array_of(decoder, node, "codes_", "i")
    try:
        dtype = pd.CategoricalDtype(categories, decoder.need(node, "ordered_", bool))
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
    return {
        "codec": "pandas.interval",
        "closed_": array.closed,
        "left_": encoder.node(array.left),
        "right_": encoder.node(array.right),
    }


@decodes("pandas.interval")
def _decode_interval(decoder: Decoder, node: dict[str, Any]) -> Any:
    left = index_of(decoder, node, "left_")
    right = index_of(decoder, node, "right_")
    try:
        closed: Any = decoder.need(node, "closed_", str)
        return pd.arrays.IntervalArray.from_arrays(left, right, closed, copy=False)
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
    return {"codec": "pandas.numpy", "values_": encoder.node(array.to_numpy())}


@decodes("pandas.numpy")
def _decode_numpy(decoder: Decoder, node: dict[str, Any]) -> Any:
    values = decoder.value(node.get("values_"))
    if type(values) is not np.ndarray or values.ndim != 1:
        corrupted("an array of pandas that is none of numpy")
    return pd.arrays.NumpyExtensionArray(values, copy=False)
