# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of torch come back the same, without a store and without pickle."""

import collections
import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from same_torch import DTYPES, assert_same_tensors, copied, elements, kept, tensors
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import PickleRefusedException, TypeErrorException


def nbytes(value):
    """How many bytes are stored for a value, short of its metadata."""
    return sum(memoryview(buffer).nbytes for buffer in encode(value, pickle=False)[2])


def storages(*values):
    return {value.untyped_storage()._cdata for value in values}


# ---- one tensor


@given(tensors())
def test_tensors_of_every_dtype_and_layout_are_kept(tensor):
    kept(tensor)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_is_kept(dtype):
    raw = torch.arange(48, dtype=torch.uint8)
    if dtype is torch.bool:
        raw %= 2
    tensor = torch.empty(0, dtype=dtype).set_(raw.untyped_storage(), 0, (3,), (1,))
    assert kept(tensor).dtype is dtype
    assert encode(tensor)[0] == f"vineyard::Tensor<{dtype}>"
    assert copied([dtype])[0] is dtype


def test_only_the_bytes_in_use_are_stored():
    base = torch.arange(10_000.0).reshape(100, 100)
    assert nbytes(base.T) == 40_000
    assert nbytes(base[10:20]) == 4_000
    assert nbytes(base[:, 7]) == 400
    assert nbytes(base[::2, ::2]) == 10_000
    assert nbytes(base[0].expand(1000, 100)) == 400
    assert nbytes(base[:, :1].expand(100, 1000)) == 400
    assert nbytes(torch.arange(10.0).unfold(0, 5, 1)) == 40
    assert nbytes(base[:0]) == 0


def test_contiguous_memory_is_handed_over_without_a_copy():
    base = torch.arange(10_000.0).reshape(100, 100)
    for tensor in (base, base.T, base[10:], base.to(torch.bfloat16), base[3].expand(5, 100)):
        (buffer,) = encode(tensor)[2]
        assert buffer.ctypes.data == tensor.data_ptr()


def test_layouts_without_gaps_are_kept_stride_by_stride():
    for tensor in (
        torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.rand(3, 4).expand(2, 3, 4),
        torch.arange(10.0).unfold(0, 5, 1),
        torch.rand(0, 3).T,
        torch.rand(1, 5)[:, 2:3],
    ):
        assert kept(tensor).stride() == tensor.stride()


def test_conjugate_and_negative_bits_are_kept():
    tensor = torch.randn(5, dtype=torch.complex64)
    for value in (
        tensor.conj(),
        tensor.conj().imag,
        tensor.reshape(1, 5).conj().T,
        tensor[::2].conj(),
    ):
        assert torch.equal(kept(value), value)


def test_parameters_gradients_and_attributes_are_kept():
    parameter = torch.nn.Parameter(torch.rand(3))
    (parameter * 2).sum().backward()
    back = kept([parameter, parameter])
    assert back[0] is back[1]
    kept(torch.nn.Parameter(torch.tensor([1, 2]), requires_grad=False))
    kept(torch.rand(2, requires_grad=True))
    tensor = torch.nn.Buffer(torch.rand(2))
    tensor.note = "mine"
    assert vars(kept(tensor)) == {"persistent": True, "_is_buffer": True, "note": "mine"}


def test_what_came_back_can_be_computed_with_and_written_to():
    back = copied(torch.rand(4, requires_grad=True))
    back.sum().backward()
    assert back.grad.tolist() == [1.0] * 4
    with torch.no_grad():
        back.zero_()
    assert back.tolist() == [0.0] * 4


SPARSE = {
    "coo": lambda t: t.to_sparse(),
    "coo, not coalesced": lambda t: torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], t.shape),
    "coo, hybrid": lambda t: t.to_sparse(1),
    "coo, empty": lambda t: torch.sparse_coo_tensor(size=(3, 0)),
    "csr": lambda t: t.to_sparse_csr(),
    "csr, 32 bits": lambda t: torch.sparse_csr_tensor(
        torch.tensor([0, 1], dtype=torch.int32), torch.tensor([2], dtype=torch.int32), [5.0], (1, 4)
    ),
    "csr, batched": lambda t: torch.stack([t, t]).to_sparse_csr(),
    "csc": lambda t: t.to_sparse_csc(),
    "bsr": lambda t: t.to_sparse_bsr((2, 2)),
    "bsc": lambda t: t.to_sparse_bsc((2, 2)),
    "coo, with gradients": lambda t: t.to_sparse().requires_grad_(),
}


@pytest.mark.parametrize("kind", SPARSE)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_are_kept(kind):
    dense = torch.tensor([[0.0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 0], [4, 5, 6, 7]])
    tensor = SPARSE[kind](dense)
    back = kept(tensor)
    assert torch.equal(back.to_dense(), tensor.to_dense())
    assert_same_tensors(tensor, decode(*stored(encode(tensor))))  # where data is trusted, too


# ---- several tensors in one value


@given(st.lists(st.one_of(tensors(), st.integers()), max_size=4))
def test_tensors_in_containers_are_kept(values):
    kept([values, tuple(values), {"a": values}])


