# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means for values of pandas: part by part, down to the bits.

pandas' own comparisons overlook what its values are made of (blocks, codes, levels, what lies under
a missing value), and fail for some that are equal (a name that is NaN, sparse labels in pandas 2), so
the parts are compared here.
"""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype
from same_value import assert_same


def assert_same_pandas(a: Any, b: Any) -> None:
    """Fails unless two values of pandas are of the same type, in all their parts and bits."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, pd.DataFrame):
        _assert_same_extras(a, b)
        _assert_same_index(a.index, b.index)
        _assert_same_index(a.columns, b.columns)
        assert layout(a) == layout(b)
        for x, y in zip(a._mgr.blocks, b._mgr.blocks, strict=True):
            assert_same_array(x.values, y.values)
    elif isinstance(a, pd.Series):
        _assert_same_extras(a, b)
        assert_same(a.name, b.name)
        _assert_same_index(a.index, b.index)
        assert_same_array(a.array, b.array)
    elif isinstance(a, pd.Index):
        _assert_same_index(a, b)
    elif isinstance(a, ExtensionArray):
        assert_same_array(a, b)
    elif isinstance(a, ExtensionDtype):
        assert_same_dtype(a, b)
    elif a is pd.NaT or a is pd.NA:
        assert a is b
    elif isinstance(a, (pd.Timestamp, pd.Timedelta)):
        assert a.unit == b.unit
        assert a.asm8 == b.asm8
        if isinstance(a, pd.Timestamp):
            assert_same_zone(a.tz, b.tz)
            assert a.fold == b.fold
    elif isinstance(a, pd.Period):
        assert a.ordinal == b.ordinal
        assert_same_freq(a.freq, b.freq)
    elif isinstance(a, pd.Interval):
        assert a.closed == b.closed
        assert_same(a.left, b.left)
        assert_same(a.right, b.right)
    elif isinstance(a, pd.offsets.BaseOffset):
        assert_same_freq(a, b)
    else:
        assert a == b


def layout(frame: pd.DataFrame) -> list[Any]:
    """Which columns lie together in which block, block by block."""
    return [
        (block.mgr_locs.as_array.tolist(), str(block.dtype), type(block.values).__name__)
        for block in frame._mgr.blocks
    ]


def _assert_same_extras(a: Any, b: Any) -> None:
    assert a.shape == b.shape
    assert a.flags.allows_duplicate_labels == b.flags.allows_duplicate_labels
    assert_same(a.attrs, b.attrs)


def _assert_same_index(a: pd.Index, b: pd.Index) -> None:
    assert type(a) is type(b), (type(a), type(b))
    assert_same(list(a.names), list(b.names))
    assert len(a) == len(b)
    if isinstance(a, pd.RangeIndex):
        assert (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
    elif isinstance(a, pd.MultiIndex):
        assert a.sortorder == b.sortorder
        for x, y in zip(a.levels, b.levels, strict=True):
            _assert_same_index(x, y)
        for x, y in zip(a.codes, b.codes, strict=True):
            assert_same(np.asarray(x), np.asarray(y))
    else:
        if isinstance(a, (pd.DatetimeIndex, pd.TimedeltaIndex)):
            assert_same_freq(a.freq, b.freq)
        assert_same_array(a.array, b.array)


def assert_same_array(a: Any, b: Any) -> None:
    """The same for what lies inside of a column or an index: an array of numpy or of pandas."""
    assert type(a) is type(b), (type(a), type(b))
    assert_same_dtype(a.dtype, b.dtype)
    assert a.shape == b.shape
    if isinstance(a, np.ndarray):
        assert_same(a, b)
        if a.ndim == 2 and min(a.shape) > 1 and (a.flags.c_contiguous or a.flags.f_contiguous):
            assert a.flags.c_contiguous == b.flags.c_contiguous
    elif isinstance(a, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray)):
        assert_same_freq(getattr(a, "freq", None), getattr(b, "freq", None))
        assert_same(a._ndarray, b._ndarray)
    elif isinstance(a, pd.Categorical):
        assert_same(a.codes, b.codes)
    elif isinstance(a, pd.arrays.IntervalArray):
        _assert_same_index(a.left, b.left)
        _assert_same_index(a.right, b.right)
    elif isinstance(a, pd.arrays.SparseArray):
        _assert_same_sparse(a, b)
    elif hasattr(a, "_mask"):
        assert_same(a._data, b._data)
        assert_same(a._mask, b._mask)
    elif hasattr(a, "_pa_array"):
        x, y = a._pa_array, b._pa_array
        assert x.type == y.type
        assert_same(x.to_pylist(), y.to_pylist())
    else:
        assert_same(a._ndarray, b._ndarray)


def _assert_same_sparse(a: Any, b: Any) -> None:
    assert type(a.sp_index) is type(b.sp_index)
    blocks = hasattr(a.sp_index, "blocs")
    for part in ("blocs", "blengths") if blocks else ("indices",):
        assert_same(getattr(a.sp_index, part), getattr(b.sp_index, part))
    assert_same(a.fill_value, b.fill_value)
    assert_same(a.sp_values, b.sp_values)


def assert_same_dtype(a: Any, b: Any) -> None:
    """The same for dtypes, of numpy or of pandas."""
    assert type(a) is type(b), (type(a), type(b))
    assert str(a) == str(b)
    if isinstance(a, pd.CategoricalDtype):
        assert a.ordered is b.ordered
        assert (a.categories is None) == (b.categories is None)
        if a.categories is not None:
            _assert_same_index(a.categories, b.categories)
    elif isinstance(a, pd.SparseDtype):
        assert_same_dtype(a.subtype, b.subtype)
        assert_same(a.fill_value, b.fill_value)
    elif isinstance(a, pd.IntervalDtype):
        assert a == b
        assert a.closed == b.closed  # without a subtype, == does not look at it
    else:
        assert a == b
        assert getattr(a, "storage", None) == getattr(b, "storage", None)
        assert getattr(a, "na_value", None) is getattr(b, "na_value", None)
        assert_same_zone(getattr(a, "tz", None), getattr(b, "tz", None))


def assert_same_zone(a: Any, b: Any) -> None:
    """The same for time zones."""
    assert type(a) is type(b)
    assert a == b
    assert str(a) == str(b)


def assert_same_freq(a: Any, b: Any) -> None:
    """The same for frequencies."""
    assert type(a) is type(b)
    assert a == b
    if getattr(a, "calendar", None) is not None:
        assert (a.calendar.holidays == b.calendar.holidays).all()
        assert (a.calendar.weekmask == b.calendar.weekmask).all()
