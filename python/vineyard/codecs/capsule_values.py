# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of other libraries that exchange Arrow data by the PyCapsule interface.

A value comes back with the type that it had. So a type is held only if all that its values are is
Arrow data, and if there is a way to make one of Arrow data: `hold` says so. It has been said for
arro3.core and nanoarrow; a package that brings such a type says it from its entry point. The value is
stored as the pyarrow value that it exports, without a copy, and made of that again at get.

Any other type that exports Arrow data may be more than that data (a query, an index, a reference
system): its values are pickled where that is allowed, and refused where not; the error says how to
store their Arrow data. They never come back as something else.

=======  ===============================================================
capsule  ``type_`` (a name that `hold` knows), ``value_`` (node of what it exported)
=======  ===============================================================
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

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
from vineyard.errors import UnknownLayoutException


class _Held(NamedTuple):
    name: str
    package: str
    exports: Callable[[Any], Any]
    make: Callable[[Any, Any], Any]


_HELD: dict[str, _Held] = {}


def hold(
    name: str,
    package: str,
    exports: Callable[[Any], Any],
    make: Callable[[Any, Any], Any] = lambda t, data: t.from_arrow(data),
) -> None:
    """Holds the values of a type as what they export.

    Parameters
    ----------
    name : str
        The type's public name, ``"package.module.Type"``: where it is imported from at get.
    package : str
        What to install where it is missing.
    exports : callable
        Makes a pyarrow value of a value of the type, such as `pyarrow.table`.
    make : callable
        Makes a value, of the type and the pyarrow value; by default the type's ``from_arrow``.
    """
    _HELD[name] = _Held(name, package, exports, make)


def _class_of(held: _Held) -> type:
    module, _, name = held.name.rpartition(".")
    try:
        found: type = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ImportError(
            f"this value needs the package {held.package!r}: pip install {held.package}"
        ) from error
    return found


@recognises
def _encoder_of(t: type) -> Encode | None:
    for held in _HELD.values():
        if held.name.partition(".")[0] == t.__module__.partition(".")[0] and t is _class_of(held):
            return lambda encoder, value: _node(encoder, value, held)
    return None


def _node(encoder: Encoder, value: Any, held: _Held) -> Node:
    try:
        data = held.exports(value)
        back = held.make(type(value), data)
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        refuse(value, f"pyarrow can't exchange it: {error}")
    if not _field_of(value).equals(_field_of(back), check_metadata=True):
        refuse(value, f"it is {_field_of(value)}, and would come back as {_field_of(back)}")
    return {"codec": "capsule", "type_": held.name, "value_": encoder.node(data)}


def _field_of(value: Any) -> pa.Field:
    """All that a value says of its type: names, nullability, metadata."""
    schema = value if hasattr(value, "__arrow_c_schema__") else value.schema
    return pa.field(schema)


@decodes("capsule")
def _decode_capsule(decoder: Decoder, node: dict[str, Any]) -> Any:
    name = decoder.need(node, "type_", str)
    held = _HELD.get(name)
    if held is None:
        raise UnknownLayoutException(
            f"the type {name[:60]!r} is not known to be held as Arrow data here"
        )
    data = decoder.value(node.get("value_"))
    if not type(data).__module__.startswith("pyarrow"):
        corrupted(f"a {name} made of a {type(data).__name__}")
    return held.make(_class_of(held), data)


for _name, _exports in (
    ("Array", pa.array),
    ("ChunkedArray", pa.chunked_array),
    ("RecordBatch", pa.record_batch),
    ("Table", pa.table),
    ("Schema", pa.schema),
    ("Field", pa.field),
    ("DataType", lambda value: pa.field(value).type),
):
    hold(f"arro3.core.{_name}", "arro3-core", _exports)
hold("nanoarrow.Array", "nanoarrow", pa.chunked_array, lambda t, data: t(data))
hold("nanoarrow.Schema", "nanoarrow", pa.field, lambda t, data: t(data))
