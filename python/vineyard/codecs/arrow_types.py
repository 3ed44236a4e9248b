# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow types, fields and schemas as JSON.

The words are those of the Arrow C data interface, so that a reader in any language can hand them on
without knowing the types. A type without children is its format string (``"g"``, ``"tsn:UTC"``,
``"d:38,2"``). Every other type is an object:

=================  ===========================================================================
``format_``        the format string; of a dictionary, that of its indices
``children_``      fields
``sorted_``        true: the keys of the map are sorted
``dictionary_``    the type of the values
``ordered_``       true: the order of the dictionary's values has a meaning
``extension_``     name of the extension type; ``storage_`` is its storage type, and
                   ``serialized_`` what the extension type says about its parameters
=================  ===========================================================================

A field is ``{"name_", "type_", "nullable_": false, "metadata_"}``; a schema is ``{"fields_",
"metadata_"}``. Metadata are pairs of texts; bytes that are not UTF-8 are ``{"hex_": ...}``.

>>> import pyarrow as pa
>>> type_node(pa.list_(pa.field("item", pa.timestamp("ms", "UTC"), nullable=False)))
{'format_': '+l', 'children_': [{'name_': 'item', 'type_': 'tsm:UTC', 'nullable_': False}]}
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from vineyard.codecs.tree import Node, corrupted, refuse
from vineyard.errors import UnknownLayoutException, VineyardException

_SIMPLE: dict[str, pa.DataType] = {
    "n": pa.null(),
    "b": pa.bool_(),
    "c": pa.int8(),
    "C": pa.uint8(),
    "s": pa.int16(),
    "S": pa.uint16(),
    "i": pa.int32(),
    "I": pa.uint32(),
    "l": pa.int64(),
    "L": pa.uint64(),
    "e": pa.float16(),
    "f": pa.float32(),
    "g": pa.float64(),
    "z": pa.binary(),
    "Z": pa.large_binary(),
    "u": pa.string(),
    "U": pa.large_string(),
    "tdD": pa.date32(),
    "tdm": pa.date64(),
    "tts": pa.time32("s"),
    "ttm": pa.time32("ms"),
    "ttu": pa.time64("us"),
    "ttn": pa.time64("ns"),
    "tDs": pa.duration("s"),
    "tDm": pa.duration("ms"),
    "tDu": pa.duration("us"),
    "tDn": pa.duration("ns"),
    "tin": pa.month_day_nano_interval(),
}
if hasattr(pa.DataType, "has_variadic_buffers"):  # pyarrow before 19 can't make them of buffers
    _SIMPLE.update(vz=pa.binary_view(), vu=pa.string_view())
_FORMATS = {t: text for text, t in _SIMPLE.items()}

_UNITS = {"s": "s", "m": "ms", "u": "us", "n": "ns"}
_UNIT_LETTERS = {unit: letter for letter, unit in _UNITS.items()}

#: Formats of types with one child, which is all that they say.
_LISTS: dict[str, str] = {
    "+l": "list_",
    "+L": "large_list",
    "+vl": "list_view",
    "+vL": "large_list_view",
}
_LIST_IDS = {
    getattr(pa.lib, "Type_" + name): text
    for text, name in (
        ("+l", "LIST"),
        ("+L", "LARGE_LIST"),
        ("+vl", "LIST_VIEW"),
        ("+vL", "LARGE_LIST_VIEW"),
    )
    if hasattr(pa.lib, "Type_" + name)
}
_DECIMALS = {
    getattr(pa.lib, f"Type_DECIMAL{bits}"): bits
    for bits in (32, 64, 128, 256)
    if hasattr(pa.lib, f"Type_DECIMAL{bits}")
}
#: Number of the run-end encoded types; None where this pyarrow has none.
RUN_ENDS = getattr(pa.lib, "Type_RUN_END_ENCODED", None)

_EXTENSION_NAME = b"ARROW:extension:name"
_EXTENSION_METADATA = b"ARROW:extension:metadata"


# ---- to JSON


