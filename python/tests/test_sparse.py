# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Matrices and arrays of scipy.sparse come back the same, without a store and without pickle."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from same_python import coords_of, copied, kept
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, PickleRefusedException, TypeErrorException

scipy = pytest.importorskip("scipy")
sparse = pytest.importorskip("scipy.sparse")

SCIPY = tuple(int(part) for part in scipy.__version__.split(".")[:2])
FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
KINDS = ("matrix", "array")
CLASSES = [getattr(sparse, f"{format}_{kind}") for format in FORMATS for kind in KINDS]
COMPRESSED = [c for c in CLASSES if c.__name__[:3] in ("bsr", "csc", "csr")]
DTYPES = ["?", "i1", "u8", "f4", "f8", "g", "c8", "c16", "G"]


@st.composite
def matrices(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7))
    elements = hnp.from_dtype(dtype, allow_subnormal=False)
    dense = draw(hnp.arrays(dtype, shape, elements=elements, fill=st.just(dtype.type(0))))
    made = draw(st.sampled_from(CLASSES))(dense)
    index = draw(st.sampled_from([np.int32, np.int64]))
    for part in ("indices", "indptr", "offsets"):
        if hasattr(made, part):
            setattr(made, part, getattr(made, part).astype(index))
    if made.format == "coo":
        coords = tuple(c.astype(index) for c in coords_of(made))
        if hasattr(made, "coords"):
            made.coords = coords
        else:
            made.row, made.col = coords
    return made


@given(matrices())
def test_generated_matrices_are_kept(value):
    kept(value)
    kept([value, {"a": value}])


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_matrix_of_every_format_is_kept(cls):
    dense = np.array([[0, 1.5, 0], [np.nan, 0, -0.0], [0, 0, 2], [0, 0, 0]])
    back = kept(cls(dense))
    assert np.array_equal(back.toarray(), cls(dense).toarray(), equal_nan=True)
    for shape in ((0, 3), (3, 0), (0, 0), (2, 5)):
        kept(cls(np.zeros(shape)))
    for dtype in DTYPES:
        kept(cls(np.eye(3, dtype=dtype)))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_typename_is_that_of_the_old_one(cls):
    typename, metadata, _, _ = encode(cls(np.eye(2)))
    format, kind = cls.__name__.split("_")
    assert typename == f"vineyard::{format.upper()}{kind.capitalize()}<float64>"
    meta = json.loads(metadata)
    assert meta["shape_"] == [2, 2]
    assert meta["value_type_"] == "float64"


@pytest.mark.skipif(SCIPY < (1, 15), reason="this scipy has arrays of two dimensions only")
def test_arrays_of_other_dimensions_are_kept():
    dense = np.zeros((2, 3, 4))
    dense[1, 2, 3] = 5
    kept(sparse.coo_array(dense))
    line = np.array([0, 1, 0, 2.5])
    for cls in (sparse.coo_array, sparse.csr_array, sparse.dok_array):
        kept(cls(line))


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_duplicates_stay_as_they_are(kind):
    unsorted = getattr(sparse, f"csr_{kind}")(
        (np.arange(4.0), np.array([2, 0, 1, 1]), np.array([0, 2, 4])), shape=(2, 3)
    )
    back = copied(unsorted)
    assert not back.has_sorted_indices
    assert not back.has_canonical_format
    kept(unsorted)
    repeated = getattr(sparse, f"coo_{kind}")(
        (np.ones(3), (np.array([1, 0, 1]), np.array([1, 0, 1]))), shape=(2, 2)
    )
    assert repeated.nnz == kept(repeated).nnz == 3
    repeated.sum_duplicates()
    assert kept(repeated).has_canonical_format
    claimed = sparse.csr_array(np.eye(2))
    claimed.has_sorted_indices = False
    assert "_has_sorted_indices" in copied(claimed).__dict__
    assert not copied(claimed).has_sorted_indices


def test_explicit_zeros_are_kept():
    coo = sparse.coo_array((np.array([0.0, 1.0]), ([0, 1], [0, 1])), shape=(2, 2))
    for format in FORMATS:
        value = coo.asformat(format)
        assert kept(value).nnz == value.nnz


@pytest.mark.parametrize("cls", COMPRESSED, ids=lambda c: c.__name__)
def test_parts_are_handed_over_and_come_back_without_a_copy(cls):
    value = cls(np.eye(100))
    typename, metadata, buffers, _ = encode(value)
    parts = (value.data, value.indices, value.indptr)
    for part, buffer in zip(parts, buffers, strict=True):
        assert np.shares_memory(np.asarray(buffer), part)
    _, _, copies = stored((typename, metadata, buffers, None))
    back = decode(typename, metadata, copies, pickle=False)
    for part, copy in zip((back.data, back.indices, back.indptr), copies, strict=True):
        assert np.shares_memory(part, np.frombuffer(copy, np.uint8))
        assert not part.flags.writeable


