# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""pyarrow's tensors."""

import json

import numpy as np
import pyarrow as pa
import pytest
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, TypeErrorException

ARRAYS = [
    np.arange(24, dtype=t).reshape(2, 3, 4) for t in ("i1", "u2", "i4", "u8", "f2", "f4", "f8")
]
ARRAYS += [
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(12.0).reshape(3, 4)[:, ::2],
    np.zeros((0, 3)),
    np.array([np.nan, -0.0]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=str)
@pytest.mark.parametrize("named", [False, True])
def test_tensors_are_kept(array, named):
    value = pa.Tensor.from_numpy(array, [f"é{i}" for i in range(array.ndim)] if named else None)
    back = decode(*stored(encode(value, pickle=False)), pickle=False)
    assert type(back) is pa.Tensor
    assert (back.type, back.shape, back.dim_names) == (value.type, value.shape, value.dim_names)
    assert back.to_numpy().tobytes() == value.to_numpy().tobytes()


def test_a_large_one_lies_in_the_store(client):
    ref = client.put(pa.Tensor.from_numpy(np.arange(100_000.0)))
    got = client.get(ref)
    assert client.is_shared_memory(got.to_numpy()) and not got.is_mutable
    client.delete(ref)


def test_sparse_ones_are_refused_with_what_to_do():
    for t in (pa.SparseCOOTensor, pa.SparseCSRMatrix, pa.SparseCSCMatrix, pa.SparseCSFTensor):
        for pickle in (False, True):
            with pytest.raises(TypeErrorException, match=r"put value\.to_"):
                encode(t.from_dense_numpy(np.eye(3)), pickle=pickle)


@pytest.mark.parametrize(
    "change",
    [
        {"names_": ["a"]},
        {"names_": [1, 2]},
        {"names_": 7},
        {"array_": 7},
        {"array_": None},
        {"array_": {"codec": "list", "size_": 0, "items_": []}},
    ],
)
def test_lies_are_typed_errors(change):
    typename, metadata, buffers = stored(encode(pa.Tensor.from_numpy(np.eye(2), ["a", "b"])))
    with pytest.raises(CorruptedException):
        decode(typename, json.dumps({**json.loads(metadata), **change}), buffers)
