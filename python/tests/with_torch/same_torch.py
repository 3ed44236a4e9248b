# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means for tensors, and tensors of all kinds to try it with."""

import numpy as np
import torch
from hypothesis import strategies as st
from same_value import assert_same, stored
from vineyard.codecs import decode, encode

DTYPES = sorted(
    {
        dtype
        for name, dtype in vars(torch).items()
        if isinstance(dtype, torch.dtype) and not name.startswith(("qint", "quint"))
    },
    key=str,
)


def copied(value, pickle=False):
    return decode(*stored(encode(value, pickle=pickle)), pickle=pickle)


def kept(value, pickle=False):
    """The value, encoded and decoded, after it was found to be the same; without pickle."""
    back = copied(value, pickle)
    assert_same_tensors(value, back)
    return back


def assert_same_tensors(a, b):
    """Fails unless two values, which are or hold tensors, are the same to the last bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        _assert_same_tensor(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for x, y in zip(a.values(), b.values(), strict=True):
            assert_same_tensors(x, y)
        if hasattr(a, "__dict__"):
            assert_same(vars(a), vars(b))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same_tensors(x, y)
    else:
        assert_same(a, b)


def _assert_same_tensor(a, b):
    assert (a.dtype, a.shape, a.layout) == (b.dtype, b.shape, b.layout)
    assert b.is_leaf
    assert a.requires_grad == b.requires_grad
    assert vars(a) == vars(b)
    assert (a.grad is None) == (b.grad is None)
    if a.grad is not None:
        _assert_same_tensor(a.grad, b.grad)
    if a.layout is torch.strided:
        assert (a.is_conj(), a.is_neg()) == (b.is_conj(), b.is_neg())
        assert elements(a) == elements(b)
        wide = [i for i, n in enumerate(a.shape) if n > 1]
        assert [a.stride(i) == 0 for i in wide] == [b.stride(i) == 0 for i in wide]
        assert sorted(wide, key=lambda i: -a.stride(i)) == sorted(wide, key=lambda i: -b.stride(i))
    else:
        assert [*_parts(a), 0][0] == [*_parts(b), 0][0]
        for x, y in zip(_parts(a)[1:], _parts(b)[1:], strict=True):
            _assert_same_tensor(x, y)


def _parts(tensor):
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        return [tensor.is_coalesced(), tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [None, tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    return [None, tensor.ccol_indices(), tensor.row_indices(), tensor.values()]


def elements(tensor):
    """The bytes of all elements as they stand in memory, whatever their type."""
    if not tensor.numel():
        return b""
    storage = tensor.detach().untyped_storage()
    data = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    size = tensor.element_size()
    strides = [s * size for s in tensor.stride()]
    begin = tensor.storage_offset() * size
    view = np.lib.stride_tricks.as_strided(data[begin:], [*tensor.shape, size], [*strides, 1])
    return view.tobytes()


@st.composite
def tensors(draw):
    """Tensors of any dtype and bit pattern: transposed, with gaps, expanded, empty, 0-d."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 5), max_size=4))
    count = int(np.prod(shape))
    seed = draw(st.binary(min_size=1, max_size=40))
    nbytes = count * dtype.itemsize
    if dtype is torch.bool:
        seed = bytes(b & 1 for b in seed)
    data = bytearray((seed * (nbytes // len(seed) + 1))[:nbytes]) or bytearray(16)
    tensor = torch.empty(0, dtype=dtype).set_(
        torch.frombuffer(data, dtype=torch.uint8).untyped_storage(), 0, shape, _contiguous(shape)
    )
    order = draw(st.permutations(range(tensor.ndim)))
    tensor = tensor.permute(order)
    steps = st.sampled_from([slice(None), slice(None, None, 2), slice(1, None), slice(0, 1)])
    tensor = tensor[tuple(draw(steps) for _ in range(tensor.ndim))]
    if draw(st.integers(0, 3)) == 0:
        tensor = tensor.expand(draw(st.integers(1, 3)), *tensor.shape)
    if tensor.is_complex() and dtype is not getattr(torch, "bcomplex32", None):
        if draw(st.booleans()):
            tensor = tensor.conj()
            if draw(st.booleans()):
                tensor = tensor.imag
    return tensor


def _contiguous(shape):
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * max(shape[i + 1], 1)
    return strides
