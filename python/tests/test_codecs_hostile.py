# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Metadata and buffers that lie give a typed error, whatever they say."""

import contextlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_value import stored
from vineyard.codecs import NotEncoded, decode, encode
from vineyard.errors import CorruptedException, UnknownLayoutException, VineyardException


def tensor(**changes):
    node = {
        "codec": "tensor",
        "version": 1,
        "value_type_": "float64",
        "value_type_meta_": "<f8",
        "order_": "C",
        "shape_": [2, 3],
        "buffer": 0,
    }
    return {**node, **changes}


@pytest.mark.parametrize(
    "node",
    [
        tensor(shape_=[2, 4]),
        tensor(shape_=[2, 2]),
        tensor(shape_=[-2, -3]),
        tensor(shape_=[-1, 6]),
        tensor(shape_=[2**62, 2**62]),
        tensor(shape_=[2**64]),
        tensor(shape_=[2**32, 2**32 + 6]),
        tensor(shape_=[6, True]),
        tensor(shape_=[6.0]),
        tensor(shape_="[2,3]"),
        tensor(shape_=None),
        tensor(shape_=[0, 2**61]),
        tensor(shape_=[1] * 60 + [6] + [1] * 60),
        tensor(buffer=1),
        tensor(buffer=-1),
        tensor(buffer=None),
        tensor(buffer=True),
        tensor(buffer=2**80),
        tensor(value_type_meta_="O"),
        tensor(value_type_meta_="|O8"),
        tensor(value_type_meta_="<f7"),
        tensor(value_type_meta_="<U99999999999999999999"),
        tensor(value_type_meta_="|S0"),
        tensor(value_type_meta_="<f8,<f8"),
        tensor(value_type_meta_="<M8[parsec]"),
        tensor(value_type_meta_=8),
        tensor(order_="X"),
        tensor(order_=None),
        tensor(order_="K"),
        tensor(order_="K", axes_=[0, 0], repeated_=[], flipped_=[]),
        tensor(order_="K", axes_=[0, 1], repeated_=[7], flipped_=[]),
        tensor(order_="K", axes_=[0, 1], repeated_=[0, 1], flipped_=[]),
        tensor(order_="K", axes_=[0, 1, 2], repeated_=[], flipped_=[]),
        tensor(order_="K", axes_="01", repeated_=[], flipped_=[]),
        tensor(id=-1),
        tensor(id="a"),
        {"codec": "list", "version": 1, "size_": 2, "items_": [1]},
        {"codec": "list", "version": 1, "size_": -1, "items_": []},
        {"codec": "list", "version": 1, "size_": 2},
        {"codec": "list", "version": 1, "size_": 1, "items_": [[1]]},
        {"codec": "list", "version": 1, "size_": 1, "items_": [{"a": 1}]},
        {"codec": "list", "version": 1, "size_": 1, "items_": [{"codec": "ref", "id": 0}]},
        {"codec": "list", "version": 1, "size_": 6, "packed_": {"ints_": 1}},
        {"codec": "list", "version": 1, "size_": 5, "packed_": {"ints_": 0}},
        {"codec": "list", "version": 1, "size_": 2**60, "packed_": {}},
        {"codec": "list", "version": 1, "size_": 47, "packed_": {"tags_": 0}},
        {"codec": "list", "version": 1, "size_": 6, "packed_": {"ints_": 0, "floats_": 0}},
        {"codec": "list", "version": 1, "size_": 6, "packed_": {"texts_": 0, "lengths_": 0}},
        {"codec": "dict", "version": 1, "size_": 0, "items_": []},
        {
            "codec": "dict",
            "version": 1,
            "size_": 1,
            "items_": [1],
            "keys_": {
                "codec": "keys",
                "size_": 1,
                "items_": [{"codec": "list", "size_": 0, "items_": []}],
            },
        },
        {"codec": "int", "version": 1, "value_": "1"},
        {"codec": "int", "version": 1, "hex_": "zz"},
        {"codec": "int", "version": 1, "value_": True},
        {"codec": "float", "version": 1, "value_": "x"},
        {"codec": "float", "version": 1, "bits_": "00"},
        {"codec": "float", "version": 1, "value_": 10**400},
        {"codec": "bool", "version": 1, "value_": 1},
        {"codec": "str", "version": 1, "value_": 1},
        {"codec": "bytes", "version": 1, "hex_": "0"},
        {"codec": "bytes", "version": 1, "buffer": 3},
        {"codec": "scalar", "version": 1, "value_type_meta_": "<f8", "hex_": "00"},
        {"codec": "scalar", "version": 1, "value_type_meta_": "str_", "value_": 1},
        {
            "codec": "tensor.object",
            "version": 1,
            "shape_": [3],
            "order_": "C",
            "size_": 0,
            "items_": [],
        },
        {"codec": "tree", "version": 1, "buffer": 0},
        {"codec": "pickle", "version": 1, "buffer": 0, "buffers": [9]},
        {"codec": "pickle", "version": 1, "buffer": 0, "buffers": []},
        {"codec": "member", "version": 1, "key_": "a"},
        {"codec": "zone", "version": 1, "kind_": "zoneinfo", "key_": "../../etc/passwd"},
        {"codec": "pandas.rangeindex", "version": 1, "start_": 0, "stop_": 1, "step_": 0},
        {"codec": "pandas.missing", "version": 1, "which_": "?"},
        {"codec": "pandas.timestamp", "version": 1, "unit_": "ns", "value_": 2**70},
        {"codec": "pandas.datetime", "version": 1, "values_": tensor()},
        {"codec": 5, "version": 1},
        {"codec": "int", "version": 0, "value_": 1},
        {"codec": "int", "version": "1", "value_": 1},
        {"codec": "int", "value_": 1},
        [1],
        5,
        None,
    ],
    ids=lambda n: json.dumps(n)[:60],
)
def test_metadata_that_lies_is_a_typed_error(node):
    with pytest.raises(VineyardException) as caught:
        decode("vineyard::Anything", json.dumps(node), [bytes(48)])
    assert isinstance(caught.value, (CorruptedException, ValueError))


