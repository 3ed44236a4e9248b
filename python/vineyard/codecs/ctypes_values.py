# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""ctypes: numbers, structures, unions, and arrays of them.

They come back writable, as their types know nothing else, in a private copy-on-write mapping of the
stored pages (`private_buffer`): nothing is copied, and what is written stays in this process.

Structures and unions are stored by the name of their class and their bytes, with what lies where in
them. At get the class must have the same layout, and nothing of it is called. Addresses mean nothing
in another process: what holds one is refused.

>>> import ctypes
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode((ctypes.c_int16 * 3)(1, -2, 3))
>>> list(decode(typename, metadata, [bytes(b) for b in buffers]))
[1, -2, 3]
"""

from __future__ import annotations

import ctypes
from math import prod
from typing import Any

from vineyard.codecs.buffer_values import private_buffer
from vineyard.codecs.classes import class_keys, class_of, differs, is_found_by_name, not_found
from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import (
    Decoder,
    Encode,
    Encoder,
    Node,
    corrupted,
    decodes,
    recognises,
    refuse,
)

#: Types of items, by the names that programs use.
_ITEM_TYPES = """
    c_bool c_byte c_ubyte c_char c_wchar c_short c_ushort c_int c_uint c_long c_ulong c_longlong
    c_ulonglong c_float c_double c_longdouble c_int8 c_uint8 c_int16 c_uint16 c_int32 c_uint32
    c_int64 c_uint64 c_size_t c_ssize_t
"""
_ITEMS: dict[str, Any] = {name: getattr(ctypes, name) for name in _ITEM_TYPES.split()}
#: Several names are one type; a stored one is the first of these.
_ITEM_NAMES = {t: name for name, t in reversed(_ITEMS.items())}
#: The same in the other byte order, which only fields have.
_SWAPPED_NAMES = {
    swapped: f"{name}, swapped"
    for t, name in _ITEM_NAMES.items()
    for swapped in (getattr(t, "__ctype_be__", t), getattr(t, "__ctype_le__", t))
    if swapped is not t
}
_COMPOUND = (ctypes.Structure, ctypes.Union)


@recognises
def _find_ctypes_encoder(t: type) -> Encode | None:
    """Plain items, structures, unions, and arrays, of arrays, of them; but no classes derived from
    items or arrays."""
    item, shape = _item_and_shape(t)
    if t is not _array_type(item, shape):
        return None
    if item in _ITEM_NAMES:
        return _items_node
    return _compound_node if issubclass(item, _COMPOUND) else None


def _item_and_shape(t: Any) -> tuple[Any, list[int]]:
    shape = []
    while issubclass(t, ctypes.Array):
        shape.append(t._length_)
        t = t._type_
    return t, shape


def _array_type(item: Any, shape: list[int]) -> Any:
    for length in reversed(shape):
        item = item * length
    return item


def _bytes_keys(encoder: Encoder, value: Any, shape: list[int]) -> dict[str, Node]:
    bytes_ = memoryview(value).cast("B") if ctypes.sizeof(value) else b""
    return {"shape_": shape, "buffer": encoder.buffer(bytes_)}


def _value_of(decoder: Decoder, node: dict[str, Any], item: Any) -> Any:
    shape = decoder.need_ints(node, "shape_", 0, 2**62)
    buffer = decoder.need_buffer(node)
    if len(shape) > 64 or len(buffer) != prod(shape) * ctypes.sizeof(item):
        corrupted(f"{len(buffer)} bytes for an array of {str(shape)[:60]} {item.__name__}")
    if not prod(shape) and prod(n or 1 for n in shape) > 2**40:
        corrupted(f"an empty array of {str(shape)[:60]}")
    t = _array_type(item, shape)
    return t.from_buffer(private_buffer(decoder, node) if len(buffer) else bytearray())


# ---- of plain items


def _items_node(encoder: Encoder, value: Any) -> Node:
    item, shape = _item_and_shape(type(value))
    return {
        "codec": "ctypes.array" if shape else "ctypes.item",
        "value_type_": _ITEM_NAMES[item],
        "item_bytes_": ctypes.sizeof(item),
        **_bytes_keys(encoder, value, shape),
    }


@decodes("ctypes.item")
@decodes("ctypes.array")
def _decode_items(decoder: Decoder, node: dict[str, Any]) -> Any:
    item = _ITEMS.get(decoder.need(node, "value_type_", str))
    if item is None or ctypes.sizeof(item) != decoder.need_int(node, "item_bytes_"):
        corrupted(f"{node['value_type_'][:20]!r} is no type of items here, or has another size")
    if bool(decoder.need(node, "shape_", list)) != (node["codec"] == "ctypes.array"):
        corrupted("an array without a shape, or an item with one")
    return _value_of(decoder, node, item)


# ---- of structures and unions


def _compound_node(encoder: Encoder, value: Any) -> Node:
    t, shape = _item_and_shape(type(value))
    layout = _layout(t)
    if isinstance(layout, str):
        refuse(value, f"{layout}, which means nothing in another process")
    if _says_how(t) or getattr(value, "__dict__", None):
        return encode_pickle(encoder, value, "it has more than its fields, or pickles itself")
    if not is_found_by_name(encoder, t):
        return not_found(encoder, value)
    return {
        "codec": "ctypes.compound",
        **class_keys(encoder, t),
        "layout_": layout,
        "item_bytes_": ctypes.sizeof(t),
        **_bytes_keys(encoder, value, shape),
    }


def _says_how(t: Any) -> bool:
    """Whether a class has ways of its own to be taken apart."""
    base = next(b for b in _COMPOUND if issubclass(t, b))
    hooks = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__")
    return any(getattr(t, name, None) is not getattr(base, name, None) for name in hooks)


def _layout(t: Any) -> list[list[Any]] | str:
    """Name, type, place and bits of each field; or why such values can't be stored."""
    fields: list[list[Any]] = []
    for base in reversed(t.__mro__):
        for name, of, *bits in vars(base).get("_fields_", ()):
            text = _type_text(of)
            if text is None:
                return f"field {name!r} of {t.__qualname__!r} holds an address"
            # Where an inner one is named by `_anonymous_`, its fields are the outer one's too.
            place = getattr(t, name)
            fields.append([name, text, place.offset, *bits])
            if isinstance(of, type) and issubclass(_item_and_shape(of)[0], _COMPOUND):
                inner = _layout(_item_and_shape(of)[0])
                if isinstance(inner, str):
                    return inner
                fields[-1].append(inner)
    return fields


def _type_text(t: Any) -> str | None:
    item, shape = _item_and_shape(t)
    name = _ITEM_NAMES.get(item) or _SWAPPED_NAMES.get(item)
    if name is None and issubclass(item, _COMPOUND):
        name = f"{'union' if issubclass(item, ctypes.Union) else 'struct'} {ctypes.sizeof(item)}"
    return None if name is None else f"{name}{shape or ''}"


@decodes("ctypes.compound")
def _decode_compound(decoder: Decoder, node: dict[str, Any]) -> Any:
    t = class_of(decoder, node)
    if not issubclass(t, _COMPOUND):
        corrupted(f"a structure or union of class {t.__qualname__!r}, which is neither")
    layout = _layout(t)
    if layout != node.get("layout_") or ctypes.sizeof(t) != node.get("item_bytes_"):
        differs(t, "has other fields, or the same at other places,")
    return _value_of(decoder, node, t)