def test_only_the_parts_in_use_are_stored():
    value = sparse.csr_array(np.eye(3))
    value.data, value.indices = np.resize(value.data, 100), np.resize(value.indices, 100)
    back = kept(value)
    assert len(back.data) == len(back.indices) == 3


def test_shared_parts_stay_shared():
    value = sparse.csr_array(np.eye(3))
    other = sparse.csr_array((value.data * 2, value.indices, value.indptr), shape=value.shape)
    other.indices, other.indptr = value.indices, value.indptr
    back = copied([value, other])
    assert back[0].indices is back[1].indices


def test_results_can_be_computed_with():
    value = sparse.csr_array(sparse.random(20, 30, density=0.2, format="csr"))
    back = copied(value)
    assert np.array_equal((back @ np.ones(30)), value @ np.ones(30))
    assert np.array_equal((back + back.T.T).toarray(), (value * 2).toarray())
    assert np.array_equal(back.tocsc().toarray(), value.toarray())


def test_matrices_that_do_not_fit_together_are_refused():
    value = sparse.csr_array(np.eye(3))
    value.indptr = np.array([0, 1, 2, 9], np.int32)
    with pytest.raises(TypeErrorException, match="indptr"):
        encode(value)


def test_subclasses_and_attributes_are_left_to_pickle():
    value = sparse.csr_array(np.eye(3))
    value.beside = 1
    with pytest.raises(PickleRefusedException, match="attributes"):
        encode(value, pickle=False)


# ---- metadata that lies

I4 = {"value_type_meta_": "<i4", "order_": "C", "codec": "tensor"}


def csr(**changes):
    _, metadata, buffers = stored(encode(sparse.csr_array(np.eye(3))))
    return {**json.loads(metadata), **changes}, buffers


def ints(*values, dtype=np.int32):
    return np.array(values, dtype).tobytes()


@pytest.mark.parametrize(
    ("index", "wrong"),
    [
        (1, ints(0, 1, 3)),
        (1, ints(0, -1, 2)),
        (1, ints(0, 1, 2**31 - 1)),
        (2, ints(0, 1, 2, 4)),
        (2, ints(1, 1, 2, 3)),
        (2, ints(0, 3, 2, 3)),
        (2, ints(0, -1, 2, 3)),
    ],
)
def test_indices_that_lie_are_refused(index, wrong):
    node, buffers = csr()
    buffers[index] = wrong
    with pytest.raises(CorruptedException):
        decode("x", json.dumps(node), buffers, pickle=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape_": [2, 3]},
        {"shape_": [3, 2]},
        {"shape_": [2**61, 3]},
        {"shape_": [3]},
        {"shape_": [3, 3, 3]},
        {"shape_": []},
        {"data_": 5},
        {"indices_": None},
        {"indices_": {**I4, "value_type_meta_": "<f4", "shape_": [3], "buffer": 1}},
        {"indices_": {**I4, "shape_": [1, 3], "buffer": 1}},
        {"sorted_": 1},
        {"maxprint_": "x"},
        {"codec": "scipy.bsr_array"},
        {"codec": "scipy.coo_array"},
        {"codec": "scipy.coo_array", "coords_": [{**I4, "shape_": [3], "buffer": 1}]},
        {"codec": "scipy.dia_array"},
        {"codec": "scipy.lil_array", "counts_": {**I4, "shape_": [4], "buffer": 2}},
        {"codec": "scipy.dok_array", "coords_": [{**I4, "shape_": [3], "buffer": 1}] * 3},
    ],
    ids=str,
)
def test_metadata_of_a_matrix_that_lies_is_a_typed_error(changes):
    node, buffers = csr(**changes)
    with pytest.raises(CorruptedException):
        decode("x", json.dumps(node), buffers, pickle=False)


@pytest.mark.parametrize("format", ["coo", "dia", "dok", "lil"])
def test_other_formats_with_indices_that_lie_are_refused(format):
    value = getattr(sparse, f"{format}_array")(np.eye(3))
    typename, metadata, buffers = stored(encode(value))
    for i in range(1, len(buffers)):
        for wrong in (2**31 - 1, -(2**31)):
            width = np.int32 if len(buffers[i]) % 8 and format != "lil" else None
            for dtype in (np.int32, np.int64) if width is None else (width,):
                lie = np.frombuffer(buffers[i], dtype).copy()
                lie[0] = wrong
                lies = [*buffers[:i], lie.tobytes(), *buffers[i + 1 :]]
                with pytest.raises(CorruptedException):
                    decode(typename, metadata, lies, pickle=False)


def test_two_items_in_one_place_of_a_dict_are_refused():
    typename, metadata, buffers = stored(encode(sparse.dok_array(np.eye(3))))
    zeros = [b if i == 0 else bytes(len(b)) for i, b in enumerate(buffers)]
    with pytest.raises(CorruptedException, match="one place"):
        decode(typename, metadata, zeros, pickle=False)
