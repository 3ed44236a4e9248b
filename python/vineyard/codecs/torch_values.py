# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Tensors in the memory of the processor, strided and sparse, and modules of torch.

A strided tensor is a range of bytes and the way it is laid over them: ``shape_``, ``strides_`` and
``offset_``, counted in elements of ``value_type_``. Conjugate and negative bits, `requires_grad`,
``grad``, attributes and being a Parameter are kept beside.

Only bytes that are used are stored, once. So which bytes go into a buffer is decided when all
tensors of the value are known (`_Storage.lay_out`): tensors of one storage that lie side by side or
over each other go into one buffer, and come back sharing one storage again; a tensor alone whose
elements have gaps between them is compacted. What is expanded is stored once, and comes back so.

torch has no read-only tensors: an operation in place on a read-only mapping would end the process.
So tensors come back over private memory: of pages of the store, a copy-on-write mapping, for which
nothing is copied until somebody writes, and then only the pages written to. The store never changes.

>>> import torch
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(torch.eye(2, dtype=torch.bfloat16))
>>> typename
'vineyard::Tensor<torch.bfloat16>'
>>> decode(typename, metadata, [bytes(b) for b in buffers])
tensor([[1., 0.],
        [0., 1.]], dtype=torch.bfloat16)
"""

from __future__ import annotations

import io
import pickle
from math import prod
from typing import Any

import numpy as np
import torch

from vineyard.codecs.buffer_values import private_buffer
from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import (
    CycleError,
    Decoder,
    Encode,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
    recognises,
    refuse,
    type_name,
)
from vineyard.errors import (
    PickleRefusedException,
    TypeErrorException,
    UnpickleException,
    VineyardException,
)

_MAX = 2**62

#: Types of elements by the name that torch has for them; the aliases ("half") excepted.
_DTYPES: dict[str, torch.dtype] = {
    name: dtype
    for name, dtype in vars(torch).items()
    if isinstance(dtype, torch.dtype)
    and str(dtype) == f"torch.{name}"
    and not name.startswith(("qint", "quint"))
}

#: Types of the same sizes that every operation of copying knows.
_PLAIN = {
    1: torch.uint8,
    2: torch.int16,
    4: torch.int32,
    8: torch.int64,
    16: torch.complex128,
}


# ---- small things


@encodes(torch.dtype, atom=True)
def _dtype_node(encoder: Encoder, value: torch.dtype) -> Node:
    return {"codec": "torch.dtype", "value_": str(value).removeprefix("torch.")}


@encodes(torch.layout, torch.memory_format, atom=True)
def _constant_node(encoder: Encoder, value: Any) -> Node:
    codec = "torch.layout" if type(value) is torch.layout else "torch.memory_format"
    return {"codec": codec, "value_": str(value).removeprefix("torch.")}


@decodes("torch.dtype")
@decodes("torch.layout")
@decodes("torch.memory_format")
def _decode_constant(decoder: Decoder, node: dict[str, Any]) -> Any:
    name = decoder.need(node, "value_", str)
    value = vars(torch).get(name)
    if type(value) is not getattr(torch, node["codec"].removeprefix("torch.")):
        corrupted(f"{name[:40]!r} is no {node['codec']} here")
    return value


@encodes(torch.device, atom=True)
def _device_node(encoder: Encoder, value: torch.device) -> Node:
    return {"codec": "torch.device", "value_": str(value)}


@decodes("torch.device")
def _decode_device(decoder: Decoder, node: dict[str, Any]) -> torch.device:
    return torch.device(decoder.need(node, "value_", str))


@encodes(torch.Size, atom=True)
def _size_node(encoder: Encoder, value: torch.Size) -> Node:
    return {"codec": "torch.size", "value_": [int(n) for n in value]}


@decodes("torch.size")
def _decode_size(decoder: Decoder, node: dict[str, Any]) -> torch.Size:
    return torch.Size(decoder.need_ints(node, "value_", -(2**63), 2**63 - 1))


# ---- tensors

_SPARSE: dict[torch.layout, str] = {
    torch.sparse_coo: "coo",
    torch.sparse_csr: "csr",
    torch.sparse_csc: "csc",
    torch.sparse_bsr: "bsr",
    torch.sparse_bsc: "bsc",
}
_LAYOUTS = {name: layout for layout, name in _SPARSE.items()}


@encodes(torch.Tensor, torch.nn.Parameter)
def _tensor_node(encoder: Encoder, tensor: torch.Tensor) -> Node:
    _check_that_it_can_be_kept(tensor)
    plain = tensor.detach()
    if tensor.layout is torch.strided:
        node = _strided_node(encoder, tensor, plain)
    else:
        node = _sparse_node(encoder, plain)
    if tensor.requires_grad:
        node["requires_grad_"] = True
    if type(tensor) is torch.nn.Parameter:
        node["parameter_"] = True
    if tensor.grad is not None:
        node["grad_"] = encoder.node(tensor.grad)
    if tensor.__dict__:
        node["attributes_"] = encoder.node(dict(tensor.__dict__))
    return node


def _check_that_it_can_be_kept(tensor: torch.Tensor) -> None:
    """Refuses what would not come back equal, and says what would."""
    if not tensor.is_leaf:
        refuse(tensor, "it is a part of a graph that computes gradients: put tensor.detach()")
    if tensor._backward_hooks:
        refuse(tensor, "it has hooks, which are code: put tensor.detach()")
    if tensor.is_meta:
        refuse(tensor, "it is on the device 'meta': it has a shape, and no elements")
    if tensor.device.type != "cpu":
        refuse(tensor, f"it is on the device {str(tensor.device)!r}: put tensor.cpu()")
    if tensor.is_quantized:
        refuse(
            tensor,
            "it is quantized: put tensor.int_repr() with its scale and zero point, "
            "or tensor.dequantize()",
        )
    if tensor.is_nested:
        refuse(tensor, "it is nested: put tensor.unbind(), a tuple of tensors")
    if tensor.layout is not torch.strided and tensor.layout not in _SPARSE:
        refuse(tensor, f"its layout is {tensor.layout}: put tensor.to_dense()")
    if getattr(tensor, "has_names", None) is not None and tensor.has_names():
        refuse(tensor, "its dimensions have names: put tensor.rename(None)")
    if tensor._is_zerotensor():
        refuse(tensor, "it stands for zeros that are nowhere: put tensor.clone()")


@decodes("torch.tensor")
def _decode_strided(decoder: Decoder, node: dict[str, Any]) -> torch.Tensor:
    tensor = _decode_elements(decoder, node)
    if node.get("conj_") is True:
        tensor = torch.conj(tensor)
    if node.get("neg_") is True:
        tensor = torch._neg_view(tensor)
    return _with_flags(decoder, node, tensor)


def _with_flags(decoder: Decoder, node: dict[str, Any], tensor: torch.Tensor) -> torch.Tensor:
    requires_grad = node.get("requires_grad_") is True
    if node.get("parameter_") is True:
        tensor = torch.nn.Parameter(tensor, requires_grad)
    else:
        tensor.requires_grad_(requires_grad)
    if "grad_" in node:
        tensor.grad = decoder.value(node["grad_"])
    if "attributes_" in node:
        attributes = decoder.value(node["attributes_"])
        if type(attributes) is not dict or any(type(key) is not str for key in attributes):
            corrupted("the attributes of a tensor are no dict by name")
        tensor.__dict__.update(attributes)
    return tensor


# ---- strided


def _strided_node(encoder: Encoder, tensor: torch.Tensor, plain: torch.Tensor) -> dict[str, Any]:
    node: dict[str, Any] = {
        "codec": "torch.tensor",
        "value_type_": str(tensor.dtype).removeprefix("torch."),
        "value_type_meta_": str(tensor.dtype),
        "shape_": list(tensor.shape),
        "strides_": list(tensor.stride()),
    }
    if plain.is_conj():
        node["conj_"] = True
    if plain.is_neg():
        node["neg_"] = True
    if tensor.numel():
        try:
            storage = plain.untyped_storage()
            address = storage.data_ptr()
        except (RuntimeError, NotImplementedError) as error:
            refuse(tensor, f"its elements can't be had: {str(error).splitlines()[0]}")
        storages: dict[int, _Storage] | None = encoder.memo.get("torch")
        if storages is None:
            storages = encoder.memo["torch"] = {}
            encoder.at_end(lambda: _lay_out_all(encoder))
        use = _Use(node, plain, storage)
        if use.end > storage.nbytes():
            refuse(tensor, "its storage has been given back")
        storages.setdefault(address, _Storage()).uses.append(use)
    return node


def _lay_out_all(encoder: Encoder) -> None:
    for storage in encoder.memo["torch"].values():
        storage.lay_out(encoder)


class _Use:
    """The use that one tensor makes of its storage."""

    __slots__ = ("begin", "end", "item", "node", "offset", "shape", "storage", "strides", "used")

    def __init__(self, node: dict[str, Any], plain: torch.Tensor, storage: Any) -> None:
        self.node = node
        self.storage = storage
        self.item = plain.element_size()
        self.offset = plain.storage_offset()
        self.shape = tuple(plain.shape)
        self.strides = tuple(plain.stride())
        self.begin = self.offset * self.item
        self.end = self.begin + _reach(self.shape, self.strides) * self.item
        distinct = prod(n for n, stride in zip(self.shape, self.strides, strict=True) if stride)
        #: How many bytes it takes alone.
        self.used = min(distinct * self.item, self.end - self.begin)

    @property
    def geometry(self) -> tuple[Any, ...]:
        return self.offset, self.item, self.shape, self.strides


def _reach(shape: Any, strides: Any) -> int:
    """From the first to the last element of a tensor that is not empty, both counted."""
    return 1 + sum(int((n - 1) * stride) for n, stride in zip(shape, strides, strict=True))


class _Storage:
    """All uses of one storage in one value."""

    def __init__(self) -> None:
        self.uses: list[_Use] = []

    def lay_out(self, encoder: Encoder) -> None:
        """Puts the bytes that are used into buffers, and their places into the nodes."""
        uses = sorted(self.uses, key=lambda use: use.begin)
        group = [uses[0]]
        end = uses[0].end
        for use in uses[1:]:
            if use.begin > end:
                self._lay_out_group(encoder, group, end)
                group = []
                end = use.end
            group.append(use)
            end = max(end, use.end)
        self._lay_out_group(encoder, group, end)

    def _lay_out_group(self, encoder: Encoder, group: list[_Use], end: int) -> None:
        """Tensors without an unused byte between them: together, unless most of it is gaps."""
        by_geometry: dict[Any, list[_Use]] = {}
        for use in group:
            by_geometry.setdefault(use.geometry, []).append(use)
        begin = group[0].begin
        if end - begin <= sum(same[0].used for same in by_geometry.values()):
            begin -= begin % max(use.item for use in group)
            buffer = encoder.buffer(_bytes_of(group[0].storage, begin, end))
            for use in group:
                use.node["offset_"] = (use.begin - begin) // use.item
                use.node["buffer"] = buffer
            return
        for same in by_geometry.values():
            data, strides = _without_gaps(same[0])
            buffer = encoder.buffer(data)
            for use in same:
                use.node.update(offset_=0, strides_=strides, buffer=buffer)


def _bytes_of(storage: Any, begin: int, end: int) -> Any:
    """Bytes of a storage as an array, without a copy."""
    view = torch.empty(0, dtype=torch.uint8, device="cpu")
    return view.set_(storage, begin, (end - begin,), (1,)).numpy()


def _without_gaps(use: _Use) -> tuple[Any, list[int]]:
    """The bytes of a tensor's elements alone, in the order in which they lie; and its new strides."""
    if use.used == use.end - use.begin:
        return _bytes_of(use.storage, use.begin, use.end), list(use.strides)
    ndim = len(use.shape)
    lengths = [n if stride else 1 for n, stride in zip(use.shape, use.strides, strict=True)]
    order = sorted(range(ndim), key=lambda i: -use.strides[i])
    view = torch.empty(0, dtype=_PLAIN[use.item], device="cpu")
    view.set_(use.storage, use.offset, lengths, use.strides)
    compact = view.permute(order).contiguous()
    strides = [0] * ndim
    step = 1
    for i in reversed(order):
        if use.strides[i]:
            strides[i] = step
            step *= lengths[i]
    nbytes = compact.numel() * use.item
    return _bytes_of(compact.untyped_storage(), 0, nbytes), strides


