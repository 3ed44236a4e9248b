# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of the standard library: dates and times, numbers, paths, collections.

Imported when the first of them is met.

>>> import datetime, decimal
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode([datetime.date(2020, 2, 29), decimal.Decimal("1.50")])
>>> decode(typename, metadata, buffers)
[datetime.date(2020, 2, 29), Decimal('1.50')]
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import pathlib
import uuid
from typing import Any

from vineyard.codecs import (
    memoryviews,  # noqa: F401 - registers
    timezones,
)
from vineyard.codecs.containers import (
    dict_keys,
    dict_of,
    items_keys,
    items_of,
)
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse

# ---- dates and times


@encodes(datetime.date)
def _date_node(encoder: Encoder, value: datetime.date) -> Node:
    return {"codec": "date", "value_": value.isoformat()}


@encodes(datetime.datetime)
def _datetime_node(encoder: Encoder, value: datetime.datetime) -> Node:
    naive = value.replace(tzinfo=None, fold=0)
    return {"codec": "datetime", "value_": naive.isoformat(), **_zone_keys(encoder, value)}


@encodes(datetime.time)
def _time_node(encoder: Encoder, value: datetime.time) -> Node:
    naive = value.replace(tzinfo=None, fold=0)
    return {"codec": "time", "value_": naive.isoformat(), **_zone_keys(encoder, value)}


def _zone_keys(encoder: Encoder, value: datetime.datetime | datetime.time) -> dict[str, Node]:
    keys: dict[str, Node] = {}
    if value.fold:
        keys["fold_"] = 1
    if value.tzinfo is not None:
        keys["zone_"] = encoder.node(value.tzinfo)
    return keys


@encodes(datetime.timedelta)
def _timedelta_node(encoder: Encoder, value: datetime.timedelta) -> Node:
    return {"codec": "timedelta", "value_": [value.days, value.seconds, value.microseconds]}


@decodes("date")
def _decode_date(decoder: Decoder, node: dict[str, Any]) -> datetime.date:
    return datetime.date.fromisoformat(decoder.need(node, "value_", str))


@decodes("datetime")
def _decode_datetime(decoder: Decoder, node: dict[str, Any]) -> datetime.datetime:
    value = datetime.datetime.fromisoformat(decoder.need(node, "value_", str))
    fold, zone = _fold_and_zone(decoder, node, value.tzinfo)
    return value.replace(tzinfo=zone, fold=fold)


@decodes("time")
def _decode_time(decoder: Decoder, node: dict[str, Any]) -> datetime.time:
    value = datetime.time.fromisoformat(decoder.need(node, "value_", str))
    fold, zone = _fold_and_zone(decoder, node, value.tzinfo)
    return value.replace(tzinfo=zone, fold=fold)


def _fold_and_zone(
    decoder: Decoder, node: dict[str, Any], written: datetime.tzinfo | None
) -> tuple[int, datetime.tzinfo | None]:
    if written is not None:
        corrupted("a time with an offset in its text")
    fold = decoder.need_int(node, "fold_", 0, 1) if "fold_" in node else 0
    return fold, timezones.zone_of(decoder, node)


@decodes("timedelta")
def _decode_timedelta(decoder: Decoder, node: dict[str, Any]) -> datetime.timedelta:
    days, seconds, microseconds = decoder.need_ints(node, "value_", -(10**9), 10**9)
    return datetime.timedelta(days, seconds, microseconds)


# ---- numbers

#: Bits of a numerator or denominator. Reducing a fraction takes time quadratic in them.
_MAX_FRACTION_BITS = 1 << 18


@encodes(decimal.Decimal)
def _decimal_node(encoder: Encoder, value: decimal.Decimal) -> Node:
    return {"codec": "decimal", "value_": encoder.node(str(value))}


