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

Arrays of Python objects hold their items as a sequence does (see `containers`), and arrays of
StringDType their texts as Arrow would: UTF-8, and where each begins. Arrays whose dtype is more than
a text, such as structures, have a ``dtype_`` beside their bytes (see `dtypes`); bytes of a structure
that belong to no field are stored as zeros. Structures with fields of Python objects are stored field
by field. These three are made anew at get, all others are views of the stored bytes.

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

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vineyard.codecs.containers import items_keys, items_of
from vineyard.codecs.dtypes import (
    DtypeInfo,
    dtype_from,
    dtype_node,
    dtype_of,
    has_gaps,
    is_foreign,
    known_info,
    plain_info,
)
from vineyard.codecs.pickled import encode_pickle
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

_MAX_DIM = 2**62


def _bytes_view(array: NDArray[Any], info: DtypeInfo | None) -> Any:
    """A C-contiguous array as a buffer of bytes, without a copy."""
    if info is not None and info.exports:
        return array
    return array.reshape(-1).view(np.uint8) if array.itemsize else b""


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
    """The reverse of `_in_memory_order`, for the bytes of the elements."""
    stored, lead_back = _way_back(decoder, node)
    check_size(stored, dtype, buffer)
    try:
        return lead_back(np.ndarray(tuple(stored), dtype, buffer))
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))


def _from_items(decoder: Decoder, node: dict[str, Any], flat: NDArray[Any]) -> NDArray[Any]:
    """The reverse of `_in_memory_order`, for elements that are no bytes."""
    stored, lead_back = _way_back(decoder, node)
    if not decoder.writable:
        flat.flags.writeable = (
            False  # before there is a view: so nobody can switch it back on in that
        )
    try:
        return lead_back(flat.reshape(stored))
    except (ValueError, TypeError, OverflowError) as error:
        corrupted(str(error))


def _way_back(
    decoder: Decoder, node: dict[str, Any]
) -> tuple[list[int], Callable[[NDArray[Any]], NDArray[Any]]]:
    """The shape as the elements lie in memory, and what makes the array of that."""
    shape = decoder.need_ints(node, "shape_", 0, _MAX_DIM)
    ndim = len(shape)
    order = node.get("order_")
    if order == "C":
        return shape, lambda array: array
    if order == "F":
        return shape[::-1], lambda array: array.T
    if order != "K":
        corrupted(f"memory order {str(order)[:20]!r}")
    axes = decoder.need_ints(node, "axes_", 0, ndim)
    repeated = decoder.need_ints(node, "repeated_", 0, ndim - 1)
    flipped = decoder.need_ints(node, "flipped_", 0, ndim - 1)
    if sorted(axes) != list(range(ndim)):
        corrupted(f"{axes} is no order of {ndim} axes")

    def lead_back(array: NDArray[Any]) -> NDArray[Any]:
        array = array.transpose(np.argsort(axes))
        array = array[tuple(slice(None, None, -1 if i in flipped else 1) for i in range(ndim))]
        return np.broadcast_to(array, shape) if repeated else array

    return [1 if i in repeated else shape[i] for i in axes], lead_back


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
    info = known_info(array.dtype)
    if info is None or not array.flags.c_contiguous:
        return None
    metadata = f"{info.head}{list(array.shape)}}}"
    return info.typename, metadata, [_bytes_view(array, info)], None


