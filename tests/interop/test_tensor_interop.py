# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays of numpy cross to Tensor<T> and back, with how they lie in memory."""

import numpy as np
import pytest
from bridge import BridgeError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

DTYPES = ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"]
DTYPES += ["<f2", "<f4", "<f8", "<c8", "<c16", np.dtype("g").str, np.dtype("G").str]


def _bits(array):
    """Every bit of the elements, in row-major order; of long doubles, their values."""
    if array.dtype.char in "gG":
        return [repr(x) for x in array.ravel()]
    return np.ascontiguousarray(array).tobytes()


def _check(expected, got):
    assert expected.dtype == got.dtype
    assert expected.shape == got.shape
    assert _bits(expected) == _bits(got)


def _steps(array):
    """The strides of those axes that lead anywhere, in elements."""
    return [s // array.itemsize for s, n in zip(array.strides, array.shape, strict=True) if n > 1]


def _crosses(client, bridge, array):
    id = client.put(array)
    got, strides = bridge.get_tensor(id, array)
    _check(array, got)
    theirs = client.get(id)
    if array.size:
        steps = [s for s, n in zip(strides, array.shape, strict=True) if n > 1]
        assert steps == _steps(theirs)
    assert bridge.tensor_dtype(id) == array.dtype.str
    made = client.get(bridge.put_tensor(array))
    _check(array, made)
    if array.size:
        assert _steps(made) == _steps(theirs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_of_elements_crosses(client, bridge, dtype):
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)
    shapes = [array, array.ravel(), array[0, 0, 1:2].reshape(()), array[:0], array[:, :0]]
    for value in shapes:
        _crosses(client, bridge, value)
        row_major = np.ascontiguousarray(value).reshape(value.shape)
        _check(value, client.get(bridge.put_tensor(row_major, strided=False)))
        _check(value, client.get(bridge.create_tensor(row_major)))


@pytest.mark.parametrize("dtype", ["<f8", "<i2", "<c16"])
def test_every_layout_crosses(client, bridge, dtype):
    array = np.arange(60).astype(dtype).reshape(3, 4, 5)
    for value in (
        np.asfortranarray(array),
        array.T,
        array.transpose(1, 0, 2),
        array.transpose(2, 0, 1),
        array[::-1],
        array[:, ::-2, 1::3],
        array[::2],
        array.T[::-1, :, ::-1],
        np.broadcast_to(array[:, :1], (3, 7, 5)),
        np.broadcast_to(array[0, 0, 0], (4, 4)),
        array[:, :, 0],
        array[1:2].transpose(1, 0, 2),
    ):
        _crosses(client, bridge, value)


@given(st.data())
def test_any_layout_of_any_array_crosses(client, bridge, data):
    dtype = data.draw(st.sampled_from(DTYPES[:-2]))
    shape = data.draw(nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    array = np.frombuffer(data.draw(st.binary(min_size=count, max_size=count)), np.uint8)
    array = (array % 2).view(dtype) if dtype == "|b1" else array.view(dtype)
    array = array.reshape(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    cuts = tuple(data.draw(nps.basic_indices(array.shape, allow_newaxis=False)) for _ in range(1))
    _crosses(client, bridge, np.asarray(array[cuts[0]]))


def test_large_tensors_made_in_place_are_the_memory_that_is_got(client, bridge):
    array = np.arange(500_000.0)
    id = bridge.create_tensor(array)
    got = client.get(id)
    assert np.array_equal(got, array)
    assert not got.flags.owndata
    client.delete(id)


def test_c_types_of_the_same_size_are_read_as_such(client, bridge):
    for letter, like in (("q", "<i8"), ("Q", "<u8")):
        array = np.arange(3, dtype=letter)
        got, _ = bridge.get_tensor(client.put(array), array.astype(like))
        assert got.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "value, asked, why",
    [
        (np.arange(3, dtype=">f8"), "<f8", "'>f8' asked for as one of '<f8': it is big-endian"),
        (np.arange(3, dtype="<f4"), "<f8", "'<f4' asked for as one of '<f8'"),
        (np.arange(3).astype("M8[ns]"), "<i8", r"'<M8\[ns\]' asked for as one of '<i8'"),
        (np.array(["a"]), "<i8", "'<U1' asked for as one of '<i8'"),
        (np.array([None]), "<i8", "tensor.object"),
        (np.zeros(2, [("a", "i4")]), "<i8", "only Python reads it"),
        ([1, 2], "<i8", "vineyard::Sequence.*is no Tensor"),
        (b"bytes", "<i8", "is no Tensor"),
    ],
    ids=str,
)
def test_another_type_of_elements_is_refused_and_the_message_says_both(
    client, bridge, value, asked, why
):
    with pytest.raises(BridgeError, match=why):
        bridge.get_tensor(client.put(value), np.empty(3, asked))
