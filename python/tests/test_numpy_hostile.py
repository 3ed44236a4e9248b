# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Metadata of arrays that lies: a typed error, never another array, or memory that is not its own."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy_dtypes import GAPS, NESTED, OBJECTS, TITLES, TOLD
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import (
    CorruptedException,
    NotAvailableHereException,
    TypeErrorException,
    VineyardException,
)

NUMPY_1 = not hasattr(np.dtypes, "StringDType")  # there, aligned structures need a field
STRINGS = pytest.mark.skipif(NUMPY_1, reason="numpy 2 brought it")


def typed(dtype, shape=(1,), **changes):
    return {
        "codec": "tensor.typed",
        "version": 1,
        "dtype_": {"codec": "dtype", **dtype},
        "shape_": list(shape),
        "order_": "C",
        "buffer": 0,
        **changes,
    }


def struct(**changes):
    return {
        "kind_": "struct",
        "names_": ["a", "b"],
        "formats_": ["<i4", "<f4"],
        "offsets_": [0, 4],
        "itemsize_": 8,
        **changes,
    }


O_NODE = {"codec": "dtype", "kind_": "object"}
T_NODE = {"codec": "dtype", "kind_": "string", "coerce_": True}


def text(**changes):
    return {
        "codec": "tensor.string",
        "version": 1,
        "dtype_": T_NODE,
        "shape_": [1],
        "order_": "C",
        "offsets_": 1,
        "texts_": 0,
        **changes,
    }


def fields(*parts, **changes):
    return {
        "codec": "tensor.fields",
        "version": 1,
        "dtype_": {"codec": "dtype", **struct(formats_=["<i4", O_NODE], itemsize_=12)},
        "shape_": [2],
        "order_": "C",
        "fields_": list(parts),
        **changes,
    }


I4 = {"codec": "tensor", "value_type_meta_": "<i4", "order_": "C", "shape_": [2], "buffer": 0}
O2 = {"codec": "tensor.object", "order_": "C", "shape_": [2], "size_": 2, "items_": [1, "a"]}


def test_the_lies_begin_with_the_truth():
    offsets = np.array([0, 8]).tobytes()
    for node in (typed(struct()), text(), fields(I4, O2)):
        if NUMPY_1 and node["codec"] == "tensor.string":
            continue
        decode("x", json.dumps(node), [bytes(8), offsets], pickle=False)


@pytest.mark.parametrize(
    "node",
    [
        typed({"kind_": "object"}),
        typed({"kind_": "string", "coerce_": True}),
        typed({"kind_": "string", "coerce_": 1}),
        typed({"kind_": "struct"}),
        typed(struct(formats_=["<i4", O_NODE], itemsize_=12)),
        typed(struct(formats_=["<i4", T_NODE], itemsize_=20)),
        typed({"kind_": "subarray", "base_": O_NODE, "shape_": [1]}),
        typed({"kind_": "subarray", "base_": "<i4", "shape_": [2]}),
        typed({"kind_": "subarray", "base_": "<i4", "shape_": [2**31 - 1, 2**31 - 1]}),
        typed(struct(offsets_=[0, 5])),
        typed(struct(offsets_=[0, -4])),
        typed(struct(offsets_=[0])),
        typed(struct(offsets_=[0, 2**40])),
        typed(struct(names_=["a", "a"])),
        typed(struct(names_=["a", 5])),
        typed(struct(names_=["a"])),
        typed(struct(formats_=["<i4", "<f5"])),
        typed(struct(formats_=["<i4", 5])),
        typed(struct(itemsize_=7)),
        typed(struct(itemsize_=9)),
        typed(struct(itemsize_=2**31)),
        typed(struct(titles_=["a", "b"])),
        typed(struct(titles_=[{"codec": "list", "size_": 0, "items_": []}, None])),
        typed(struct(aligned_=True, offsets_=[0, 3], itemsize_=8)),
        typed(struct(metadata_=5)),
        typed({"kind_": "plain", "str_": "<f4", "char_": "q"}, (2,)),
        typed({"kind_": "plain", "str_": "<i8", "char_": "O"}),
        typed({"kind_": "plain", "str_": "|O8"}),
        typed({"kind_": "plain", "str_": "|V7"}),
        typed({"kind_": "plain", "str_": "<f16", "mantissa_": "x"}),
        typed({"kind_": "martian"}),
        typed(struct(), (2,)),
        typed(struct(), (2**62, 2**62)),
        typed(struct(), dtype_=5),
        typed(struct(), dtype_="|V8"),
        typed(struct(), dtype_={"codec": "list", "size_": 0, "items_": []}),
        text(offsets_=0),
        text(offsets_=2),
        text(offsets_=3),
        text(offsets_=4),
        text(offsets_=5),
        text(shape_=[2]),
        text(shape_=[-1]),
        text(texts_=6),
        text(missing_=0),
        text(missing_=7),
        text(dtype_="<i8"),
        text(dtype_=O_NODE),
        fields(I4),
        fields(O2, I4),
        fields({**I4, "shape_": [1, 2]}, O2),
        fields(I4, {**O2, "shape_": [1], "size_": 1, "items_": [1]}),
        fields(
            {**I4, "order_": "K", "axes_": [0], "repeated_": [0], "flipped_": [], "shape_": [2]},
            O2,
        ),
        fields(I4, 5),
        fields(I4, O2, order_="K"),
        fields(I4, O2, shape_=[2**40]),
        fields(I4, O2, dtype_={"codec": "dtype", **struct()}),
        fields(I4, O2, dtype_=O_NODE),
        fields(
            I4,
            O2,
            dtype_={
                "codec": "dtype",
                **struct(formats_=["<i4", O_NODE], offsets_=[0, 8], itemsize_=2**31 - 8),
            },
        ),
        {"codec": "tensor.object", "version": 1, **O2, "dtype_": "<i8"},
        {"codec": "tensor.object", "version": 1, **O2, "shape_": [3]},
        {"codec": "scalar.typed", "version": 1, "array_": I4},
        {"codec": "scalar.typed", "version": 1, "array_": 5},
        {"codec": "numpy.matrix", "version": 1, "array_": I4},
        {"codec": "numpy.matrix", "version": 1, "array_": 5},
        {"codec": "numpy.recarray", "version": 1, "array_": [5]},
        {"codec": "numpy.masked", "version": 1, "data_": 5, "mask_": None},
        {"codec": "numpy.masked", "version": 1, "data_": I4, "mask_": I4},
        {"codec": "numpy.masked", "version": 1, "data_": I4, "mask_": 5},
        {"codec": "numpy.masked", "version": 1, "data_": I4, "mask_": None, "fill_": I4},
        {"codec": "numpy.masked", "version": 1, "data_": I4, "mask_": None, "fill_": 5},
        {"codec": "numpy.masked", "version": 1, "data_": I4, "mask_": None, "hard_": 5},
        {"codec": "tensor", "version": 1, **I4, "value_type_meta_": "<f16"},
        {"codec": "tensor", "version": 1, **I4, "value_type_meta_": "|V4"},
    ],
    ids=lambda n: json.dumps(n)[:90],
)
def test_metadata_that_lies_is_a_typed_error(node):
    offsets = [[0, 9], [0, -1, 8], [1, 8], [4, 0, 8], []]
    buffers = [bytes(8), *(np.array(o, "<i8").tobytes() for o in [[0, 8], *offsets]), b"\xff" * 8]
    needs_numpy_2 = NUMPY_1 and '"string"' in json.dumps(node)
    with pytest.raises(NotAvailableHereException if needs_numpy_2 else CorruptedException):
        decode("x", json.dumps(node), buffers, pickle=False)


