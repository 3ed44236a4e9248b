# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""list, tuple, dict, set and frozenset of values.

A tree of one node per item is right for anything, and slow for a million of them. So a sequence of
at least `PACK_FROM` items that are all None, bool, int (64 bits), float or str is *packed*: the
items of each type together in one buffer and, where the types are mixed, one byte per item that
tells which comes next. Packed floats keep every bit.

>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, members = encode([1, "two", (3.0, None)])
>>> typename
'vineyard::Sequence'
>>> decode(typename, metadata, buffers)
[1, 'two', (3.0, None)]
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from vineyard._core import pack_texts, unpack_texts
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse

PACK_FROM = 32

# Tags of packed items; part of the format.
_TAGS: dict[type, int] = {type(None): 0, bool: 1, int: 2, float: 3, str: 4}


# ---- items of a sequence: the keys "size_" and "items_" or "packed_" of the node that holds them


def items_keys(encoder: Encoder, values: list[Any] | tuple[Any, ...]) -> dict[str, Node]:
    """The keys that hold the items of a sequence, in whatever node."""
    if len(values) >= PACK_FROM:
        packed = _pack(encoder, values)
        if packed is not None:
            return {"size_": len(values), "packed_": packed}
    node = encoder.node
    return {"size_": len(values), "items_": [node(v) for v in values]}


def items_of(decoder: Decoder, node: dict[str, Any]) -> list[Any]:
    """The reverse of `items_keys`."""
    size = decoder.need_int(node, "size_", 0)
    if "packed_" in node:
        items = _unpack(decoder, decoder.need(node, "packed_", dict), size)
    else:
        value = decoder.value
        items = [value(item) for item in decoder.need(node, "items_", list)]
    if len(items) != size:
        corrupted(f"{len(items)} items where {size} are announced")
    return items


def _pack(encoder: Encoder, values: Any) -> dict[str, Any] | None:
    if type(values[0]) is str and type(values) is list:
        with contextlib.suppress(TypeError):  # another type is among them
            return _texts_keys(encoder, *pack_texts(values))
    types = set(map(type, values))
    if not types <= _TAGS.keys():
        return None
    packed: dict[str, Any] = {}
    parts = dict.fromkeys(types, values)
    if len(types) > 1 or type(None) in types:  # None takes a byte too: sizes are bound by bytes
        packed["tags_"] = encoder.buffer(bytes(_TAGS[type(v)] for v in values))
        parts = {t: [v for v in values if type(v) is t] for t in types}
    if bool in types:
        packed["bools_"] = encoder.buffer(bytes(parts[bool]))
    if int in types:
        try:
            packed["ints_"] = encoder.buffer(np.array(parts[int], "<i8"))
        except OverflowError:
            if "tags_" in packed:
                encoder.buffers.pop()
                if bool in types:
                    encoder.buffers.pop()
            return None
    if float in types:
        packed["floats_"] = encoder.buffer(np.array(parts[float], "<f8"))
    if str in types:
        packed |= _texts_keys(encoder, *pack_texts(list(parts[str])))
    return packed


def _texts_keys(encoder: Encoder, texts: bytes, lengths: bytes) -> dict[str, Any]:
    return {"texts_": encoder.buffer(texts), "lengths_": encoder.buffer(lengths)}


def _unpack(decoder: Decoder, packed: dict[str, Any], size: int) -> list[Any]:
    parts: dict[int, list[Any]] = {}
    if "bools_" in packed:
        parts[1] = list(map(bool, bytes(decoder.need_buffer(packed, "bools_"))))
    if "ints_" in packed:
        parts[2] = _numbers(decoder, packed, "ints_", "<i8")
    if "floats_" in packed:
        parts[3] = _numbers(decoder, packed, "floats_", "<f8")
    if "texts_" in packed:
        parts[4] = _texts(decoder, packed)
    if "tags_" not in packed:
        if len(parts) > 1:
            corrupted("packed items of several types without tags")
        if not parts:
            corrupted(f"{size} items without a byte")
        return parts.popitem()[1]
    tags = bytes(decoder.need_buffer(packed, "tags_"))
    iterators = {tag: iter(part) for tag, part in parts.items()}
    try:
        items = [next(iterators[tag]) if tag else None for tag in tags]
    except (KeyError, StopIteration, RuntimeError):
        corrupted("packed items do not match their tags")
    if sum(map(len, parts.values())) != len(tags) - tags.count(0):
        corrupted("more packed items than tags")
    return items


def _numbers(decoder: Decoder, packed: dict[str, Any], key: str, dtype: str) -> list[Any]:
    buffer = decoder.need_buffer(packed, key)
    if len(buffer) % 8:
        corrupted(f"{len(buffer)} bytes are no whole number of items")
    return np.frombuffer(buffer, dtype).tolist()  # type: ignore[no-any-return]


