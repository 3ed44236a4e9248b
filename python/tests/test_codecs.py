# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values that need nothing but numpy come back the same, without a store and without pickle."""

import json
import struct
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_value import assert_kept, assert_same, round_trip, stored
from value_strategies import bit_patterns, scalars, texts, values
from vineyard.codecs import MAX_METADATA, decode, encode
from vineyard.errors import PickleRefusedException, TypeErrorException, UnpickleException


@given(scalars)
def test_scalars_are_kept(value):
    assert_kept(value)


@given(values)
def test_containers_are_kept(value):
    assert_kept(value)


@given(bit_patterns())
def test_arrays_of_every_dtype_and_layout_are_kept(array):
    assert_kept(array)


@given(bit_patterns())
def test_numpy_scalars_are_kept(array):
    for item in array.ravel()[:3]:
        assert_kept(item)


@given(st.lists(st.one_of(st.none(), texts, st.floats(), st.integers()), min_size=32))
def test_packed_sequences_are_kept(items):
    assert_kept(items)
    assert_kept(tuple(items))
    array = np.empty(len(items), object)
    array[:] = items
    assert_kept(array)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**31,
        2**63,
        -(2**63) - 1,
        -(1 << 300),
        -(1 << 20_000),
        1.2345,
        -0.0,
        5e-324,
        struct.unpack("<d", bytes.fromhex("01000000000cf87f"))[0],
        1j,
        "",
        "\0",
        "a\\\"'\n\x7f\u2028é\U0001f600",
        "\ud83d\ude00",
        "x" * 100_000,
        b"",
        b"\0" * 100_000,
        bytearray(b"abc"),
        ...,
        [],
        (),
        {},
        set(),
        {1, None},
        frozenset({(1, 2)}),
        [[[]]],
        {(1, None): {True: [b"x"]}, "b": 2, 1.5: 3},
        list(range(1000)),
        [True] * 100,
        [None] * 100,
        [2**70] * 100,
        [1, "a", None, 2.5, False] * 40,
        [b"x" * 200] * 3,
        np.bool_(True),
        np.float16(1.5),
        np.longdouble("1e4000"),
        np.datetime64("NaT"),
        np.datetime64("2020-01-01T00:00:00", "25s"),
        np.timedelta64(5),
        np.str_("a\0"),
        np.bytes_(b"a\0"),
    ],
    ids=lambda v: "big" if isinstance(v, int) and v.bit_length() > 99 else type(v).__name__,
)
def test_value_is_kept(value):
    assert_kept(value)
    assert_kept([value, (value,)])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(24.0).reshape(2, 3, 4)[:, ::-1, ::2],
        np.broadcast_to(np.arange(3), (4, 3)),
        np.broadcast_to(np.float32(7), (2, 2)),
        np.lib.stride_tricks.sliding_window_view(np.arange(10), 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.zeros((0, 3)),
        np.zeros((3, 0, 2), order="F"),
        np.array(3),
        np.array([1, "a", None, [1, 2], {"a": np.arange(3)}], object),
        np.array([[1, None], ["x", 2.5]], object).T,
        np.array([np.array(5), np.arange(2)], object),
        np.array(["a", "bc"]),
        np.array([b"a", b"bc\0"]),
        np.array(["NaT", "2020-02-29"], "M8[D]"),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_array_is_kept(array):
    assert_kept(array)


def test_contiguous_arrays_are_handed_over_without_a_copy():
    array = np.arange(24.0).reshape(2, 3, 4)
    for view in (array, array.T, array.transpose(1, 2, 0), array[::-1], array[:, ::-1].T):
        (buffer,) = encode(view)[2]
        assert np.shares_memory(buffer, array)
    repeated = np.broadcast_to(array, (1000, 2, 3, 4))
    (buffer,) = encode(repeated)[2]
    assert np.asarray(buffer).nbytes == array.nbytes


def test_arrays_come_back_as_views_of_the_buffer():
    typename, metadata, buffers = stored(encode({"a": np.arange(10.0)}))
    array = decode(typename, metadata, buffers)["a"]
    assert np.shares_memory(array, np.frombuffer(buffers[0], np.uint8))


def test_values_met_twice_are_stored_once_and_stay_one():
    array, inner = np.arange(5), [1]
    value = {"a": array, "b": [array, inner, inner], "c": (inner,)}
    assert len(encode(value)[2]) == 1
    back = round_trip(value)
    assert back["a"] is back["b"][0]
    assert back["b"][1] is back["b"][2] is back["c"][0]


def test_old_keys_describe_an_array():
    import json

    typename, metadata, _, _ = encode(np.zeros((2, 3)))
    assert typename == "vineyard::Tensor<double>"
    meta = json.loads(metadata)
    assert meta["shape_"] == [2, 3]
    assert meta["value_type_"] == "float64"
    assert meta["value_type_meta_"] == "<f8"
    assert meta["order_"] == "C"


@pytest.mark.parametrize("value", [1, 1.5, "a", "é", b"a", None, True, [1], np.arange(3), (1,), {}])
def test_metadata_is_a_json_object_of_ascii(value):
    import json

    metadata = encode(value)[1]
    assert metadata.isascii()
    assert isinstance(json.loads(metadata), dict)


def test_long_trees_become_buffers():
    value = [{"key": i, "value": (i, str(i))} for i in range(5000)]
    _, metadata, buffers, _ = encode(value)
    assert len(metadata) < MAX_METADATA
    assert buffers
    assert_kept(value)


# ---- what can't be held


class Thing:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Thing and self.x == other.x


class Int(int):
    pass


class List(list):
    pass


@pytest.mark.parametrize("value", [Thing(1), Int(5), List([1]), types.SimpleNamespace(a=1)])
def test_other_values_are_pickled(value):
    assert_kept(value, pickle=True)


@pytest.mark.parametrize("value", [Thing(1), Int(5), List([1]), types.SimpleNamespace(a=1)])
def test_refused_pickle_names_the_type(value):
    name = type(value).__qualname__
    for put in (value, [1, {"a": value}]):
        with pytest.raises(PickleRefusedException, match=name):
            encode(put, pickle=False)
    with pytest.raises(TypeError):
        encode(value, pickle=False)
    typename, metadata, buffers = stored(encode([value]))
    with pytest.raises(PickleRefusedException, match=name):
        decode(typename, metadata, buffers, pickle=False)


def test_arrays_inside_of_pickles_lie_beside_them():
    array = np.arange(1000.0)
    both = stored(encode(Thing((array, -array))))
    assert_same((array, -array), decode(*both).x)
    typename, metadata, buffers, _ = encode(Thing(array))
    assert any(np.shares_memory(np.frombuffer(b, np.uint8), array) for b in buffers)
    assert len(buffers[0]) < 1000
    back = decode(typename, metadata, [bytes(b) for b in buffers])
    assert np.array_equal(back.x, array)
    assert not back.x.flags.writeable


def test_unpicklable_values_are_refused_by_name():
    with pytest.raises(TypeErrorException, match="generator"):
        encode(x for x in [])
    with pytest.raises(TypeErrorException, match=r"lambda|function"):
        encode({"f": lambda: 1})


def test_a_pickle_that_can_not_be_loaded_says_so():
    typename, metadata, buffers = stored(encode([Thing(1)]))
    for wrong in (b"", buffers[0][:-1], buffers[0].replace(b"Thing", b"Thong")):
        with pytest.raises(UnpickleException, match="Thing"):
            decode(typename, metadata, [wrong])


def test_cycles_need_pickle():
    cycle = [1]
    cycle.append(cycle)
    with pytest.raises(TypeErrorException, match="contains itself"):
        encode(cycle, pickle=False)
    typename, metadata, buffers = stored(encode(cycle))
    back = decode(typename, metadata, buffers)
    assert back[0] == 1
    assert back[1] is back


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_integers_beyond_64_bits_are_no_json_numbers(value):
    """Readers in other languages would round them."""
    assert encode(value)[0] == "vineyard::Scalar<bigint>"
    node = json.loads(encode(slice(value, None))[1])
    assert str(value) not in json.dumps(node)
    inside = json.loads(encode(slice(value - 1 if value > 0 else value + 1, None))[1])
    assert str(value - 1 if value > 0 else value + 1) in json.dumps(inside)


def test_codecs_of_imported_libraries_may_be_imported_ahead():
    """And no library that the process has not imported."""
    source = """
        import sys
        import vineyard.codecs
        vineyard.codecs.import_codecs()
        assert "vineyard.codecs.numpy_classes" in sys.modules
        assert not {"pandas", "pyarrow", "polars"} & sys.modules.keys()
        import pandas
        vineyard.codecs.import_codecs()
        assert "vineyard.codecs.pandas_values" in sys.modules
        before = {name for name in sys.modules if name.startswith("vineyard.")}
        vineyard.codecs.encode(pandas.DataFrame({"a": [1.5], "b": ["x"]}))
        print(sorted({name for name in sys.modules if name.startswith("vineyard.")} - before))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