@STRINGS
def test_texts_that_are_no_text_are_refused():
    buffers = [b"\xff" * 8, np.array([0, 8]).tobytes()]
    with pytest.raises(CorruptedException):
        decode("x", json.dumps(text()), buffers, pickle=False)


def test_a_structure_that_would_end_the_process_is_refused():
    empty = {"codec": "dtype", "kind_": "struct", "names_": [], "formats_": [], "offsets_": []}
    empty |= {"itemsize_": 0, "aligned_": True}
    node = typed(struct(formats_=[empty, "<f4"], aligned_=True))
    if NUMPY_1:
        with pytest.raises(NotAvailableHereException, match="numpy"):
            decode("x", json.dumps(node), [bytes(8)])
        with pytest.raises(TypeErrorException, match="numpy 2"):
            encode(np.dtype([("a", np.dtype([], align=True))], align=True))
    else:
        assert decode("x", json.dumps(node), [bytes(8)]).shape == (1,)


EXAMPLES = [
    stored(encode(value, pickle=False))
    for value in (
        np.zeros(2, NESTED),
        np.zeros(2, OBJECTS),
        np.ma.array([1, 2], mask=[0, 1], fill_value=5),
        np.zeros(2, (np.record, TITLES)).view(np.recarray),
        [np.dtype([("a", TOLD)]), np.longdouble(1), np.zeros(2, GAPS)[0]],
    )
]


def _places(node, path=()):
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inner:
        if isinstance(value, (dict, list)):
            yield from _places(value, (*path, key))
        else:
            yield (*path, key)


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 20),
    st.sampled_from([2**31, 2**62, 2**80, 1.5, "", "a", "<i4", "|O8", "O", "V5", "q", [], {}, [0]]),
    st.sampled_from([O_NODE, T_NODE, {"codec": "dtype", **struct()}, {"codec": "ref", "id": 0}]),
)


@given(st.data())
def test_a_changed_array_is_an_error_or_an_array(data):
    typename, metadata, buffers = data.draw(st.sampled_from(EXAMPLES))
    node = copy.deepcopy(json.loads(metadata))
    path = data.draw(st.sampled_from(list(_places(node))))
    parent = node
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(WRONG)
    if data.draw(st.booleans()):
        buffers = [data.draw(st.binary(max_size=9)), *buffers[1:]]
    try:
        value = decode(typename, json.dumps(node), buffers, pickle=False)
    except VineyardException:
        return
    if isinstance(value, np.ndarray) and value.size < 1000:
        value.copy()
        repr(value.dtype)