@pytest.mark.parametrize("dtype", ["<U0", "|S0"])
def test_items_of_no_bytes_are_no_numbers(dtype):
    """As many as one likes would fit into no bytes."""
    with pytest.raises(CorruptedException, match="no dtype of numbers"):
        decode("", json.dumps(tensor(value_type_meta_=dtype, shape_=[2**50])), [b""])


def test_broken_json_is_a_typed_error():
    for text in ("", "{", "\0", "NaN", '{"codec":"float","version":1,"value_":NaN}', "[" * 100_000):
        with pytest.raises(CorruptedException):
            decode("x", text, [])


def test_unknown_codecs_and_versions_say_that_a_newer_release_may_know_them():
    for node in (
        {"codec": "hologram", "version": 1},
        {"codec": "pandas.hologram", "version": 1},
        tensor(version=2),
        tensor(v=2),
        tensor(v=0),
        {"codec": "list", "version": 1, "size_": 1, "items_": [tensor(v=9)]},
    ):
        with pytest.raises(UnknownLayoutException, match="newer"):
            decode("x", json.dumps(node), [bytes(48)])


def test_objects_of_other_origin_are_told_apart():
    with pytest.raises(NotEncoded):
        decode("my::Type", '{"a":1}', [])


def test_a_tree_that_leads_to_itself_ends():
    tree = json.dumps({"codec": "tree", "version": 1, "buffer": 0})
    with pytest.raises(CorruptedException):
        decode("x", tree, [tree.encode()])


def frame():
    return pd.DataFrame(
        {
            "a": [1, 2, 3],
            "b": [1.5, 2.5, 3.5],
            "s": ["x", None, "z"],
            "c": pd.Categorical(["u", "v", None]),
            "t": pd.date_range("2020", periods=3, tz="Europe/Berlin"),
            "i": pd.array([1, None, 3], dtype="Int64"),
        },
        index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")]),
    )


FRAME = stored(encode(frame(), pickle=False))
TEXTS = st.sampled_from(["", "x", "pandas.index", "tensor", "C", "<i8", "<M8[ns]", "NA", "python"])
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([2**62, -(2**62), 2**80, 1.5]),
    TEXTS,
    st.just([]),
    st.just({}),
    st.just([0, 0, 0]),
)


def places(node, path=()):
    yield path
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = [p for p in places(json.loads(FRAME[1])) if p]


@given(st.sampled_from(PLACES), WRONG, st.booleans())
def test_a_changed_frame_is_an_error_or_a_frame(path, wrong, drop):
    node = json.loads(FRAME[1])
    parent = node
    for key in path[:-1]:
        parent = parent[key]
    if drop and isinstance(parent, dict):
        del parent[path[-1]]
    else:
        parent[path[-1]] = wrong
    _decode_and_use(json.dumps(node), FRAME[2])


@given(st.integers(0, len(FRAME[2]) - 1), st.binary(max_size=64))
def test_a_changed_buffer_is_an_error_or_a_frame(index, data):
    buffers = list(FRAME[2])
    buffers[index] = data
    _decode_and_use(FRAME[1], buffers)
    buffers[index] = (data + FRAME[2][index])[: len(FRAME[2][index])]
    _decode_and_use(FRAME[1], buffers)


def _decode_and_use(metadata, buffers):
    try:
        value = decode("vineyard::DataFrame", metadata, buffers, pickle=False)
    except (VineyardException, NotEncoded):
        return
    if isinstance(value, pd.DataFrame):
        value.copy()
        with contextlib.suppress(Exception):  # dates that pandas can't show: no crash is all
            repr(value)


@given(st.text(max_size=40), st.lists(st.binary(max_size=20), max_size=2))
def test_any_text_is_an_error_or_a_value(metadata, buffers):
    for typename in ("vineyard::Scalar<int>", "vineyard::Scalar<double>", "vineyard::Bytes", "x"):
        try:
            decode(typename, metadata, buffers)
        except (VineyardException, NotEncoded):
            pass


def test_short_and_long_buffers_are_refused_the_second_time_too():
    typename, metadata, buffers = stored(encode(np.arange(4.0)))
    decode(typename, metadata, buffers)
    for wrong in ([], [buffers[0][:-1]], [buffers[0] + b"x"], [b""]):
        with pytest.raises(CorruptedException):
            decode(typename, metadata, wrong)