def type_node(t: pa.DataType) -> Node:
    """A pyarrow DataType as JSON."""
    if isinstance(t, pa.BaseExtensionType):
        return _extension_node(t)
    text = _FORMATS.get(t) if t.num_fields == 0 else None
    if text is not None:
        return text
    number = t.id
    if number == pa.lib.Type_TIMESTAMP:
        return f"ts{_UNIT_LETTERS[t.unit]}:{t.tz or ''}"
    if number == pa.lib.Type_FIXED_SIZE_BINARY:
        return f"w:{t.byte_width}"
    if number in _DECIMALS:
        bits = _DECIMALS[number]
        return f"d:{t.precision},{t.scale}" + ("" if bits == 128 else f",{bits}")
    if number == pa.lib.Type_DICTIONARY:
        node = {"format_": type_node(t.index_type), "dictionary_": type_node(t.value_type)}
        return {**node, "ordered_": True} if t.ordered else node
    if number == pa.lib.Type_STRUCT:
        return _nested("+s", (t.field(i) for i in range(t.num_fields)))
    if number in _LIST_IDS:
        return _nested(_LIST_IDS[number], [t.value_field])
    if number == pa.lib.Type_FIXED_SIZE_LIST:
        return _nested(f"+w:{t.list_size}", [t.value_field])
    if number == pa.lib.Type_MAP:
        node = _nested("+m", [t.field(0)])
        return {**node, "sorted_": True} if t.keys_sorted else node
    if number in (pa.lib.Type_SPARSE_UNION, pa.lib.Type_DENSE_UNION):
        letter = "s" if number == pa.lib.Type_SPARSE_UNION else "d"
        codes = ",".join(map(str, t.type_codes))
        return _nested(f"+u{letter}:{codes}", (t.field(i) for i in range(t.num_fields)))
    if number == RUN_ENDS:
        ends = pa.field("run_ends", t.run_end_type, nullable=False)
        return _nested("+r", [ends, _run_values_field(t)])
    refuse(t, f"the Arrow type {t} has no codec")


def _nested(text: str, fields: Iterable[pa.Field]) -> Node:
    return {"format_": text, "children_": [field_node(f) for f in fields]}


def _run_values_field(t: pa.DataType) -> pa.Field:
    return t.field(1) if hasattr(t, "field") else pa.field("values", t.value_type)


def _extension_node(t: pa.DataType) -> Node:
    try:
        read = _as_read(pa.field("", t)).type
    except Exception as error:  # of the program's own class
        refuse(t, f"the Arrow type {t} can't be read back: {error}")
    if type(read) is not type(t):
        refuse(
            t,
            f"the extension type {t.extension_name!r} is not registered, and would come back as its "
            "storage: pa.register_extension_type(type), or put array.storage",
        )
    node = {"extension_": t.extension_name, "storage_": type_node(t.storage_type)}
    serialized = dict(_exported_metadata(t)).get(_EXTENSION_METADATA, b"")
    return {**node, "serialized_": _text_node(serialized)} if serialized else node


def field_node(field: pa.Field) -> dict[str, Any]:
    """A pyarrow Field as JSON."""
    node: dict[str, Any] = {"name_": field.name, "type_": type_node(field.type)}
    if not field.nullable:
        node["nullable_"] = False
    if field.metadata is not None:
        node["metadata_"] = metadata_node(field.metadata.items())
    return node


def schema_node(schema: pa.Schema) -> dict[str, Any]:
    """A pyarrow Schema as JSON."""
    node: dict[str, Any] = {"fields_": [field_node(field) for field in schema]}
    if schema.metadata is not None:
        node["metadata_"] = metadata_node(schema.metadata.items())
    return node


def metadata_node(pairs: Iterable[tuple[bytes, bytes]]) -> Node:
    """Keys and values of Arrow metadata as JSON."""
    return [[_text_node(key), _text_node(value)] for key, value in pairs]


def _text_node(data: bytes) -> Node:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"hex_": data.hex()}