@decodes("decimal")
def _decode_decimal(decoder: Decoder, node: dict[str, Any]) -> decimal.Decimal:
    text = decoder.value(node.get("value_"))
    if type(text) is not str:
        corrupted(f"a decimal written as a {type(text).__name__}")
    return decimal.Decimal(text)


@encodes(fractions.Fraction)
def _fraction_node(encoder: Encoder, value: fractions.Fraction) -> Node:
    parts = value.numerator, value.denominator
    if max(part.bit_length() for part in parts) > _MAX_FRACTION_BITS:
        refuse(value, f"its parts may have {_MAX_FRACTION_BITS} bits")
    return {"codec": "fraction", "value_": [encoder.node(part) for part in parts]}


@decodes("fraction")
def _decode_fraction(decoder: Decoder, node: dict[str, Any]) -> fractions.Fraction:
    parts = [decoder.value(part) for part in decoder.need(node, "value_", list)]
    if [type(part) for part in parts] != [int, int] or parts[1] < 1:
        corrupted("a fraction that is not made of two integers")
    if max(part.bit_length() for part in parts) > _MAX_FRACTION_BITS:
        corrupted(f"a fraction of more than {_MAX_FRACTION_BITS} bits")
    return fractions.Fraction(*parts)


# ---- identifiers and paths


@encodes(uuid.UUID)
def _uuid_node(encoder: Encoder, value: uuid.UUID) -> Node:
    node = {"codec": "uuid", "hex_": value.hex}
    return node if value.is_safe is uuid.SafeUUID.unknown else {**node, "safe_": value.is_safe.name}


@decodes("uuid")
def _decode_uuid(decoder: Decoder, node: dict[str, Any]) -> uuid.UUID:
    safe = uuid.SafeUUID[decoder.need(node, "safe_", str) if "safe_" in node else "unknown"]
    return uuid.UUID(hex=decoder.need(node, "hex_", str), is_safe=safe)


_PATHS: dict[str, type[pathlib.PurePath]] = {
    t.__name__: t
    for t in (
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.PosixPath,
        pathlib.WindowsPath,
    )
}


@encodes(*_PATHS.values())
def _path_node(encoder: Encoder, value: pathlib.PurePath) -> Node:
    t, text = type(value), str(value)
    if (again := t(text)) != value or again.parts != value.parts:
        refuse(value, f"{text!r} would be read as the path {again.parts}")
    return {"codec": "path", "kind_": t.__name__, "value_": encoder.node(text)}


@decodes("path")
def _decode_path(decoder: Decoder, node: dict[str, Any]) -> pathlib.PurePath:
    kind = decoder.need(node, "kind_", str)
    text = decoder.value(node.get("value_"))
    if kind not in _PATHS or type(text) is not str:
        corrupted(f"a path of kind {kind[:20]!r} written as a {type(text).__name__}")
    try:
        return _PATHS[kind](text)
    except NotImplementedError as error:  # a WindowsPath, somewhere else
        from vineyard.errors import NotAvailableHereException

        raise NotAvailableHereException(f"{error}: store a Pure{kind} instead") from error


# ---- slices and ranges


@encodes(slice)
def _slice_node(encoder: Encoder, value: slice) -> Node:
    parts = value.start, value.stop, value.step
    return {"codec": "slice", "value_": [encoder.node(part) for part in parts]}


@decodes("slice")
def _decode_slice(decoder: Decoder, node: dict[str, Any]) -> slice:
    start, stop, step = decoder.need(node, "value_", list)
    return slice(decoder.value(start), decoder.value(stop), decoder.value(step))


@encodes(range)
def _range_node(encoder: Encoder, value: range) -> Node:
    parts = value.start, value.stop, value.step
    return {"codec": "range", "value_": [encoder.node(part) for part in parts]}


@decodes("range")
def _decode_range(decoder: Decoder, node: dict[str, Any]) -> range:
    start, stop, step = decoder.need(node, "value_", list)
    return range(decoder.value(start), decoder.value(stop), decoder.value(step))


