# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What comes back of pandas' values are views of the stored bytes."""

import numpy as np
import pandas as pd
import pytest
from same_value import round_trip, stored
from vineyard.codecs import decode, encode


def addresses(array):
    """Where the memory of an array of numpy or of pandas lies."""
    if isinstance(array, np.ndarray):
        yield array.ctypes.data
    if hasattr(array, "_pa_array"):
        for chunk in array._pa_array.chunks:
            yield from (b.address for b in chunk.buffers() if b is not None)
        return
    for name in ("_ndarray", "_data", "_mask", "_codes", "sp_values"):
        if isinstance(getattr(array, name, None), np.ndarray):
            yield getattr(array, name).ctypes.data
    for name in ("_left", "_right"):
        if hasattr(array, name):
            yield from addresses(getattr(array, name))
    if hasattr(array, "sp_index"):
        index = array.sp_index
        parts = [index.blocs, index.blengths] if hasattr(index, "blocs") else [index.indices]
        yield from (part.ctypes.data for part in parts)


N = 1000
VIEWED = {
    "int": np.arange(N),
    "float": np.arange(N * 1.0),
    "complex": np.arange(N) * 1j,
    "text": pd.array(["text"] * N, dtype="string[pyarrow]"),
    "arrow": pd.array([1, None] * (N // 2), dtype="int64[pyarrow]"),
    "naive": pd.date_range("2020", periods=N),
    "zone": pd.date_range("2020", periods=N, tz="UTC"),
    "delta": pd.timedelta_range(0, periods=N, freq="s"),
    "period": pd.period_range("2020", periods=N, freq="D"),
    "category": pd.Categorical(["x", "y"] * (N // 2)),
    "nullable": pd.array([1, None] * (N // 2), dtype="Int64"),
    "interval": pd.arrays.IntervalArray.from_breaks(np.arange(N + 1.0)),
    "interval_zone": pd.interval_range(pd.Timestamp("2020", tz="UTC"), periods=N).array,
    "sparse": pd.arrays.SparseArray([0, 1] * (N // 2)),
    "sparse_blocks": pd.arrays.SparseArray([0, 1] * (N // 2), kind="block"),
}


@pytest.mark.parametrize("name", VIEWED)
def test_columns_and_indexes_are_views_of_the_buffers(name):
    series = pd.Series(VIEWED[name])
    for value in (series, pd.DataFrame({"a": series, "b": series}), pd.Index(series)):
        typename, metadata, buffers = stored(encode(value, pickle=False))
        ranges = [(np.frombuffer(b, np.uint8).ctypes.data, len(b)) for b in buffers if b]
        for pickle in (True, False):
            back = decode(typename, metadata, buffers, pickle=pickle)
            arrays = (
                [block.values for block in back._mgr.blocks]
                if isinstance(back, pd.DataFrame)
                else [back.array]
            )
            found = [address for array in arrays for address in addresses(array)]
            assert found
            for address in found:
                assert any(low <= address < low + size for low, size in ranges)


def test_levels_and_codes_of_a_multi_level_index_are_views_of_the_buffers():
    index = pd.MultiIndex.from_arrays([np.arange(N * 1.0), np.arange(N)])
    typename, metadata, buffers = stored(encode(index, pickle=False))
    back = decode(typename, metadata, buffers)
    ranges = [(np.frombuffer(b, np.uint8).ctypes.data, len(b)) for b in buffers]
    for part in (*back.codes, *(level.to_numpy() for level in back.levels)):
        address = np.asarray(part).ctypes.data
        assert any(low <= address < low + size for low, size in ranges)


def test_what_comes_back_is_read_only():
    back = round_trip(pd.DataFrame({"a": np.arange(3.0)}))
    with pytest.raises(ValueError, match="read-only"):
        back["a"].to_numpy()[0] = 1


def test_slices_store_only_their_own_strings():
    series = pd.Series([f"text {i}" for i in range(10_000)])
    buffers = stored(encode(series.iloc[5000:5010]))[2]
    assert sum(map(len, buffers)) < 1000