class _CSchema(ctypes.Structure):
    """The first members of the C data interface's ArrowSchema."""

    _fields_ = (
        ("format", ctypes.c_void_p),
        ("name", ctypes.c_void_p),
        ("metadata", ctypes.c_void_p),
    )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _exported_metadata(t: pa.DataType) -> list[tuple[bytes, bytes]]:
    """What a type says in the metadata of a field; pyarrow shows it nowhere else."""
    capsule = t.__arrow_c_schema__()  # owns what we read
    at = _CSchema.from_address(_capsule_pointer(capsule, b"arrow_schema")).metadata
    if not at:
        return []

    def integer() -> int:
        nonlocal at
        value: int = struct.unpack("=i", ctypes.string_at(at, 4))[0]
        at += 4
        return value

    def text() -> bytes:
        nonlocal at
        length = integer()
        value = ctypes.string_at(at, length)
        at += length
        return value

    return [(text(), text()) for _ in range(integer())]


# ---- back

_TYPE_LIMIT = 1000
_PARSED: dict[str, pa.DataType] = {}


def type_of(node: Node) -> pa.DataType:
    """The reverse of `type_node`, for JSON that nobody has checked.

    An extension type that is not registered gives its storage type, as reading Arrow IPC does.
    """
    return _field_of_type("", node, True, None).type


def field_of(node: Node) -> pa.Field:
    """The reverse of `field_node`, for JSON that nobody has checked."""
    node = _need(node, dict, "a field")
    name = _need(node.get("name_"), str, "a field's name")
    nullable = node.get("nullable_", True)
    if type(nullable) is not bool:
        corrupted(f"a field that is nullable: {str(nullable)[:40]!r}")
    metadata = None
    if "metadata_" in node:
        metadata = dict(metadata_of(node["metadata_"]))
    return _field_of_type(name, node.get("type_"), nullable, metadata)


def schema_of(node: Node) -> pa.Schema:
    """The reverse of `schema_node`, for JSON that nobody has checked."""
    node = _need(node, dict, "a schema")
    fields = [field_of(f) for f in _need(node.get("fields_"), list, "a schema's fields")]
    metadata = None
    if "metadata_" in node:
        metadata = dict(metadata_of(node["metadata_"]))
    return pa.schema(fields, metadata)


def metadata_of(node: Node) -> list[tuple[bytes, bytes]]:
    """The reverse of `metadata_node`, for JSON that nobody has checked."""
    pairs = []
    for pair in _need(node, list, "metadata"):
        if type(pair) is not list or len(pair) != 2:
            corrupted("Arrow metadata that are no pairs")
        pairs.append((_bytes_of(pair[0]), _bytes_of(pair[1])))
    return pairs


def _bytes_of(node: Node) -> bytes:
    try:
        if type(node) is str:
            return node.encode()
        return bytes.fromhex(node["hex_"])
    except (KeyError, TypeError, ValueError):
        corrupted("Arrow metadata that are no text")


def _need(value: Any, kind: type, what: str) -> Any:
    if type(value) is not kind:
        corrupted(f"{what} is {str(value)[:40]!r}")
    return value


def _field_of_type(
    name: str, node: Node, nullable: bool, metadata: dict[bytes, bytes] | None
) -> pa.Field:
    try:
        if type(node) is str:
            return pa.field(name, _format_of(node), nullable, metadata)
        _need(node, dict, "an Arrow type")
        if "extension_" in node:
            return _extension_field_of(name, node, nullable, metadata)
        return pa.field(name, _object_of(node), nullable, metadata)
    except VineyardException:
        raise
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        corrupted(f"an Arrow type: {error}")


def _format_of(text: str) -> pa.DataType:
    t = _SIMPLE.get(text) or _PARSED.get(text)
    if t is None:
        t = _parse(text)
        if len(_PARSED) > _TYPE_LIMIT:
            _PARSED.clear()
        _PARSED[text] = t
    return t


