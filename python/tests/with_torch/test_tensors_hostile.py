# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Tensors whose metadata lie give a typed error."""

import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, VineyardException


def tensor(**changes):
    node = {
        "codec": "torch.tensor",
        "version": 1,
        "value_type_": "float32",
        "value_type_meta_": "torch.float32",
        "shape_": [2, 3],
        "strides_": [3, 1],
        "offset_": 0,
        "buffer": 0,
    }
    return {**node, **changes}


def longs(shape, buffer):
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    return tensor(value_type_="int64", shape_=shape, strides_=strides, buffer=buffer)


def sparse(*parts, **changes):
    node = {"codec": "torch.sparse", "version": 1, "layout_": "coo", "shape_": [3], "parts_": parts}
    return {**node, "coalesced_": False, **changes}


#: 0: 24 bytes of anything; 1: the numbers 0 1 2 as int64; 2: 7 7 7; 3: 2 0 1 (not in order)
BUFFERS = [
    bytes(range(24)),
    np.array([0, 1, 2]).tobytes(),
    np.array([7, 7, 7]).tobytes(),
    np.array([2, 0, 1]).tobytes(),
]


@pytest.mark.parametrize(
    "node",
    [
        tensor(shape_=[2, 4]),
        tensor(strides_=[4, 1]),
        tensor(strides_=[3, 2]),
        tensor(offset_=1),
        tensor(offset_=-1),
        tensor(offset_=2**62),
        tensor(offset_=None),
        tensor(strides_=[-3, 1]),
        tensor(strides_=[2**62, 2**62]),
        tensor(strides_=[1]),
        tensor(strides_=[True, 1]),
        tensor(shape_=[2**62, 2**62]),
        tensor(shape_=[2**40, 2**40], strides_=[0, 0]),
        tensor(shape_=[0, 2**62, 2**62], strides_=[1, 1, 1]),
        tensor(shape_=[-1, 3]),
        tensor(shape_="23"),
        tensor(value_type_="quint8"),
        tensor(value_type_="Tensor"),
        tensor(value_type_="float"),
        tensor(value_type_="os"),
        tensor(value_type_=3),
        tensor(buffer=9),
        tensor(buffer=None),
        tensor(value_type_="int32", requires_grad_=True),
        tensor(grad_=5),
        tensor(grad_=tensor(shape_=[3], strides_=[1])),
        tensor(attributes_=5),
        tensor(attributes_={"codec": "list", "size_": 0, "items_": []}),
        tensor(id=-1),
        sparse(),
        sparse(5, 5),
        sparse(longs([1, 3], 2), longs([3], 1)),
        sparse(longs([1, 3], 1), longs([2], 1)),
        sparse(longs([3], 1), longs([3], 1)),
        sparse(longs([1, 3], 1), longs([], 1)),
        sparse(longs([1, 3], 1), longs([3], 1), shape_=[3, 3]),
        sparse(longs([1, 3], 1), longs([3], 1), shape_=[2]),
        sparse(longs([1, 3], 3), longs([3], 1), coalesced_=True),
        sparse(longs([1, 3], 1), longs([3], 1), coalesced_=None),
        sparse(tensor(shape_=[1, 3]), longs([3], 1)),
        sparse(longs([1, 3], 1), longs([3], 1), layout_="diagonal"),
        sparse(longs([1, 3], 1), longs([3], 1), layout_="csr"),
        sparse(longs([3], 2), longs([2], 1), longs([2], 1), layout_="csr", shape_=[2, 2]),
        sparse(longs([3], 1), longs([2], 2), longs([2], 1), layout_="csr", shape_=[2, 2]),
        sparse(longs([3], 1), longs([2], 1), longs([3], 1), layout_="csr", shape_=[2, 2]),
        sparse(longs([3], 1), longs([2], 1), longs([2], 1), layout_="bsr", shape_=[2, 2]),
        {"codec": "torch.dtype", "version": 1, "value_": "nn"},
        {"codec": "torch.layout", "version": 1, "value_": "float32"},
        {"codec": "torch.memory_format", "version": 1, "value_": None},
        {"codec": "torch.device", "version": 1, "value_": "abacus:1"},
        {"codec": "torch.size", "version": 1, "value_": [2**70]},
        {"codec": "torch.size", "version": 1, "value_": "12"},
    ],
    ids=lambda n: json.dumps(n)[:100],
)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_metadata_that_lies_is_a_typed_error(node):
    with pytest.raises(CorruptedException):
        decode("x", json.dumps(node), BUFFERS, pickle=False)


_ODD = st.sampled_from([-1, 0, 1, 2, 3, 2**31, 2**62, 2**64, None, True, "a", [], [1], {}]).map(
    copy.deepcopy  # the next change may change it
)


@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_changed_nodes_give_a_value_or_a_typed_error(data):
    base = torch.arange(24.0).reshape(4, 6)
    values = [base, base[:, 1], base.T.conj(), base.to_sparse(), base.to_sparse_csr(), {"a": base}]
    typename, metadata, buffers = stored(encode(data.draw(st.sampled_from(values))))
    nodes = []

    def collect(node):
        if isinstance(node, dict):
            nodes.append(node)
        for part in node.values() if isinstance(node, dict) else node:
            if isinstance(part, (dict, list)):
                collect(part)

    root = json.loads(metadata)
    collect(root)
    for _ in range(data.draw(st.integers(1, 2))):
        node = data.draw(st.sampled_from(nodes))
        key = data.draw(st.sampled_from(sorted(node)))
        if isinstance(node[key], list) and node[key] and data.draw(st.booleans()):
            node[key][data.draw(st.integers(0, len(node[key]) - 1))] = data.draw(_ODD)
        else:
            node[key] = data.draw(_ODD)
    try:
        value = decode(typename, json.dumps(root), buffers, pickle=False)
    except VineyardException:
        return
    for tensor in value.values() if type(value) is dict else [value]:
        if type(tensor) is torch.Tensor and tensor.numel() < 10_000:
            tensor.to_dense().sum()  # reads every element
