# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""numpy arrays and numpy scalars.

An array is one buffer: its elements, contiguous, in its own byte order, in the order in which they
lie in memory. ``shape_`` is the array's shape, ``value_type_meta_`` its dtype (``"<f8"``), and
``order_`` how the buffer maps to it:

* ``"C"``: row-major; ``"F"``: column-major;
* ``"K"``: any other. ``axes_`` lists the axes from the slowest to the fastest; those in
  ``repeated_`` (broadcast) are stored once, and those in ``flipped_`` run backwards.

A contiguous array in any of these orders is handed over without a copy, and comes back as a
read-only view of the stored bytes. Only arrays with gaps are compacted first.

Arrays of Python objects hold their items as a sequence does (see `containers`).

>>> import numpy as np
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(np.arange(6.0).reshape(2, 3))
>>> typename
'vineyard::Tensor<double>'
>>> decode(typename, metadata, [bytes(b) for b in buffers])
array([[0., 1., 2.],
       [3., 4., 5.]])
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from vineyard.codecs.containers import items_keys, items_of
from vineyard.codecs.scalars import Encoded
from vineyard.codecs.tree import (
    Decoder,
    Encoder,
    Node,
    corrupted,
    decodes,
    encodes,
    refuse,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Names of element types in typenames, where the C++ name differs from numpy's.
_CPP_NAMES = {"float32": "float", "float64": "double", "int32": "int"}

_DTYPE_TEXT = re.compile(r"[<>|][biufcmMSU]\d+(\[\d*[a-zA-Zμ]+\])?")
_MAX_DIM = 2**62


# ---- dtypes


class _DtypeInfo:
    """What is the same for all arrays of one dtype."""

    __slots__ = ("exports", "head", "keys", "typename")

    def __init__(self, dtype: np.dtype[Any]) -> None:
        name = dtype.name
        native = dtype.isnative
        cpp = _CPP_NAMES.get(name, name) if native else f"{name}, big-endian"
        self.typename = f"vineyard::Tensor<{cpp}>"
        self.keys = {"value_type_": name, "value_type_meta_": dtype.str}
        self.head = (
            f'{{"codec":"tensor","version":1,"value_type_":"{name}",'
            f'"value_type_meta_":"{dtype.str}","order_":"C","partition_index_":[],"buffer":0,"shape_":'
        )
        # Whether memoryview understands the array as it is; else its bytes are viewed as uint8.
        self.exports = native and dtype.kind in "biuf" and 0 < dtype.itemsize <= 8


_DTYPES: dict[np.dtype[Any], _DtypeInfo] = {}


def _dtype_info(dtype: np.dtype[Any]) -> _DtypeInfo | None:
    """None for dtypes whose elements are not plain bytes."""
    info = _DTYPES.get(dtype)
    if info is None and dtype.kind in "biufcmMSU" and dtype.itemsize:
        if len(_DTYPES) > 1000:
            _DTYPES.clear()
        info = _DTYPES[dtype] = _DtypeInfo(dtype)
    return info


_PARSED: dict[str, np.dtype[Any]] = {}


def dtype_of(text: str) -> np.dtype[Any]:
    """The dtype of a stored ``value_type_meta_``."""
    dtype = _PARSED.get(text)
    if dtype is not None:
        return dtype
    if not _DTYPE_TEXT.fullmatch(text):
        corrupted(f"{text[:40]!r} is no dtype of numbers")
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        corrupted(f"{text[:40]!r} is no dtype here: {error}")
    if dtype.itemsize == 0:
        corrupted(f"{text[:40]!r} is no dtype of numbers")
    if len(_PARSED) > 1000:
        _PARSED.clear()
    _PARSED[text] = dtype
    return dtype


def _bytes_view(array: NDArray[Any], info: _DtypeInfo) -> Any:
    """A C-contiguous array as a buffer of bytes, without a copy."""
    return array if info.exports else array.reshape(-1).view(np.uint8)


# ---- layout


def _in_memory_order(array: NDArray[Any]) -> tuple[NDArray[Any], dict[str, Any]]:
    """A C-contiguous array of the elements as they lie in memory, and the keys that lead back."""
    shape: dict[str, Any] = {"shape_": list(array.shape)}
    if array.flags.c_contiguous or array.size == 0:
        return np.ascontiguousarray(array).reshape(array.shape), {**shape, "order_": "C"}
    if array.flags.f_contiguous:
        return array.T, {**shape, "order_": "F"}
    axes = range(array.ndim)
    repeated = [i for i in axes if array.strides[i] == 0 and array.shape[i] > 1]
    flipped = [i for i in axes if array.strides[i] < 0 and array.shape[i] > 1]
    array = array[
        tuple(
            slice(0, 1) if i in repeated else slice(None, None, -1 if i in flipped else 1)
            for i in axes
        )
    ]
    order = sorted(axes, key=lambda i: -abs(array.strides[i]))
    keys = {**shape, "order_": "K", "axes_": order, "repeated_": repeated, "flipped_": flipped}
    return np.ascontiguousarray(array.transpose(order)), keys


def _from_memory_order(
    decoder: Decoder, node: dict[str, Any], dtype: np.dtype[Any], buffer: Any
) -> NDArray[Any]:
    shape = decoder.need_ints(node, "shape_", 0, _MAX_DIM)
    ndim = len(shape)
    order = node.get("order_")
    if order not in ("C", "F", "K"):
        corrupted(f"memory order {str(order)[:20]!r}")
    stored = shape
    if order == "F":
        stored = shape[::-1]
    elif order == "K":
        axes = decoder.need_ints(node, "axes_", 0, ndim)
        repeated = decoder.need_ints(node, "repeated_", 0, ndim - 1)
        flipped = decoder.need_ints(node, "flipped_", 0, ndim - 1)
        if sorted(axes) != list(range(ndim)):
            corrupted(f"{axes} is no order of {ndim} axes")
        stored = [1 if i in repeated else shape[i] for i in axes]
    check_size(stored, dtype, buffer)
    try:
        array: NDArray[Any] = np.ndarray(tuple(stored), dtype, buffer)
        if order == "F":
            array = array.T
        elif order == "K":
            array = array.transpose(np.argsort(axes))
            array = array[tuple(slice(None, None, -1 if i in flipped else 1) for i in range(ndim))]
            if repeated:
                array = np.broadcast_to(array, shape)
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))
    return array


