# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""array.array, ctypes arrays, and what else has the buffer protocol or DLPack."""

import array
import ctypes
import json
import mmap
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import (
    CorruptedException,
    PickleRefusedException,
    TypeErrorException,
    VineyardException,
)

ITEMS = [
    ctypes.c_bool,
    ctypes.c_char,
    ctypes.c_wchar,
    ctypes.c_int8,
    ctypes.c_uint16,
    ctypes.c_int,
    ctypes.c_ulonglong,
    ctypes.c_float,
    ctypes.c_double,
    ctypes.c_longdouble,
]


def copied(value):
    return decode(*stored(encode(value, pickle=False)), pickle=False)


def assert_same_bytes(a, b):
    assert type(a) is type(b)
    assert bytes(memoryview(a).cast("B")) == bytes(memoryview(b).cast("B"))


def array_type(item, shape):
    for n in reversed(shape):
        item = item * n
    return item


@given(st.data())
def test_arrays_of_every_type_are_kept(data):
    code = data.draw(st.sampled_from(array.typecodes))
    value = array.array(code)
    if code in "uw":
        value.extend(data.draw(st.text(max_size=20)))
    else:
        value.frombytes(data.draw(st.binary(max_size=20)) * value.itemsize)
    back = copied(value)
    assert type(back) is array.array
    assert (back.typecode, back.tobytes()) == (value.typecode, value.tobytes())
    back.append(back[0] if back else value.typecode if code in "uw" else 1)  # it is the reader's


def test_classes_derived_from_array_are_no_arrays():
    with pytest.raises(PickleRefusedException):
        encode(type("Mine", (array.array,), {})("d"), pickle=False)


@given(
    st.sampled_from(ITEMS),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.binary(min_size=1024, max_size=1024),
)
def test_ctypes_arrays_of_every_type_and_shape_are_kept(item, shape, data):
    t = array_type(item, shape)
    assert_same_bytes(t.from_buffer_copy(data), copied(t.from_buffer_copy(data)))


def test_empty_ctypes_arrays_are_kept():
    for shape in ([0], [3, 0], [0, 3]):
        t = array_type(ctypes.c_short, shape)
        assert type(copied(t())) is t


def test_ctypes_arrays_in_other_values_keep_their_identity():
    value = (ctypes.c_int * 3)(1, 2, 3)
    a, b = copied([value, value])
    assert a is b
    a[0] = 7
    assert list(b) == [7, 2, 3]


class Derived(ctypes.c_int * 3):
    pass


def test_ctypes_arrays_of_other_items_go_by_pickle_or_are_refused():
    value = Derived(1, 2, 3)
    with pytest.raises(PickleRefusedException):
        encode(value, pickle=False)
    assert_same_bytes(value, decode(*stored(encode(value))))
    for t in (ctypes.c_char_p, ctypes.py_object, ctypes.POINTER(ctypes.c_int)):
        with pytest.raises(TypeErrorException):
            encode((t * 2)())


def test_ctypes_arrays_lie_in_the_store_and_writing_to_them_leaves_it_alone(client):
    value = (ctypes.c_double * 100_000)(*range(100_000))
    ref = client.put(value)
    first, second = client.get(ref), client.get(ref)
    first[1] = -1.0
    assert (first[1], second[1], client.get(ref)[1]) == (-1.0, 1.0, 1.0)
    del first
    client.delete(ref)
    assert_same_bytes(value, second)


# ---- refused


def test_mapped_files_are_refused_and_their_bytes_are_not():
    with mmap.mmap(-1, 4096) as mapped:
        mapped[:5] = b"hello"
        with pytest.raises(TypeErrorException, match="frombuffer"):
            encode(mapped)
        back = copied(np.frombuffer(mapped, np.uint8))
        assert back.tobytes() == mapped[:]


def test_pickle_buffers_are_refused():
    with pytest.raises(TypeErrorException, match="memoryview"):
        encode([pickle.PickleBuffer(b"abc")])


class Exporter:
    """Has DLPack, and cannot be pickled."""

    def __init__(self, of):
        self.of = of

    def __dlpack__(self, **options):
        return self.of.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.of.__dlpack_device__()

    def __reduce__(self):
        raise TypeError("not me")


def test_refusing_says_what_to_put_instead():
    value = Exporter(np.arange(3))
    for options in ({}, {"pickle": False}):
        with pytest.raises(TypeErrorException, match=r"numpy\.from_dlpack"):
            encode(value, **options)
    assert copied(np.from_dlpack(value)).tolist() == [0, 1, 2]
    derived = Derived(1, 2, 3)
    with pytest.raises(TypeErrorException, match=r"numpy\.asarray\(memoryview"):
        encode(derived, pickle=False)
    with pytest.raises(TypeErrorException, match=r"refused; where all who write"):
        encode(Derived, pickle=False)


# ---- lies


def array_node(**changes):
    node = {"codec": "array", "version": 1, "value_type_": "i", "item_bytes_": 4, "size_": 2}
    return {**node, "buffer": 0, **changes}


def ctypes_node(**changes):
    node = {"codec": "ctypes.array", "version": 1, "value_type_": "c_int", "item_bytes_": 4}
    return {**node, "shape_": [2], "buffer": 0, **changes}


@pytest.mark.parametrize(
    "node",
    [
        array_node(size_=3),
        array_node(size_=-2),
        array_node(size_=2**62),
        array_node(value_type_="z"),
        array_node(value_type_=""),
        array_node(value_type_="iI"),
        array_node(value_type_="h"),
        array_node(value_type_="u"),  # beyond U+10FFFF
        array_node(item_bytes_=8, size_=1),
        array_node(item_bytes_=8),
        array_node(buffer=1),
        ctypes_node(shape_=[3]),
        ctypes_node(shape_=[]),
        ctypes_node(shape_=[-2]),
        ctypes_node(shape_=[2**40, 0]),
        ctypes_node(shape_=[2**62, 2**62]),
        ctypes_node(shape_=[2] + [1] * 64),
        ctypes_node(shape_=[1] * 3000),
        ctypes_node(value_type_="py_object", item_bytes_=8, shape_=[1]),
        ctypes_node(value_type_="c_char_p", item_bytes_=8, shape_=[1]),
        ctypes_node(value_type_="c_short"),
        ctypes_node(item_bytes_=8),
        ctypes_node(value_type_=None),
        ctypes_node(buffer=None),
    ],
    ids=lambda n: json.dumps(n)[:80],
)
def test_metadata_that_lies_is_a_typed_error(node):
    with pytest.raises(CorruptedException):
        decode("x", json.dumps(node), [b"\xff" * 8], pickle=False)
    assert issubclass(CorruptedException, VineyardException)


def test_empty_ctypes_arrays_of_endless_length_are_refused():
    """As many empty rows as one likes would fit into no bytes."""
    assert len(decode("x", json.dumps(ctypes_node(shape_=[3, 0])), [b""], pickle=False)) == 3
    with pytest.raises(CorruptedException, match="an empty array of"):
        decode("x", json.dumps(ctypes_node(shape_=[2**41, 0])), [b""], pickle=False)