@encodes(np.ndarray)
def array_node(encoder: Encoder, array: NDArray[Any]) -> Node:
    """The node of an array; what a subclass adds to it is lost."""
    dtype = array.dtype
    info = plain_info(dtype)
    if info is not None:
        data, layout = _in_memory_order(array)
        return {
            "codec": "tensor",
            **info.keys,
            **layout,
            "partition_index_": [],
            "buffer": encoder.buffer(_bytes_view(data, info)),
        }
    keys = {"value_type_": dtype.name, "value_type_meta_": dtype.str}
    if dtype.kind == "O":
        data, layout = _in_memory_order(array)
        if dtype.metadata is not None:
            layout["dtype_"] = dtype_node(encoder, dtype)
        return {"codec": "tensor.object", **layout, **items_keys(encoder, data.ravel().tolist())}
    if is_foreign(dtype):
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            array = array.copy()  # pickle would have it in band, and give it back writable
        return encode_pickle(encoder, array, f"dtype {dtype} has no codec")
    keys["dtype_"] = dtype_node(encoder, dtype)
    if dtype.kind == "T":
        data, layout = _in_memory_order(array)
        return {
            "codec": "tensor.string",
            **keys,
            "value_type_": "string",
            "value_type_meta_": "T",
            **layout,
            **text_keys(encoder, data.ravel().tolist()),
        }
    if dtype.hasobject:
        return {"codec": "tensor.fields", **keys, **_field_keys(encoder, array)}
    data, layout = _in_memory_order(array)
    if has_gaps(dtype):
        data = _without_gaps(data)
    return {
        "codec": "tensor.typed",
        **keys,
        **layout,
        "partition_index_": [],
        "buffer": encoder.buffer(_bytes_view(data, None)),
    }


def typename_of(node: dict[str, Any]) -> str:
    """The typename of a stored array, from its node."""
    if node["codec"] == "tensor.object":
        return "vineyard::Tensor<object>"
    if node["codec"] != "tensor":
        return f"vineyard::Tensor<{node['value_type_']}>"
    info = plain_info(dtype_of(node["value_type_meta_"]))
    return info.typename if info is not None else "vineyard::Tensor"


@decodes("tensor")
def _decode_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_of(decoder.need(node, "value_type_meta_", str))
    return _from_memory_order(decoder, node, dtype, decoder.need_buffer(node))


@decodes("tensor.typed")
def _decode_typed_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_from(decoder, node.get("dtype_"))
    # Of these, the bytes would be taken for addresses.
    if dtype.hasobject or dtype.kind == "T" or dtype.subdtype is not None:
        corrupted(f"an array of bytes that is one of {dtype}")
    return _from_memory_order(decoder, node, dtype, decoder.need_buffer(node))


@decodes("tensor.object")
def _decode_object_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_from(decoder, node["dtype_"]) if "dtype_" in node else np.dtype("O")
    if dtype.kind != "O":
        corrupted(f"an array of objects that is one of {dtype}")
    items = items_of(decoder, node)
    # Item by item, where an assignment would look into those that are sequences.
    return _from_items(decoder, node, np.fromiter(items, dtype, len(items)))


# ---- arrays of StringDType: UTF-8 of all texts, and where each ends


def text_keys(encoder: Encoder, items: list[Any]) -> dict[str, Any]:
    """The keys that hold texts; what is no text stands for a missing one."""
    encoded = [item.encode() if type(item) is str else b"" for item in items]
    offsets = np.zeros(len(items) + 1, "<i8")
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    keys = {
        "offsets_": encoder.buffer(offsets),
        "texts_": encoder.buffer(b"".join(encoded)),
    }
    if any(type(item) is not str for item in items):
        keys["missing_"] = encoder.buffer(bytes(type(item) is not str for item in items))
    return keys