def check_size(shape: list[int], dtype: np.dtype[Any], buffer: Any) -> None:
    """Raises unless the buffer holds exactly that many elements."""
    nbytes = dtype.itemsize
    for n in shape:
        nbytes *= n
    if len(buffer) != nbytes:
        corrupted(f"{len(buffer)} bytes for shape {shape} of {dtype}, which takes {nbytes}")


# ---- arrays


def encode_array(array: NDArray[Any]) -> Encoded | None:
    """A put of an array, the fast way; None where only the tree will do."""
    info = _DTYPES.get(array.dtype)
    if info is None or not array.flags.c_contiguous:
        return None
    metadata = f"{info.head}{list(array.shape)}}}"
    return info.typename, metadata, [_bytes_view(array, info)], None


@encodes(np.ndarray)
def array_node(encoder: Encoder, array: NDArray[Any]) -> Node:
    info = _dtype_info(array.dtype)
    if info is not None:
        data, layout = _in_memory_order(array)
        return {
            "codec": "tensor",
            **info.keys,
            **layout,
            "partition_index_": [],
            "buffer": encoder.buffer(_bytes_view(data, info)),
        }
    if array.dtype.kind == "O":
        order: Any = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        return {
            "codec": "tensor.object",
            "shape_": list(array.shape),
            "order_": order,
            **items_keys(encoder, array.ravel(order).tolist()),
        }
    from vineyard.codecs.pickled import encode_pickle

    if not encoder.pickle:
        refuse(array, f"dtype {array.dtype} has no codec, and pickle was refused")
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = array.copy()  # pickle would have it in band, and give it back writable
    return encode_pickle(encoder, array)


