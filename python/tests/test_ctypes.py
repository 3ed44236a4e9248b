# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""ctypes: numbers, structures and unions, and arrays of them."""

import ctypes
import json

import pytest
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import (
    CorruptedException,
    NotAvailableHereException,
    PickleRefusedException,
    TypeErrorException,
)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("a", ctypes.c_char), ("b", ctypes.c_longlong)]


class Bits(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint, 3), ("high", ctypes.c_uint, 29)]


class Either(ctypes.Union):
    _anonymous_ = ("point",)
    _fields_ = [("number", ctypes.c_double), ("point", Point), ("bytes", ctypes.c_ubyte * 16)]


class Derived(Point):
    _fields_ = [("z", ctypes.c_float), ("many", (Point * 2) * 3)]


class Swapped(ctypes.BigEndianStructure):
    _fields_ = [("a", ctypes.c_uint16), ("b", ctypes.c_double)]


class Empty(ctypes.Structure):
    pass


class Text(ctypes.Structure):
    _fields_ = [("wide", ctypes.c_wchar * 4), ("narrow", ctypes.c_char * 5)]

    def __init__(self, *args):
        super().__init__(*args)
        assert args, "not called at get"


class Outer:
    class Inner(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int8)]


def copied(value):
    return decode(*stored(encode(value, pickle=False)), pickle=False)


def assert_same(a, b):
    assert type(a) is type(b)
    assert bytes(a) == bytes(b)


VALUES = [
    Point(1, -0.0),
    Packed(b"x", -(2**63)),
    Bits(5, 2**29 - 1),
    Either(number=float("nan")),
    Derived(1, 2.5, -1.5),
    Swapped(1, 2.5),
    Empty(),
    Text("é€😀", b"ab\0cd"),
    Outer.Inner(-1),
    (Point * 3)((1, 2.0), (3, 4.0)),
    ((Point * 2) * 3)(),
    (Point * 0)(),
    ((Either * 0) * 4)(),
    (Empty * 3)(),
    ctypes.c_int(-5),
    ctypes.c_double(float("inf")),
    ctypes.c_wchar("é"),
    ctypes.c_longdouble(1.5),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_the_same_class_with_the_same_bytes_comes_back(value):
    back = copied(value)
    assert_same(value, back)
    assert_same(value, copied({"in": [value]})["in"][0])


def test_padding_is_kept_too():
    value = Point.from_buffer_copy(bytes(range(16)))
    assert_same(value, copied(value))


def test_what_comes_back_is_ones_own(client):
    value = (Point * 50_000)(*[(i, i / 2) for i in range(50_000)])
    ref = client.put(value)
    first, second = client.get(ref), client.get(ref)
    first[3].x = -7
    assert (first[3].x, second[3].x, client.get(ref)[3].x) == (-7, 3, 3)
    client.delete(ref)


def test_a_structure_met_twice_is_one():
    value = Point(1, 2)
    a, b = copied([value, value])
    assert a is b


@pytest.mark.parametrize(
    "of",
    [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.py_object,
        ctypes.POINTER(ctypes.c_int),
        ctypes.CFUNCTYPE(None),
        ctypes.c_void_p * 2,
        type("In", (ctypes.Structure,), {"_fields_": [("p", ctypes.POINTER(Point))]}),
    ],
)
def test_addresses_are_refused_in_every_place(of):
    t = type("Holder", (ctypes.Structure,), {"_fields_": [("n", ctypes.c_int), ("held", of)]})
    for value in (t(), (t * 2)()):
        for pickle in (False, True):
            with pytest.raises(TypeErrorException, match="holds an address"):
                encode(value, pickle=pickle)


def test_a_class_that_is_not_found_by_its_name_is_refused():
    local = type("Local", (ctypes.Structure,), {"_fields_": [("x", ctypes.c_int)]})
    for value in (local(), (local * 2)()):
        with pytest.raises(TypeErrorException, match="is not what module"):
            encode(value, pickle=False)


class Attributed(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]


class Reducing(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]

    def __reduce__(self):
        return Reducing, (self.x,)


def test_more_than_fields_takes_a_pickle():
    value = Attributed(1)
    value.note = "more"
    for one in (value, Reducing(3)):
        with pytest.raises(PickleRefusedException):
            encode(one, pickle=False)
    back = decode(*stored(encode(value)))
    assert (back.x, back.note) == (1, "more")


@pytest.mark.parametrize(
    "fields",
    [
        [("x", ctypes.c_int), ("z", ctypes.c_double)],
        [("x", ctypes.c_uint), ("y", ctypes.c_double)],
        [("x", ctypes.c_int), ("y", ctypes.c_double), ("z", ctypes.c_int)],
        [("y", ctypes.c_double), ("x", ctypes.c_int)],
        [("x", ctypes.c_int, 31), ("y", ctypes.c_double)],
        [("x", ctypes.c_int), ("y", ctypes.POINTER(ctypes.c_int))],
    ],
)
def test_a_class_that_has_changed_is_told(monkeypatch, fields):
    parts = stored(encode(Point(1, 2)))
    changed = type("Point", (ctypes.Structure,), {"_fields_": fields, "__module__": __name__})
    monkeypatch.setitem(globals(), "Point", changed)
    with pytest.raises(NotAvailableHereException, match="other fields"):
        decode(*parts)


@pytest.mark.parametrize(
    "change",
    [
        {"shape_": [2]},
        {"shape_": [-1]},
        {"shape_": None},
        {"shape_": [2**62, 2**62, 0]},
        {"shape_": [1] * 100},
        {"buffer": 7},
        {"class_": "copied"},
        {"class_": "Outer"},
        {"class_": "absent"},
        {"module_": "absent.module"},
        {"module_": 7},
        {"item_bytes_": 8},
        {"layout_": 7},
        {"codec": "ctypes.item"},
        {"codec": "ctypes.array"},
    ],
)
def test_lies_are_typed_errors(change):
    typename, metadata, buffers = stored(encode(Point(1, 2)))
    changed = json.dumps({**json.loads(metadata), **change})
    with pytest.raises((CorruptedException, NotAvailableHereException)):
        decode(typename, changed, buffers, pickle=False)
