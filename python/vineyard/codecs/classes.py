# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of the program's own classes: named tuples, members of enums, and dataclasses.

Stored are the name of the class and its parts, never code. At get the class is looked up by module
and name; where pickle is refused, only among the modules that are imported already, because
importing a module runs it. Nothing of the class is called: tuples and dataclasses are filled part
by part, members of enums are looked up.

What says for itself how it is pickled (``__reduce__``, ``__getstate__`` and the like), or can't be
found again by its name, is left to pickle.

>>> import collections, sys
>>> from vineyard.codecs import decode, encode
>>> Point = collections.namedtuple("Point", "x y")
>>> sys.modules[Point.__module__].Point = Point
>>> typename, metadata, buffers, _ = encode([Point(1, 2.5)])
>>> decode(typename, metadata, buffers, pickle=False)
[Point(x=1, y=2.5)]
"""

from __future__ import annotations

import copyreg
import enum
import importlib
import sys
import types
from typing import Any, NoReturn

from vineyard.codecs.containers import items_keys, items_of
from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import Decoder, Encode, Encoder, Node, corrupted, decodes, recognises
from vineyard.errors import NotAvailableHereException

# ---- classes by name


def class_keys(encoder: Encoder, t: type) -> dict[str, Node]:
    return {"module_": encoder.node(t.__module__), "class_": encoder.node(t.__qualname__)}


def class_of(decoder: Decoder, node: dict[str, Any]) -> type:
    key = "class", decoder.need(node, "module_", str), decoder.need(node, "class_", str)
    if key not in decoder.memo:
        decoder.memo[key] = _find_class(key[1], key[2], decoder.pickle)
    return decoder.memo[key]  # type: ignore[no-any-return]


def _find_class(module_name: str, name: str, may_import: bool) -> type:
    module = sys.modules.get(module_name)
    if module is None:
        if not may_import:
            raise NotAvailableHereException(
                f"a value of class {name[:100]!r} needs the module {module_name[:100]!r}, which is "
                "only imported for it where pickle is allowed: import it before"
            )
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise NotAvailableHereException(
                f"a value of class {name[:100]!r} needs the module {module_name[:100]!r}, which "
                f"can't be imported here: {error}"
            ) from error
    found = _lookup(module, name)
    if found is None:
        raise NotAvailableHereException(
            f"a value's class {name[:100]!r} is not in module {module_name[:100]!r} here: "
            "define it there under this name"
        )
    return found


def _lookup(module: Any, name: str) -> type | None:
    """A class by its qualified name, without running a module's or a class's own lookup."""
    found: Any = module
    for part in name.split("."):
        found = vars(found).get(part)
        if not isinstance(found, type):
            return None
    return found  # type: ignore[no-any-return]


def is_found_by_name(encoder: Encoder, t: type) -> bool:
    found = encoder.memo.get(("class", t))
    if found is None:
        found = encoder.memo["class", t] = _is_there(t)
    return found


def _is_there(t: type) -> bool:
    if type(t.__module__) is not str or type(t.__qualname__) is not str:
        return False
    return _lookup(sys.modules.get(t.__module__, object), t.__qualname__) is t


def _pickles_itself(t: type, *, but: tuple[str, ...] = ()) -> bool:
    """Whether a class says how its instances are taken apart, and has a say in their end."""
    return t in copyreg.dispatch_table or any(
        getattr(t, name, None) is not getattr(object, name, None) for name in _HOOKS - {*but}
    )


_HOOKS = {
    *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__"),
    *("__getnewargs__", "__getnewargs_ex__", "__del__"),
}


def not_found(encoder: Encoder, value: Any) -> Node:
    t = type(value)
    why = f"{t.__qualname__!r} is not what module {t.__module__!r} has under this name"
    return encode_pickle(encoder, value, why)


@recognises
def _encoder_of_classes(t: type) -> Encode | None:
    if issubclass(t, enum.Enum):
        return _enum_node
    if issubclass(t, tuple) and _tuple_base(t) is not None:
        return _namedtuple_node
    if _is_plain_dataclass(t):
        return _dataclass_node
    return None


# ---- named tuples


def _tuple_base(t: type) -> Any:
    """What `collections.namedtuple` made: the type or a base of it; None for others."""
    for base in t.__mro__:
        if base.__bases__[:1] == (tuple,) and "_fields" in vars(base) and "_make" in vars(base):
            break
    else:
        return None
    own = vars(base).get("__getnewargs__")
    if getattr(t, "__getnewargs__", None) is not own or _pickles_itself(t, but=("__getnewargs__",)):
        return None
    return base


def _fields_of(coder: Encoder | Decoder, t: type) -> list[str] | None:
    """The names of a named tuple's items; None for other tuples."""
    if ("fields", t) not in coder.memo:
        base = _tuple_base(t) if issubclass(t, tuple) else None
        coder.memo["fields", t] = base and list(base._fields)
    return coder.memo["fields", t]  # type: ignore[no-any-return]


