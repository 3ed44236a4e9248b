# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""All that we use of pandas which is not its public interface, so that one file needs care.

Frames are taken apart into their blocks, and put together from them, so that they stay consolidated
and nothing is copied; datetime and string arrays are made around arrays without looking at them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

try:
    from pandas.api.internals import create_dataframe_from_blocks
except ImportError:  # pandas 2

    def create_dataframe_from_blocks(
        blocks: list[tuple[Any, NDArray[Any]]], index: pd.Index, columns: pd.Index
    ) -> pd.DataFrame:
        from pandas._libs.internals import BlockPlacement
        from pandas.core.internals.blocks import (
            ensure_block_shape,
            maybe_coerce_values,
            new_block_2d,
        )
        from pandas.core.internals.managers import BlockManager

        made = [
            new_block_2d(ensure_block_shape(maybe_coerce_values(v), 2), BlockPlacement(p))
            for v, p in blocks
        ]
        manager = BlockManager(made, [columns, index], verify_integrity=False)
        return pd.DataFrame._from_mgr(manager, manager.axes)


__all__ = [
    "blocks_of",
    "create_dataframe_from_blocks",
    "datetime_array",
    "ndarray_of",
    "set_freq",
    "timedelta_array",
]


def blocks_of(frame: pd.DataFrame) -> list[tuple[Any, NDArray[Any]]]:
    """The blocks of a frame: values (columns × rows, or a 1-d extension array), and the positions
    of its columns."""
    return [(block.values, block.mgr_locs.as_array) for block in frame._mgr.blocks]


def ndarray_of(array: Any) -> NDArray[Any]:
    """The datetime64 or timedelta64 array inside of a DatetimeArray or TimedeltaArray (of one or two
    dimensions); the integers of a PeriodArray."""
    return array._ndarray  # type: ignore[no-any-return]


def datetime_array(values: NDArray[Any], dtype: Any) -> Any:
    """A DatetimeArray around `values` (UTC where `dtype` has a time zone)."""
    return pd.arrays.DatetimeArray._simple_new(values, dtype=dtype)


def timedelta_array(values: NDArray[Any]) -> Any:
    """A TimedeltaArray around `values`."""
    return pd.arrays.TimedeltaArray._simple_new(values, dtype=values.dtype)


def set_freq(index: Any, freq: Any) -> None:
    """Gives a new DatetimeIndex or TimedeltaIndex its frequency, believing it."""
    (index if hasattr(type(index), "_freq") else index._data)._freq = freq


def masked_parts(array: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values and mask of a nullable integer, float or boolean array."""
    return array._data, array._mask


def arrow_of(array: Any) -> Any:
    """The pyarrow ChunkedArray inside of an Arrow-backed array."""
    return array._pa_array


def object_array_of(array: Any) -> NDArray[Any]:
    """The object array inside of a string array that is not Arrow-backed."""
    return array._ndarray  # type: ignore[no-any-return]


def string_array(values: NDArray[Any], dtype: Any) -> Any:
    """A string array around an object array whose items were checked by the caller."""
    return dtype.construct_array_type()._simple_new(values, dtype=dtype)
