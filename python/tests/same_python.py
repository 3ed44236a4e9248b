# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means for values of Python, numpy and scipy.sparse: to the last bit."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import struct
import uuid

import numpy as np
from same_value import stored
from vineyard.codecs import decode, encode


def kept(value, pickle=False):
    """The value, encoded and decoded, after it was found to be the same; without pickle."""
    back = copied(value, pickle)
    assert_identical(value, back)
    return back


def copied(value, pickle=False):
    return decode(*stored(encode(value, pickle=pickle)), pickle=pickle)


def assert_identical(a, b):
    """Fails unless two values are the same in type, in all parts and in all bits."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, enum.Enum):
        made_anew = isinstance(a, enum.Flag) and type(a)(a._value_) is not a  # of Python 3.11.2
        assert a is b or (made_anew and a._value_ == b._value_)
    elif isinstance(a, np.ndarray):
        assert_identical_arrays(a, b)
    elif isinstance(a, np.generic):
        assert_identical_dtypes(a.dtype, b.dtype)
        assert_identical_arrays(np.asarray(a), np.asarray(b), writeable=True)
    elif isinstance(a, np.dtype):
        assert_identical_dtypes(a, b)
    elif type(a).__module__.startswith("scipy.sparse"):
        _assert_identical_matrices(a, b)
    elif type(a) is float:
        assert struct.pack("<d", a) == struct.pack("<d", b), (a, b)
    elif type(a) is complex:
        assert struct.pack("<2d", a.real, a.imag) == struct.pack("<2d", b.real, b.imag)
    elif isinstance(a, dict):
        _assert_identical_items(list(a), list(b))
        _assert_identical_items(list(a.values()), list(b.values()))
        if isinstance(a, collections.defaultdict):
            assert a.default_factory is b.default_factory
    elif isinstance(a, (list, tuple, collections.deque)):
        _assert_identical_items(a, b)
        assert getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
    elif isinstance(a, (datetime.datetime, datetime.time)):
        assert a.replace(tzinfo=None) == b.replace(tzinfo=None)
        assert a.fold == b.fold
        assert_identical(a.tzinfo, b.tzinfo)
        assert a.utcoffset() == b.utcoffset()
        assert a.tzname() == b.tzname()
    elif isinstance(a, datetime.tzinfo):
        assert repr(a) == repr(b)
        assert a.utcoffset(None) == b.utcoffset(None)
    elif isinstance(a, decimal.Decimal):
        assert a.as_tuple() == b.as_tuple()
    elif isinstance(a, fractions.Fraction):
        assert (a.numerator, a.denominator) == (b.numerator, b.denominator)
    elif isinstance(a, uuid.UUID):
        assert (a.int, a.is_safe) == (b.int, b.is_safe)
    elif isinstance(a, slice):
        _assert_identical_items((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    elif isinstance(a, range):
        assert (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
    elif isinstance(a, memoryview):
        assert b.readonly
        assert (a.format, a.shape, a.itemsize) == (b.format, b.shape, b.itemsize)
        assert a.tobytes() == b.tobytes()
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert hasattr(a, field.name) == hasattr(b, field.name)
            if hasattr(a, field.name):
                assert_identical(getattr(a, field.name), getattr(b, field.name))
        assert_identical(getattr(a, "__dict__", None), getattr(b, "__dict__", None))
    else:
        assert a == b


def _assert_identical_items(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert_identical(x, y)


def assert_identical_dtypes(a, b):
    """Fails unless two dtypes are the same in all that numpy tells about them."""
    assert a == b
    assert type(a) is type(b)
    assert (a.str, a.char, a.type, a.itemsize) == (b.str, b.char, b.type, b.itemsize)
    assert (a.names, a.isalignedstruct, a.shape) == (b.names, b.isalignedstruct, b.shape)
    assert_identical(dict(a.metadata or {}), dict(b.metadata or {}))
    if a.names is not None:
        assert list(a.fields) == list(b.fields)
        for name in a.names:
            assert_identical_dtypes(a.fields[name][0], b.fields[name][0])
            assert a.fields[name][1:] == b.fields[name][1:]
    if a.subdtype is not None:
        assert_identical_dtypes(a.base, b.base)
    if a.kind == "T":
        assert a.coerce == b.coerce
        assert hasattr(a, "na_object") == hasattr(b, "na_object")
        assert type(getattr(a, "na_object", None)) is type(getattr(b, "na_object", None))


def assert_identical_arrays(a, b, writeable=False):
    """Fails unless two arrays are the same, and the second can't be written to."""
    assert_identical_dtypes(a.dtype, b.dtype)
    assert a.shape == b.shape
    assert writeable or not b.flags.writeable
    if isinstance(a, np.ma.MaskedArray):
        assert (np.ma.getmask(a) is np.ma.nomask) == (np.ma.getmask(b) is np.ma.nomask)
        assert_identical_arrays(np.ma.getmaskarray(a), np.ma.getmaskarray(b), writeable=True)
        assert a.hardmask == b.hardmask
        assert (a._fill_value is None) == (b._fill_value is None)
        assert_identical_arrays(np.asarray(a.fill_value), np.asarray(b.fill_value), writeable=True)
        assert_identical_arrays(np.asarray(a.data), np.asarray(b.data))
    elif a.dtype.names is not None:
        for name in a.dtype.names:
            assert_identical_arrays(np.asarray(a[name]), np.asarray(b[name]), writeable)
    elif a.dtype.kind in "OT":
        _assert_identical_items(a.ravel().tolist(), b.ravel().tolist())
    else:
        assert _bits(a) == _bits(b)


def _bits(array):
    data = np.asarray(array).tobytes()
    if array.dtype.char not in "gG":
        return data
    # A long double of x86 has six bytes that mean nothing.
    size = np.dtype("g").itemsize
    used = 10 if np.finfo(np.longdouble).nmant == 63 else size
    return [data[i : i + used] for i in range(0, len(data), size)]


def _assert_identical_matrices(a, b):
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert a.format == b.format
    if a.format == "lil":
        assert [list(map(int, row)) for row in a.rows] == [list(map(int, row)) for row in b.rows]
        for x, y in zip(a.data, b.data, strict=True):
            assert_identical_arrays(np.array(x, a.dtype), np.array(y, a.dtype), writeable=True)
        return
    if a.format == "dok":
        assert list(a.keys()) == list(b.keys())
        for x, y in zip(a.values(), b.values(), strict=True):
            assert_identical_arrays(np.array(x, a.dtype), np.array(y, a.dtype), writeable=True)
        return
    used = len(a.data)
    parts = {"dia": ["offsets"], "coo": list(getattr(a, "_no_parts", []))}.get(a.format)
    if a.format in ("csr", "csc", "bsr"):
        parts, used = ["indices"], int(a.indptr[-1])
        assert_identical_arrays(a.indptr, b.indptr)
        assert a.has_sorted_indices == b.has_sorted_indices
        assert a.has_canonical_format == b.has_canonical_format
    if a.format == "coo":
        assert a.has_canonical_format == b.has_canonical_format
        for x, y in zip(coords_of(a), coords_of(b), strict=True):
            assert_identical_arrays(x, y)
    for part in parts:
        assert_identical_arrays(getattr(a, part)[:used], getattr(b, part))
    assert_identical_arrays(a.data[:used], b.data)


def coords_of(matrix):
    """The coordinates of a coo; before scipy 1.13 they have no common name."""
    return matrix.coords if hasattr(matrix, "coords") else (matrix.row, matrix.col)