_PATTERNS: list[tuple[re.Pattern[str], Callable[..., pa.DataType]]] = [
    (
        re.compile(r"ts([smun]):(.*)", re.DOTALL),
        lambda unit, zone: pa.timestamp(_UNITS[unit], zone or None),
    ),
    (re.compile(r"w:(\d{1,10})"), lambda width: pa.binary(int(width))),
    (
        re.compile(r"d:(\d{1,3}),(-?\d{1,9})(?:,(32|64|128|256))?"),
        lambda precision, scale, bits: getattr(pa, f"decimal{bits or 128}")(
            int(precision), int(scale)
        ),
    ),
]


def _parse(text: str) -> pa.DataType:
    for pattern, make in _PATTERNS:
        found = pattern.fullmatch(text)
        if found:
            return make(*found.groups())
    _unknown(text)


def _unknown(text: str) -> Any:
    raise UnknownLayoutException(
        f"the Arrow type {text[:40]!r} is not known here: a newer release of vineyard or of pyarrow "
        f"(this is {pa.__version__}) may know it"
    )


def _object_of(node: dict[str, Any]) -> pa.DataType:
    text = _need(node.get("format_"), str, "the format of an Arrow type")
    if "dictionary_" in node:
        index = _format_of(text)
        return pa.dictionary(index, type_of(node["dictionary_"]), node.get("ordered_") is True)
    fields = [field_of(f) for f in _need(node.get("children_"), list, "an Arrow type's children")]
    if text == "+s":
        return pa.struct(fields)
    if text[:2] == "+u":
        return _union_of(text, fields)
    if text == "+r" and RUN_ENDS is not None:
        return _run_ends_of(fields)
    if text in _LISTS and hasattr(pa, _LISTS[text]):
        (field,) = fields
        return getattr(pa, _LISTS[text])(field)
    if re.fullmatch(r"\+w:\d{1,10}", text):
        (field,) = fields
        return pa.list_(field, int(text[3:]))
    if text == "+m":
        (entries,) = fields
        return _map_of(entries, node.get("sorted_") is True)
    return _unknown(text)


def _union_of(text: str, fields: list[pa.Field]) -> pa.DataType:
    found = re.fullmatch(r"\+u([ds]):((?:\d{1,3}(?:,\d{1,3})*)?)", text)
    if found is None:
        return _unknown(text)
    codes = [int(code) for code in found[2].split(",")] if found[2] else []
    if len(codes) != len(fields) or len(set(codes)) != len(codes) or max(codes, default=0) > 127:
        corrupted(f"a union of {len(fields)} types with the codes {codes[:8]}")
    return pa.union(fields, "sparse" if found[1] == "s" else "dense", codes)


def _run_ends_of(fields: list[pa.Field]) -> pa.DataType:
    ends, values = fields
    if ends.type not in (pa.int16(), pa.int32(), pa.int64()):
        corrupted(f"run ends of type {ends.type}")
    return pa.run_end_encoded(ends.type, values.type)


def _map_of(entries: pa.Field, keys_sorted: bool) -> pa.DataType:
    if not pa.types.is_struct(entries.type) or entries.type.num_fields != 2:
        corrupted(f"a map of {entries.type}")
    key, item = entries.type.field(0), entries.type.field(1)
    if key.nullable or entries.nullable:
        corrupted("a map whose keys may be null")
    return pa.map_(key, item, keys_sorted)


def _as_read(field: pa.Field) -> pa.Field:
    """A field as it comes out of a schema that is read: only that looks extension types up."""
    return pa.ipc.read_schema(pa.schema([field]).serialize()).field(0)


def _extension_field_of(
    name: str, node: dict[str, Any], nullable: bool, metadata: dict[bytes, bytes] | None
) -> pa.Field:
    """A field of an extension type where that is registered; else as Arrow IPC would give it."""
    extension = {
        _EXTENSION_NAME: _need(node["extension_"], str, "an extension type's name").encode(),
        _EXTENSION_METADATA: _bytes_of(node.get("serialized_", "")),
    }
    storage = type_of(node.get("storage_"))
    plain = pa.field(name, storage, nullable, {**(metadata or {}), **extension})
    field = _as_read(plain)
    if isinstance(field.type, pa.BaseExtensionType):
        return pa.field(name, field.type, nullable, metadata)
    return field