@decodes("tensor.string")
def _decode_string_tensor(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_from(decoder, node.get("dtype_"))
    if dtype.kind != "T":
        corrupted(f"an array of texts that is one of {dtype}")
    buffer = decoder.need_buffer(node, "offsets_")
    texts = bytes(decoder.need_buffer(node, "texts_"))
    if len(buffer) % 8 or not len(buffer):
        corrupted(f"{len(buffer)} bytes are no whole number of offsets")
    offsets = np.frombuffer(buffer, "<i8")
    if offsets[0] != 0 or offsets[-1] != len(texts) or (offsets[1:] < offsets[:-1]).any():
        corrupted("offsets of texts that do not rise from their start to their end")
    ends = offsets.tolist()
    items: list[Any] = [str(texts[a:b], "utf-8") for a, b in pairwise(ends)]
    if "missing_" in node:
        missing = bytes(decoder.need_buffer(node, "missing_"))
        if len(missing) != len(items) or not hasattr(dtype, "na_object"):
            corrupted("missing texts in an array that can't have them")
        items = [dtype.na_object if m else item for m, item in zip(missing, items, strict=True)]
    flat = np.empty(len(items), dtype)
    flat[:] = items
    return _from_items(decoder, node, flat)


# ---- arrays of structures


def _without_gaps(array: NDArray[Any]) -> NDArray[Any]:
    """A copy whose bytes outside of fields are zero, and not what lay in the program's memory."""
    made = np.zeros(array.shape, array.dtype)
    _copy_fields(array, made)
    return made


def _copy_fields(source: NDArray[Any], target: NDArray[Any]) -> None:
    if source.dtype.names is None:
        target[...] = source
    for name in source.dtype.names or ():
        _copy_fields(source[name], target[name])


def _field_keys(encoder: Encoder, array: NDArray[Any]) -> dict[str, Any]:
    """The keys that hold the fields of an array one by one: for fields of Python objects."""
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    names = array.dtype.names or ()
    parts = [np.ascontiguousarray(array[name]).reshape(array[name].shape) for name in names]
    if _is_mostly_gaps(array.dtype, array.size, parts):
        refuse(array, f"most bytes of an element of {array.dtype} belong to no field")
    return {
        "shape_": list(array.shape),
        "order_": order,
        "fields_": [array_node(encoder, part) for part in parts],
    }


def _is_mostly_gaps(dtype: np.dtype[Any], size: int, parts: list[NDArray[Any]]) -> bool:
    return dtype.itemsize * size > 16 * sum(part.nbytes for part in parts) + 2**20


@decodes("tensor.fields")
def _decode_fields(decoder: Decoder, node: dict[str, Any]) -> NDArray[Any]:
    dtype = dtype_from(decoder, node.get("dtype_"))
    shape = tuple(decoder.need_ints(node, "shape_", 0, _MAX_DIM))
    order = node.get("order_")
    parts = [decoder.value(part) for part in decoder.need(node, "fields_", list)]
    names = dtype.names or ()
    if order not in ("C", "F") or len(parts) != len(names) or not dtype.hasobject:
        corrupted(f"{len(parts)} fields in order {str(order)[:20]!r} for {dtype}")
    for name, part in zip(names, parts, strict=True):
        field = dtype.fields[name][0]  # type: ignore[index]
        if (
            type(part) is not np.ndarray
            or part.shape != shape + field.shape
            or part.dtype != field.base
            or not part.flags.c_contiguous  # so that there is a byte in the store for each of its own
        ):
            corrupted(f"field {name[:40]!r} is no array of {field}")
    size = parts[0].size if shape else 1
    for dim in dtype.fields[names[0]][0].shape:  # type: ignore[index]
        size //= dim or 1
    if _is_mostly_gaps(dtype, size, parts):
        corrupted("fields of another size than their array")
    array = np.zeros(shape, dtype, order=order)
    for name, part in zip(names, parts, strict=True):
        array[name] = part
    if not decoder.writable:
        array.flags.writeable = False
    return array


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
    if plain_info(dtype) is None:
        if isinstance(value, np.void):
            array = np.asarray(value)
        else:  # not so: of a long double it would fill the gap with what lay in memory
            array = np.frombuffer(value.tobytes(), dtype).reshape(())
        return {
            "codec": "scalar.typed",
            "type_": dtype.name,
            "value_type_meta_": dtype.str,
            "array_": array_node(encoder, array),
        }
    node = {
        "codec": "scalar",
        "type_": dtype.name,
        "value_type_meta_": dtype.str,
        "hex_": value.tobytes().hex(),
    }
    try:
        node["text_"] = str(value)  # for people
    except ValueError:  # of a date without a unit
        pass
    return node


encodes(*(t for t in {np.dtype(c).type for c in "?bhilqBHILQefdgFDGmMSU"}), atom=True)(_scalar_node)
# Types of their own beside np.int64 or np.int32, of the same dtype string.
for _name in ("longlong", "ulonglong", "intc", "uintc"):
    encodes(getattr(np, _name), atom=True)(_scalar_node)
encodes(np.void, np.record)(_scalar_node)


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


@decodes("scalar.typed")
def _decode_typed_scalar(decoder: Decoder, node: dict[str, Any]) -> Any:
    array = decoder.value(node.get("array_"))
    if type(array) is not np.ndarray or array.ndim:
        corrupted("a numpy scalar that is not made of an array without axes")
    return array[()]
