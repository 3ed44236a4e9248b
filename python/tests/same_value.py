# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means, for the tests."""

import math
import struct
from typing import Any

import numpy as np
from vineyard.codecs import decode, encode


def stored(encoded: Any) -> tuple[str, str, list[bytes]]:
    """What `encode` gave, with its buffers copied as a store would copy them."""
    typename, metadata, buffers, members = encoded
    assert not members
    return typename, metadata, [_bytes_of(b) for b in buffers]


def _bytes_of(buffer: Any) -> bytes:
    if isinstance(buffer, np.ndarray):
        assert buffer.flags.c_contiguous
        return buffer.tobytes()
    return bytes(memoryview(buffer).cast("B"))


def round_trip(value: Any, pickle: bool = False) -> Any:
    """The value, encoded and decoded again; by default without pickle."""
    typename, metadata, buffers = stored(encode(value, pickle=pickle))
    first = decode(typename, metadata, buffers, pickle=pickle)
    # A second time, because small arrays take a shorter way then, and data is trusted more.
    second = decode(typename, metadata, buffers, pickle=True)
    assert_same(first, second)
    return first


def assert_kept(value: Any, pickle: bool = False) -> None:
    """Fails unless the value comes back the same."""
    assert_same(value, round_trip(value, pickle))


def assert_same(a: Any, b: Any) -> None:
    """Fails unless two values are equal, of the same types, in all their parts and bits."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, float) and type(a) is float:
        assert struct.pack("<d", a) == struct.pack("<d", b), (a, b)
    elif isinstance(a, complex) and type(a) is complex:
        assert_same(a.real, b.real)
        assert_same(a.imag, b.imag)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert len(a) == len(b)
        for (k, x), (j, y) in zip(a.items(), b.items(), strict=True):
            assert_same(k, j)
            assert_same(x, y)
    elif isinstance(a, np.ndarray):
        _assert_same_array(a, b)
    elif isinstance(a, np.generic):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()
        assert not isinstance(a, str) or str.__str__(a) == str.__str__(b)
    elif type(a).__module__.startswith("pandas"):
        assert_same_pandas(a, b)
    else:
        assert a == b


def _assert_same_array(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.dtype.str == b.dtype.str
    assert a.shape == b.shape
    assert not b.flags.writeable
    if a.dtype == object:
        for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True):
            assert_same(x, y)
    else:
        assert a.tobytes() == b.tobytes()


def assert_same_pandas(a: Any, b: Any) -> None:
    """As `assert_same`, for values of pandas."""
    import pandas as pd

    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(
            a,
            b,
            check_exact=True,
            check_freq=True,
            check_flags=True,
            check_index_type="exact",
            check_column_type="exact",
        )
        assert_same_pandas(a.index, b.index)
        assert_same_pandas(a.columns, b.columns)
        assert_same(a.attrs, b.attrs)
        assert layout(a) == layout(b)
        for i in range(a.shape[1]):
            assert_same_pandas_array(a.iloc[:, i].array, b.iloc[:, i].array)
    elif isinstance(a, pd.Series):
        pd.testing.assert_series_equal(
            a, b, check_exact=True, check_freq=True, check_flags=True, check_index_type="exact"
        )
        assert_same(a.name, b.name)
        assert_same_pandas(a.index, b.index)
        assert_same(a.attrs, b.attrs)
        assert_same_pandas_array(a.array, b.array)
    elif isinstance(a, pd.Index):
        pd.testing.assert_index_equal(a, b, exact=True, check_exact=True)
        assert_same(list(a.names), list(b.names))
        assert getattr(a, "freq", None) == getattr(b, "freq", None)
        if isinstance(a, pd.RangeIndex):
            assert (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
        elif isinstance(a, pd.MultiIndex):
            for x, y in zip(a.levels, b.levels, strict=True):
                assert_same_pandas(x, y)
    elif isinstance(a, pd.api.extensions.ExtensionArray):
        assert_same_pandas_array(a, b)
    else:
        assert (a is b) or a == b
        assert getattr(a, "unit", None) == getattr(b, "unit", None)
        assert str(getattr(a, "tz", None)) == str(getattr(b, "tz", None))


def assert_same_pandas_array(a: Any, b: Any) -> None:
    """As `assert_same`, for what lies inside of a column or an index."""
    assert type(a) is type(b)
    assert a.dtype == b.dtype
    assert str(a.dtype) == str(b.dtype)
    assert getattr(a.dtype, "storage", None) == getattr(b.dtype, "storage", None)
    if a.dtype == object:
        for x, y in zip(a, b, strict=True):
            if isinstance(x, float) and math.isnan(x):
                assert math.isnan(y)
            else:
                assert_same(x, y)


def layout(frame: Any) -> list[Any]:
    """Which columns lie together in which kind of block."""
    return sorted(
        (block.mgr_locs.as_array.tolist(), str(block.dtype), type(block.values).__name__)
        for block in frame._mgr.blocks
    )