def _namedtuple_node(encoder: Encoder, value: tuple[Any, ...]) -> Node:
    t = type(value)
    fields = _fields_of(encoder, t)
    if getattr(value, "__dict__", None) or fields is None or len(value) != len(fields):
        return encode_pickle(encoder, value)
    if not is_found_by_name(encoder, t):
        return not_found(encoder, value)
    keys = {"codec": "namedtuple", **class_keys(encoder, t), "fields_": fields}
    return {**keys, **items_keys(encoder, tuple(value))}


@decodes("namedtuple")
def _decode_namedtuple(decoder: Decoder, node: dict[str, Any]) -> Any:
    t = class_of(decoder, node)
    fields = _fields_of(decoder, t)
    if fields is None:
        corrupted(f"a named tuple of class {t.__qualname__!r}")
    _check_fields(decoder, node, t, fields)
    items = items_of(decoder, node)
    if len(items) != len(fields):
        corrupted(f"{len(items)} items for the fields {fields}")
    return tuple.__new__(t, items)


def _check_fields(decoder: Decoder, node: dict[str, Any], t: type, fields: list[str]) -> None:
    stored = decoder.need(node, "fields_", list)
    if stored != fields:
        raise NotAvailableHereException(
            f"a value of class {t.__qualname__!r} was stored with the fields {stored}; here the "
            f"class has {fields}: use the class that it was stored with"
        )


# ---- members of enums

_PLAIN = (bool, int, float, str)


def _enum_node(encoder: Encoder, member: enum.Enum) -> Node:
    t = type(member)
    name = member._name_
    if not is_found_by_name(encoder, t):
        return not_found(encoder, member)
    keys = {"codec": "enum", **class_keys(encoder, t)}
    if name is not None and t.__members__.get(name) is member:
        keys["name_"] = encoder.node(name)
        if type(member._value_) in _PLAIN:
            keys["value_"] = encoder.node(member._value_)
        return keys
    value = member._value_
    if _combines(t) and type(value) is int and _made_of(t, value) is not None:
        return {**keys, "value_": encoder.node(value)}
    return encode_pickle(encoder, member)


def _made_of(t: Any, value: int) -> Any:
    """The flags that a number stands for; None where the class knows no such.

    Python 3.11.2 makes what has bits without a name anew each time, and drops such bits where it
    should refuse them.
    """
    try:
        made = t(value)
    except ValueError:
        return None
    return made if type(made) is t and made._value_ == value else None


def _combines(t: type) -> bool:
    """Whether a class is one of flags, and combines them as `enum` does."""
    return issubclass(t, enum.Flag) and (
        t._missing_.__func__ is enum.Flag._missing_.__func__  # type: ignore[attr-defined]
    )