def typename_of(node: dict[str, Any]) -> str:
    """The typename of a stored array, from its node."""
    if node["codec"] == "tensor.object":
        return "vineyard::Tensor<object>"
    return _DTYPES[dtype_of(node["value_type_meta_"])].typename


@decodes("tensor")
def _decode_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_of(decoder.need(node, "value_type_meta_", str))
    return _from_memory_order(decoder, node, dtype, decoder.need_buffer(node))


@decodes("tensor.object")
def _decode_object_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    shape = decoder.need_ints(node, "shape_", 0, _MAX_DIM)
    items = items_of(decoder, node)
    order = node.get("order_")
    if order not in ("C", "F"):
        corrupted(f"memory order {str(order)[:20]!r}")
    flat = np.empty(len(items), object)
    for i, item in enumerate(items):
        flat[i] = item
    flat.flags.writeable = False  # before there is a view: so nobody can switch it back on in that
    try:
        return flat.reshape(shape, order=order)
    except ValueError as error:
        corrupted(str(error))


#: Metadata of small arrays read before -> (dtype, shape, bytes).
_PLANS: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}


def fast_array(metadata: str, buffers: Any) -> NDArray[Any] | None:
    """The array, when one with the very same metadata was read before."""
    plan = _PLANS.get(metadata)
    if plan is None or len(buffers) != 1:
        return None
    dtype, shape, nbytes = plan
    buffer = buffers[0]
    if len(buffer) != nbytes:
        return None
    return np.ndarray(shape, dtype, buffer)


def remember(metadata: str, node: dict[str, Any], array: Any) -> None:
    """Keeps what `fast_array` needs, for arrays that were checked once."""
    if node.get("order_") == "C" and node.get("buffer") == 0 and len(metadata) < 400:
        if len(_PLANS) > 500:
            _PLANS.clear()
        _PLANS[metadata] = (array.dtype, array.shape, array.nbytes)


# ---- numpy scalars


def _scalar_node(encoder: Encoder, value: np.generic[Any]) -> Node:
    dtype = value.dtype
    if isinstance(value, np.str_):
        inner: Any = encoder.node(str.__str__(value))  # str() of numpy loses NULs at the end
        return {"codec": "scalar", "value_type_meta_": "str_", "value_": inner}
    if isinstance(value, np.bytes_):
        inner = encoder.node(bytes(value))
        return {"codec": "scalar", "value_type_meta_": "bytes_", "value_": inner}
    return {
        "codec": "scalar",
        "type_": dtype.name,
        "value_type_meta_": dtype.str,
        "hex_": value.tobytes().hex(),
        "text_": str(value),
    }


encodes(
    *(t for t in {np.dtype(c).type for c in "?bhilqBHILQefdgFDGmMSU"}),
    atom=True,
)(_scalar_node)
# np.longlong is a type of its own beside np.int64, of the same dtype string.
for _name in ("longlong", "ulonglong", "intc", "uintc"):
    encodes(getattr(np, _name), atom=True)(_scalar_node)


@decodes("scalar")
def _decode_scalar(decoder: Decoder, node: dict[str, Any]) -> Any:
    text = decoder.need(node, "value_type_meta_", str)
    if text in ("str_", "bytes_"):
        inner = decoder.value(node.get("value_"))
        if type(inner) is not (str if text == "str_" else bytes):
            corrupted(f"a {text} made of a {type(inner).__name__}")
        return np.str_(inner) if text == "str_" else np.bytes_(inner)
    dtype = dtype_of(text)
    try:
        data = bytes.fromhex(decoder.need(node, "hex_", str))
    except ValueError:
        corrupted("a numpy scalar is not written in hexadecimal")
    check_size([], dtype, data)
    return np.ndarray((), dtype, data)[()]
