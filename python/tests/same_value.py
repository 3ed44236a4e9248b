# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means, for the tests."""

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
        from same_pandas import assert_same_pandas

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