@decodes("enum")
def _decode_enum(decoder: Decoder, node: dict[str, Any]) -> enum.Enum:
    t = class_of(decoder, node)
    if not issubclass(t, enum.Enum):
        corrupted(f"a member of {t.__qualname__!r}, which is no enum")
    value = decoder.value(node["value_"]) if "value_" in node else None
    if "name_" in node:
        name = decoder.value(node["name_"])
        member = t.__members__.get(name)
        if member is None:
            differs(t, f"has no member {str(name)[:60]!r}")
        if "value_" in node and not _same_plain(member._value_, value):
            differs(t, f"has the value {member._value_!r} for {member._name_!r}, not {value!r}")
        return member
    if not _combines(t) or type(value) is not int:
        corrupted(f"a combination of members of {t.__qualname__!r}")
    member = _made_of(t, value)
    if member is None:
        differs(t, f"has no members that make {value}")
    return member  # type: ignore[no-any-return]


def _same_plain(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or (a != a and b != b))


def differs(t: type, how: str) -> NoReturn:
    raise NotAvailableHereException(
        f"{t.__qualname__!r} {how} here: use the class that the value was stored with"
    )


# ---- dataclasses


def _is_plain_dataclass(t: type) -> bool:
    """Whether an instance is the sum of its attributes."""
    if not hasattr(t, "__dataclass_fields__") or _static(t, "__new__") is not object.__new__:
        return False
    states = [getattr(t, name, None) for name in ("__getstate__", "__setstate__")]
    generated = all(getattr(state, "__module__", None) == "dataclasses" for state in states)
    # What @dataclass(frozen=True, slots=True) writes does what is done here.
    if _pickles_itself(t, but=("__getstate__", "__setstate__") if generated else ()):
        return False
    return all(type(_static(t, name)) is types.MemberDescriptorType for name in _slots(t))


def _slots(t: type) -> list[str]:
    return copyreg._slotnames(t)  # type: ignore[attr-defined, no-any-return]


def _static(t: type, name: str) -> Any:
    """What a class has under a name, as it stands there."""
    return next((vars(base)[name] for base in t.__mro__ if name in vars(base)), None)


def _dataclass_node(encoder: Encoder, value: Any) -> Node:
    t = type(value)
    if not is_found_by_name(encoder, t):
        return not_found(encoder, value)
    attributes: dict[str, Any] = {}
    for name in _slots(t):
        try:
            attributes[name] = _static(t, name).__get__(value)
        except AttributeError:  # never set
            pass
    attributes.update(getattr(value, "__dict__", {}))
    if not all(type(name) is str for name in attributes):
        return encode_pickle(encoder, value)
    return {
        "codec": "dataclass",
        **class_keys(encoder, t),
        "fields_": list(t.__dataclass_fields__),
        "names_": [encoder.node(name) for name in attributes],
        **items_keys(encoder, list(attributes.values())),
    }


@decodes("dataclass")
def _decode_dataclass(decoder: Decoder, node: dict[str, Any]) -> Any:
    t = class_of(decoder, node)
    plan = decoder.memo.get(("dataclass", t))
    if plan is None:
        if not _is_plain_dataclass(t):
            corrupted(f"a dataclass of class {t.__qualname__!r}")
        fields: Any = t.__dataclass_fields__  # type: ignore[attr-defined]
        plan = decoder.memo["dataclass", t] = list(fields), set(_slots(t))
    _check_fields(decoder, node, t, plan[0])
    names = [decoder.value(name) for name in decoder.need(node, "names_", list)]
    values = items_of(decoder, node)
    if len(names) != len(values) or not all(type(name) is str for name in names):
        corrupted(f"a dataclass of {len(names)} names and {len(values)} values")
    made: Any = object.__new__(t)
    attributes = getattr(made, "__dict__", None)
    for name, value in zip(names, values, strict=True):
        if name in plan[1]:
            object.__setattr__(made, name, value)
        elif attributes is not None:
            attributes[name] = value
        else:
            corrupted(f"{t.__qualname__!r} has no place for an attribute {name[:60]!r}")
    return made