def _decode_elements(decoder: Decoder, node: dict[str, Any]) -> torch.Tensor:
    name = decoder.need(node, "value_type_", str)
    dtype = _DTYPES.get(name)
    if dtype is None:
        corrupted(f"{name[:40]!r} is no type of elements that torch has here")
    shape = decoder.need_ints(node, "shape_", 0, _MAX)
    strides = decoder.need_ints(node, "strides_", 0, _MAX)
    if len(shape) != len(strides) or prod(n or 1 for n in shape) > _MAX:
        corrupted(f"shape {str(shape)[:60]} with strides {str(strides)[:60]}")
    tensor = torch.empty(0, dtype=dtype, device="cpu")
    if 0 in shape:
        return tensor.as_strided(shape, strides)
    offset = decoder.need_int(node, "offset_", 0, _MAX)
    buffer = private_buffer(decoder, node)
    if (offset + _reach(shape, strides)) * dtype.itemsize > len(buffer):
        corrupted(f"{len(buffer)} bytes for shape {str(shape)[:60]} of {dtype} from {offset}")
    return tensor.set_(_storage_of(decoder, buffer, dtype.itemsize), offset, shape, strides)


def _storage_of(decoder: Decoder, buffer: Any, alignment: int) -> Any:
    """The storage over a buffer; one for all tensors in it."""
    storages: dict[int, Any] = decoder.memo.setdefault("torch", {})
    storage = storages.get(id(buffer))
    if storage is None:
        data = np.frombuffer(buffer, np.uint8)
        if data.ctypes.data % max(alignment, 16):  # as no buffer of ours lies
            data = data.copy()
        storage = storages[id(buffer)] = torch.from_numpy(data).untyped_storage()
    return storage