def _texts(decoder: Decoder, packed: dict[str, Any]) -> list[str]:
    texts, lengths = (decoder.need_buffer(packed, key) for key in ("texts_", "lengths_"))
    try:
        return unpack_texts(texts, lengths)
    except ValueError as error:
        corrupted(str(error))


# ---- the containers


@encodes(list)
def _list_node(encoder: Encoder, value: list[Any]) -> Node:
    return {"codec": "list", **items_keys(encoder, value)}


@encodes(tuple)
def _tuple_node(encoder: Encoder, value: tuple[Any, ...]) -> Node:
    return {"codec": "tuple", **items_keys(encoder, value)}


def _hashed_keys(encoder: Encoder, values: list[Any], container: Any) -> dict[str, Node]:
    """`items_keys` of what stands in a set, or for the keys of a dict."""
    keys = items_keys(encoder, values)
    if encoder.members and encoder.leads_to_member(keys.get("items_")):
        refuse(
            container,
            "an ObjectID in it would come back as the value of that object; put str(id) instead",
        )
    return keys


def dict_keys(encoder: Encoder, value: dict[Any, Any]) -> dict[str, Node]:
    """The keys that hold the items of a dict, in whatever node."""
    keys = {"codec": "keys", **_hashed_keys(encoder, list(value.keys()), value)}
    return {"keys_": keys, **items_keys(encoder, list(value.values()))}


def dict_of(decoder: Decoder, node: dict[str, Any]) -> dict[Any, Any]:
    """The reverse of `dict_keys`."""
    keys = items_of(decoder, decoder.need(node, "keys_", dict))
    values = items_of(decoder, node)
    if len(keys) != len(values):
        corrupted(f"a dict of {len(keys)} keys and {len(values)} values")
    _check_hashing(decoder, keys)
    made = dict(zip(keys, values, strict=True))
    if len(made) != len(keys):
        corrupted("a dict with two equal keys")
    return made


#: Parts of one key, those that stand in it twice counted twice: so often hashing it goes on.
_MAX_PARTS = 10_000_000


def _check_hashing(decoder: Decoder, keys: list[Any]) -> None:
    """Raises where a key has parts that share parts that ...: hashing it would never end."""
    if not decoder.pickle and decoder.referred:
        memo: dict[int, int] = {}
        for key in keys:
            _parts(key, memo)


def _parts(value: Any, memo: dict[int, int]) -> int:
    if isinstance(value, (tuple, frozenset)):
        inner: Iterable[Any] = value
    elif hasattr(type(value), "__dataclass_fields__"):
        inner = [getattr(value, name, None) for name in type(value).__dataclass_fields__]
    else:
        return 1
    known = memo.get(id(value))
    if known is None:
        known = memo[id(value)] = 1 + sum(_parts(v, memo) for v in inner)
        if known > _MAX_PARTS:
            corrupted(f"a key of more than {_MAX_PARTS} parts")
    return known


@encodes(dict)
def _dict_node(encoder: Encoder, value: dict[Any, Any]) -> Node:
    return {"codec": "dict", **dict_keys(encoder, value)}


def _sorted_if_possible(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)  # the same set gives the same bytes
    except Exception:
        return list(values)


@encodes(set)
def _set_node(encoder: Encoder, value: set[Any]) -> Node:
    return {"codec": "set", **_hashed_keys(encoder, _sorted_if_possible(value), value)}


@encodes(frozenset)
def _frozenset_node(encoder: Encoder, value: frozenset[Any]) -> Node:
    return {"codec": "frozenset", **_hashed_keys(encoder, _sorted_if_possible(value), value)}


@decodes("list")
def _decode_list(decoder: Decoder, node: dict[str, Any]) -> list[Any]:
    return items_of(decoder, node)


@decodes("tuple")
def _decode_tuple(decoder: Decoder, node: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(items_of(decoder, node))


@decodes("dict")
def _decode_dict(decoder: Decoder, node: dict[str, Any]) -> dict[Any, Any]:
    return dict_of(decoder, node)


@decodes("set")
def _decode_set(decoder: Decoder, node: dict[str, Any]) -> set[Any]:
    items = items_of(decoder, node)
    _check_hashing(decoder, items)
    made = set(items)
    if len(made) != len(items):
        corrupted("a set with two equal items")
    return made


@decodes("frozenset")
def _decode_frozenset(decoder: Decoder, node: dict[str, Any]) -> frozenset[Any]:
    return frozenset(_decode_set(decoder, node))
