# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""All that we use of pandas which is not its public interface, so that one file needs care.

Frames are taken apart into their blocks, and put together from them, so that they stay consolidated
and nothing is copied; datetime and string arrays are made around arrays without looking at them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas._libs.sparse import BlockIndex, IntIndex

try:
    from pandas.api.internals import create_dataframe_from_blocks
except ImportError:  # pandas 2
    from pandas._libs.internals import BlockPlacement
    from pandas.core.internals.blocks import (
        ensure_block_shape,
        maybe_coerce_values,
        new_block_2d,
    )
    from pandas.core.internals.managers import BlockManager

    def create_dataframe_from_blocks(
        blocks: list[tuple[Any, NDArray[Any]]], index: pd.Index, columns: pd.Index
    ) -> pd.DataFrame:
        made = [
            new_block_2d(ensure_block_shape(maybe_coerce_values(v), 2), BlockPlacement(p))
            for v, p in blocks
        ]
        manager = BlockManager(made, [columns, index], verify_integrity=False)
        return pd.DataFrame._from_mgr(manager, manager.axes)


def blocks_of(frame: pd.DataFrame) -> list[tuple[Any, NDArray[Any]]]:
    """The blocks of a frame: values (columns × rows, or a 1-d extension array), and the positions
    of its columns."""
    return [(block.values, block.mgr_locs.as_array) for block in frame._mgr.blocks]


def frame_of(
    blocks: list[tuple[Any, NDArray[Any]]], index: pd.Index, columns: pd.Index
) -> pd.DataFrame:
    """The reverse of `blocks_of`; each column of the frame must be in one block."""
    return create_dataframe_from_blocks(blocks, index=index, columns=columns)


def ndarray_of(array: Any) -> NDArray[Any]:
    """The datetime64 or timedelta64 array inside of a DatetimeArray or TimedeltaArray (of one or two
    dimensions); the integers of a PeriodArray."""
    return array._ndarray  # type: ignore[no-any-return]


def datetime_array(values: NDArray[Any], dtype: Any, freq: Any = None) -> Any:
    """A DatetimeArray around `values` (UTC where `dtype` has a time zone)."""
    return _with_freq(pd.arrays.DatetimeArray._simple_new(values, dtype=dtype), freq)


def timedelta_array(values: NDArray[Any], freq: Any = None) -> Any:
    """A TimedeltaArray around `values`."""
    return _with_freq(pd.arrays.TimedeltaArray._simple_new(values, dtype=values.dtype), freq)


#: In pandas 2 arrays of datetimes have a frequency; later only their indexes have.
_ARRAYS_HAVE_FREQ = hasattr(pd.arrays.DatetimeArray, "_freq")


def array_freq(array: Any) -> Any:
    """The frequency of a DatetimeArray or TimedeltaArray, or None."""
    return array._freq if _ARRAYS_HAVE_FREQ else None


def _with_freq(array: Any, freq: Any) -> Any:
    if _ARRAYS_HAVE_FREQ:
        array._freq = freq
    return array


def period_dtype(freq: str) -> Any:
    """The dtype of periods of this frequency, without the advice not to have business days."""
    if not freq.endswith("B"):
        return pd.PeriodDtype(freq)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pd.PeriodDtype(freq)


def freqstr_of(periods: Any) -> str:
    """The text of the frequency of a PeriodArray, without that advice."""
    return str(periods.dtype._freqstr)


def period(ordinal: int, freq: str) -> pd.Period:
    """The period of that number, without that advice."""
    return pd.arrays.PeriodArray(np.array([ordinal]), dtype=period_dtype(freq))[0]


def set_freq(index: Any, freq: Any) -> None:
    """Gives a new DatetimeIndex or TimedeltaIndex its frequency, believing it."""
    (index._data if _ARRAYS_HAVE_FREQ else index)._freq = freq


def believed_categories(categories: pd.Index, ordered: bool | None) -> pd.CategoricalDtype:
    """The dtype of these categories, without a look at whether one is missing or there twice."""
    return pd.CategoricalDtype._from_fastpath(categories, ordered)


def masked_parts(array: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values and mask of a nullable integer, float or boolean array."""
    return array._data, array._mask


def interval_parts(array: Any) -> tuple[Any, Any]:
    """The left and the right ends of an IntervalArray: arrays of numpy or of pandas."""
    return array._left, array._right


def interval_array(left: Any, right: Any, dtype: Any) -> Any:
    """An IntervalArray around its ends."""
    return pd.arrays.IntervalArray._simple_new(left, right, dtype=dtype)


def arrow_of(array: Any) -> Any:
    """The pyarrow ChunkedArray inside of an Arrow-backed array."""
    return array._pa_array


def object_array_of(array: Any) -> NDArray[Any]:
    """The object array inside of a string array that is not Arrow-backed."""
    return array._ndarray  # type: ignore[no-any-return]


def string_array(values: NDArray[Any], dtype: Any) -> Any:
    """A string array around an object array whose items were checked by the caller."""
    return dtype.construct_array_type()._simple_new(values, dtype=dtype)


def sparse_places(index: Any) -> dict[str, NDArray[np.int32]]:
    """Where the values of a sparse array stand, by the keys that we store it under."""
    if isinstance(index, IntIndex):
        return {"indices_": index.indices}
    return {"starts_": index.blocs, "lengths_": index.blengths}


def sparse_index(size: int, places: dict[str, NDArray[np.int32]]) -> Any:
    """The reverse of `sparse_places`; ValueError if a place is outside of `size`."""
    if "indices_" in places:
        return IntIndex(size, places["indices_"], check_integrity=True)
    starts, lengths = places["starts_"], places["lengths_"]
    if (starts < 0).any() or (lengths < 0).any() or lengths.sum(dtype=np.int64) > size:
        raise ValueError("blocks outside of the sparse array")
    return BlockIndex(size, starts, lengths)


def sparse_array(values: NDArray[Any], index: Any, dtype: Any) -> Any:
    """A SparseArray of these values at the places of `index`, of which there are as many."""
    return pd.arrays.SparseArray._simple_new(values, index, dtype)


def empty_array(dtype: Any) -> Any:
    """An array of no items of an extension dtype."""
    if isinstance(dtype, pd.PeriodDtype):  # the other way gives the advice about business days
        return pd.arrays.PeriodArray(np.empty(0, np.int64), dtype=dtype)
    return dtype.construct_array_type()._from_sequence([], dtype=dtype)