# ---- sparse


def _sparse_node(encoder: Encoder, plain: torch.Tensor) -> dict[str, Any]:
    layout = _SPARSE[plain.layout]
    node: dict[str, Any] = {
        "codec": "torch.sparse",
        "layout_": layout,
        "shape_": list(plain.shape),
    }
    if layout == "coo":
        node["coalesced_"] = plain.is_coalesced()
        parts = [plain._indices(), plain._values()]
    elif layout in ("csr", "bsr"):
        parts = [plain.crow_indices(), plain.col_indices(), plain.values()]
    else:
        parts = [plain.ccol_indices(), plain.row_indices(), plain.values()]
    node["parts_"] = [encoder.node(part) for part in parts]
    return node


@decodes("torch.sparse")
def _decode_sparse(decoder: Decoder, node: dict[str, Any]) -> torch.Tensor:
    layout = decoder.need(node, "layout_", str)
    shape = decoder.need_ints(node, "shape_", 0, _MAX)
    parts = [decoder.value(part) for part in decoder.need(node, "parts_", list)]
    if layout not in _LAYOUTS or len(parts) != (2 if layout == "coo" else 3):
        corrupted(f"a sparse tensor of layout {layout[:20]!r} made of {len(parts)} parts")
    if any(type(part) is not torch.Tensor or part.layout is not torch.strided for part in parts):
        corrupted("a part of a sparse tensor is no tensor")
    # The bounds of every index too, where data is trusted less.
    check = not decoder.pickle
    if layout == "coo":
        indices, values = parts
        if indices.dtype is not torch.int64 or indices.ndim != 2 or not values.ndim:
            corrupted(f"indices of {indices.dtype}, in {indices.ndim} dimensions")
        if indices.shape[0] + values.ndim - 1 != len(shape) or len(values) != indices.shape[1]:
            corrupted(f"{len(values)} values with {list(indices.shape)} indices in {shape}")
        tensor = torch.sparse_coo_tensor(
            indices,
            values,
            shape,
            is_coalesced=decoder.need(node, "coalesced_", bool),
            check_invariants=check,
        )
    else:
        tensor = torch.sparse_compressed_tensor(
            *parts, shape, layout=_LAYOUTS[layout], check_invariants=check
        )
    return _with_flags(decoder, node, tensor)