@encodes(type(NotImplemented), atom=True)
def _not_implemented_node(encoder: Encoder, value: Any) -> Node:
    return {"codec": "notimplemented"}


@decodes("notimplemented")
def _decode_not_implemented(decoder: Decoder, node: dict[str, Any]) -> Any:
    return NotImplemented


# ---- collections


def _attribute_keys(encoder: Encoder, value: Any) -> dict[str, Node]:
    """Attributes beside the items, such as the ``_metadata`` of what torch calls a state dict."""
    return {"attributes_": encoder.node(dict(value.__dict__))} if value.__dict__ else {}


def _with_attributes(decoder: Decoder, node: dict[str, Any], value: Any) -> Any:
    if "attributes_" in node:
        attributes = decoder.value(node["attributes_"])
        if type(attributes) is not dict or any(type(key) is not str for key in attributes):
            corrupted("the attributes of a collection are no dict by name")
        value.__dict__.update(attributes)
    return value


@encodes(collections.OrderedDict)
def _ordered_dict_node(encoder: Encoder, value: collections.OrderedDict[Any, Any]) -> Node:
    node = {"codec": "ordereddict", **dict_keys(encoder, value)}
    return {**node, **_attribute_keys(encoder, value)}


@decodes("ordereddict")
def _decode_ordered_dict(
    decoder: Decoder, node: dict[str, Any]
) -> collections.OrderedDict[Any, Any]:
    made = collections.OrderedDict(dict_of(decoder, node))
    return _with_attributes(decoder, node, made)  # type: ignore[no-any-return]


@encodes(collections.Counter)
def _counter_node(encoder: Encoder, value: collections.Counter[Any]) -> Node:
    node = {"codec": "counter", **dict_keys(encoder, value)}
    return {**node, **_attribute_keys(encoder, value)}


@decodes("counter")
def _decode_counter(decoder: Decoder, node: dict[str, Any]) -> collections.Counter[Any]:
    made = collections.Counter(dict_of(decoder, node))
    return _with_attributes(decoder, node, made)  # type: ignore[no-any-return]


#: What may make the missing items of a defaultdict; other functions are pickled.
_FACTORIES: dict[str, Any] = {
    t.__name__: t
    for t in (
        *(bool, int, float, complex, str, bytes, bytearray),
        *(list, tuple, dict, set, frozenset, object),
        *(collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque),
    )
}


@encodes(collections.defaultdict)
def _default_dict_node(encoder: Encoder, value: collections.defaultdict[Any, Any]) -> Node:
    node: dict[str, Any] = {"codec": "defaultdict"}
    factory = value.default_factory
    if factory is not None:
        name = getattr(factory, "__name__", None)
        if type(name) is str and _FACTORIES.get(name) is factory:
            node["factory_"] = name
        else:
            node["factory_node_"] = encoder.node(factory)
    return {**node, **dict_keys(encoder, value)}


@decodes("defaultdict")
def _decode_default_dict(
    decoder: Decoder, node: dict[str, Any]
) -> collections.defaultdict[Any, Any]:
    factory = None
    if "factory_" in node:
        factory = _FACTORIES[decoder.need(node, "factory_", str)]
    elif "factory_node_" in node:
        factory = decoder.value(node["factory_node_"])
    return collections.defaultdict(factory, dict_of(decoder, node))


@encodes(collections.deque)
def _deque_node(encoder: Encoder, value: collections.deque[Any]) -> Node:
    node: dict[str, Any] = {"codec": "deque"}
    if value.maxlen is not None:
        node["maxlen_"] = value.maxlen
    return {**node, **items_keys(encoder, list(value))}


@decodes("deque")
def _decode_deque(decoder: Decoder, node: dict[str, Any]) -> collections.deque[Any]:
    items = items_of(decoder, node)
    if "maxlen_" not in node:
        return collections.deque(items)
    return collections.deque(items, decoder.need_int(node, "maxlen_", len(items), 2**63 - 1))