def test_tensors_of_one_storage_come_back_sharing_one():
    base = torch.arange(24.0).reshape(4, 6)
    for values in (
        [base, base[1:3], base.T, base[:, 2]],
        list(base),
        list(base.chunk(2, dim=1)),
        [base[:, :2], base[:, 2:4], base[:, 4:]],
        [base, base.view(torch.int32)[2]],
        [base.view(torch.uint8).flatten()[3:], base],
        [torch.from_numpy(base.numpy()), base],
    ):
        assert nbytes(values) == 96
        back = kept(values)
        assert len(storages(*back)) == 1
    kept([base.view(torch.uint8).flatten()[3:], base.view(torch.complex64)[1:]])
    a, b = copied([base, base[1]])
    b.fill_(-1)
    assert a[1].tolist() == [-1.0] * 6


def test_tensors_far_apart_in_one_storage_are_stored_apart():
    base = torch.zeros(1_000_000)
    assert nbytes([base[:10], base[-10:]]) == 80
    column = base.reshape(1000, 1000)[:, 3]
    assert nbytes([column, column.detach(), column + 0, column[5:]]) == 4000 + 4000 + 3980
    a, b = copied([column, column.detach()])
    assert storages(a) == storages(b)


@given(st.data())
def test_all_views_of_one_storage_are_kept(data):
    base = torch.arange(60, dtype=torch.int16)
    views = []
    for _ in range(data.draw(st.integers(1, 5))):
        shape = data.draw(st.lists(st.integers(0, 4), max_size=3))
        strides = data.draw(st.lists(st.integers(0, 6), min_size=len(shape), max_size=len(shape)))
        reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if all(shape) else 0
        offset = data.draw(st.integers(0, 59 - reach)) if reach < 60 else 0
        if reach < 60:
            views.append(base.as_strided(shape, strides, offset))
    back = copied(views)
    for view, other in zip(views, back, strict=True):
        assert (view.shape, elements(view)) == (other.shape, elements(other))


def test_small_things_are_kept():
    for value in (torch.strided, torch.channels_last, torch.Size([1, 2]), torch.device("cuda:1")):
        assert kept([value]) == [value]
        assert kept(value) == value


# ---- modules


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
        self.head = torch.nn.Linear(4, 4)
        self.head.weight = self.body[0].weight  # tied


def test_state_dicts_are_kept_without_pickle():
    net = Net()
    state = net.state_dict()
    back = kept(state)
    assert type(back) is collections.OrderedDict
    assert back._metadata == state._metadata
    assert storages(back["head.weight"]) == storages(back["body.0.weight"])
    other = Net()
    other.load_state_dict(back, assign=True)
    assert storages(other.body[0].weight) == storages(back["body.0.weight"])
    assert_same_tensors(copy.copy(other.state_dict()), state)


def test_the_state_of_an_optimizer_is_kept_without_pickle():
    net = torch.nn.Linear(3, 3)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 3)).sum().backward()
    optimizer.step()
    kept(optimizer.state_dict())


def test_modules_go_by_pickle_with_their_tensors_beside():
    net = Net()
    typename, _, buffers, _ = encode(net)
    assert typename == "vineyard::torch::Module"
    assert {b.ctypes.data for b in buffers if hasattr(b, "ctypes")} >= {
        p.data_ptr() for p in net.parameters()
    }
    back = copied({"net": net, "weight": net.head.weight}, pickle=True)
    assert type(back["net"]) is Net
    assert back["net"].head.weight is back["net"].body[0].weight is back["weight"]
    assert_same_tensors(back["net"].state_dict(), net.state_dict())


def test_modules_are_refused_without_pickle():
    with pytest.raises(PickleRefusedException, match="state_dict"):
        encode(Net(), pickle=False)
    parts = stored(encode(Net()))
    with pytest.raises(PickleRefusedException, match="state_dict"):
        decode(*parts, pickle=False)
    net = Net()
    net.hook = lambda: None
    with pytest.raises(TypeErrorException, match="state_dict"):
        encode(net)


# ---- refused


def hooked():
    tensor = torch.rand(2, requires_grad=True)
    tensor.register_hook(lambda grad: grad)
    return tensor


def given_back():
    tensor = torch.rand(5)
    tensor.untyped_storage().resize_(0)
    return tensor


REFUSED = {
    "a graph": (lambda: torch.rand(2, requires_grad=True) * 2, r"tensor\.detach\(\)"),
    "a hook": (hooked, r"tensor\.detach\(\)"),
    "meta": (lambda: torch.empty(2, device="meta"), "no elements"),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.rand(2), 0.1, 0, torch.quint8),
        "int_repr",
    ),
    "nested": (lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]), "unbind"),
    "mkldnn": (lambda: torch.rand(2, 2).to_mkldnn(), "to_dense"),
    "zeros": (lambda: torch._efficientzerotensor((2,)), "clone"),
    "given back": (given_back, "given back"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_would_not_come_back_is_refused_and_says_what_would(kind):
    make, what = REFUSED[kind]
    try:
        tensor = make()
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"this build of torch makes none: {error}")
    for pickle in (False, True):
        with pytest.raises(TypeErrorException, match=what):
            encode([tensor], pickle=pickle)


def test_subclasses_of_tensors_are_not_stored_as_tensors():
    class Mine(torch.Tensor):
        pass

    with pytest.raises(PickleRefusedException):
        encode(torch.rand(2).as_subclass(Mine), pickle=False)