# ---- modules


@recognises
def _find_module_encoder(t: type) -> Encode | None:
    return _module_node if issubclass(t, torch.nn.Module) else None


class _Pickler(pickle.Pickler):
    """Leaves tensors out, and keeps their nodes."""

    def __init__(self, file: Any, encoder: Encoder) -> None:
        super().__init__(file, protocol=5)
        self._encoder = encoder
        self.nodes: list[Node] = []

    def persistent_id(self, value: Any) -> int | None:
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            return None
        self.nodes.append(self._encoder.node(value))
        return len(self.nodes) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, tensors: list[Any]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, key: Any) -> Any:
        return self._tensors[key]


def _module_node(encoder: Encoder, module: torch.nn.Module) -> Node:
    """A pickle of what is code in a module, and its tensors beside."""
    if not encoder.pickle:
        encode_pickle(encoder, module, "it is code: put module.state_dict(), which is not")
    file = io.BytesIO()
    pickler = _Pickler(file, encoder)
    try:
        pickler.dump(module)
    except (VineyardException, CycleError, RecursionError, MemoryError):
        raise
    except Exception as error:
        raise TypeErrorException(
            f"can't store a value of type {type_name(type(module))}: pickle says: {error}; "
            "put module.state_dict()"
        ) from error
    return {
        "codec": "torch.module",
        "type_": type_name(type(module))[:200].encode("ascii", "backslashreplace").decode(),
        "tensors_": pickler.nodes,
        "buffer": encoder.buffer(file.getvalue()),
    }


@decodes("torch.module")
def _decode_module(decoder: Decoder, node: dict[str, Any]) -> Any:
    if not decoder.pickle:
        raise PickleRefusedException(
            f"a module of type {str(node.get('type_'))[:200]} is stored as a pickle, and pickle was "
            "refused: store its state_dict() instead"
        )
    tensors = [decoder.value(part) for part in decoder.need(node, "tensors_", list)]
    try:
        return _Unpickler(io.BytesIO(decoder.need_buffer(node)), tensors).load()
    except Exception as error:
        raise UnpickleException(
            f"a module of type {str(node.get('type_'))[:200]} is stored as a pickle, which can't "
            f"be loaded here: {type(error).__name__}: {error}"
        ) from error
