# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Encoder and Decoder: a value as a tree of JSON nodes and a flat list of buffers.

A *node* is JSON. Strings, integers of 64 bits, finite floats, booleans and null stand for
themselves; every other value is an object with a ``"codec"`` key, whose other keys belong to that
codec. Bytes go into buffers, which nodes name by their index. Values met twice are stored once: the
first node gets an ``"id"``, and the others are ``{"codec": "ref", "id": ...}``.

The node of the value itself, with ``"version"`` added, is the metadata of the stored object, so an
array looks the same alone and inside of a list. A codec that changes its layout raises its version;
a node of a version above 1 says so in ``"v"``.

Codecs register here by the exact type they hold (`encodes`) and by name (`decodes`); types that only
have something in common, such as enums, by a function that knows them (`recognises`). Whatever reads
a node treats it as hostile: it uses the `Decoder`'s ``need_...`` methods.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NoReturn, TypeAlias, TypeVar

from vineyard.codecs.plugins import module_of
from vineyard.errors import (
    CorruptedException,
    LimitExceededException,
    TypeErrorException,
    UnknownLayoutException,
    VineyardException,
)

Node: TypeAlias = Any  # JSON: dict, str, int, float, bool or None
Encode = Callable[["Encoder", Any], Node]
Decode = Callable[["Decoder", dict[str, Any]], Any]
_E = TypeVar("_E", bound=Encode)
_D = TypeVar("_D", bound=Decode)
_K = TypeVar("_K", bound=Callable[[type], "Encode | None"])

#: Version of the outermost layout: how trees, references and buffers are written.
VERSION = 1

#: How deeply nodes are nested at most; what is deeper is cut (see `nesting`). Each level takes some five
#: calls, of which Python allows a thousand.
MAX_DEPTH = 64
#: A decoder may take more calls than the encoder took levels.
_MAX_READ_DEPTH = 2 * MAX_DEPTH

#: Exact type -> function; atoms are never shared, the others keep their identity in one value.
ATOMS: dict[type, Encode] = {}
SHARED: dict[type, Encode] = {}
#: For types that are in neither, asked in turn: each gives the encoder of a type, or None.
KINDS: list[Callable[[type], Encode | None]] = []
#: Codec name -> (newest version that we read, function).
DECODERS: dict[str, tuple[int, Decode]] = {}

#: Top package of a type -> the module of ours whose import registers that package's codecs.
LAZY = {
    **dict.fromkeys(("arro3", "nanoarrow"), "vineyard.codecs.capsule_values"),
    "array": "vineyard.codecs.buffer_values",
    "mmap": "vineyard.codecs.buffer_values",
    "pickle": "vineyard.codecs.buffer_values",
    "torch": "vineyard.codecs.torch_values",
    **dict.fromkeys(
        ("builtins", "collections", "datetime", "decimal", "fractions", "pathlib", "uuid"),
        "vineyard.codecs.standard_values",
    ),
    **dict.fromkeys(("zoneinfo", "pytz", "dateutil"), "vineyard.codecs.timezones"),
    "numpy": "vineyard.codecs.numpy_classes",
    "pyarrow": "vineyard.codecs.arrow_values",
    "polars": "vineyard.codecs.polars_values",
    "pandas": "vineyard.codecs.pandas_values",
    "scipy": "vineyard.codecs.sparse_values",
}
#: Prefix of a codec's name -> the module that registers it.
LAZY_DECODERS = {
    "capsule": "vineyard.codecs.capsule_values",
    "deep": "vineyard.codecs.nesting",
    "array": "vineyard.codecs.buffer_values",
    "ctypes": "vineyard.codecs.ctypes_values",
    "torch": "vineyard.codecs.torch_values",
    **dict.fromkeys(
        (
            *("date", "datetime", "time", "timedelta", "decimal", "fraction", "uuid", "path"),
            *("slice", "range", "ordereddict", "counter", "defaultdict", "deque"),
            "notimplemented",
        ),
        "vineyard.codecs.standard_values",
    ),
    **dict.fromkeys(("namedtuple", "enum", "dataclass"), "vineyard.codecs.classes"),
    "zone": "vineyard.codecs.timezones",
    "memoryview": "vineyard.codecs.memoryviews",
    "numpy": "vineyard.codecs.numpy_classes",
    "arrow": "vineyard.codecs.arrow_values",
    "polars": "vineyard.codecs.polars_values",
    "pandas": "vineyard.codecs.pandas_values",
    "scipy": "vineyard.codecs.sparse_values",
}
#: Full name of a base class -> the module whose import registers what recognises its subclasses.
LAZY_BASES = {
    **dict.fromkeys(
        ("_ctypes.Array", "_ctypes.Structure", "_ctypes.Union", "_ctypes._SimpleCData"),
        "vineyard.codecs.ctypes_values",
    ),
    "torch.nn.modules.module.Module": "vineyard.codecs.torch_values",
    "pyarrow.lib.ExtensionArray": "vineyard.codecs.arrow_values",
    "pyarrow.lib.ExtensionScalar": "vineyard.codecs.arrow_values",
    "pyarrow.lib.BaseExtensionType": "vineyard.codecs.arrow_values",
}


def encodes(*types: type, atom: bool = False) -> Callable[[_E], _E]:
    """Registers a function as the encoder of values of exactly these types."""

    def register(function: _E) -> _E:
        for t in types:
            (ATOMS if atom else SHARED)[t] = function
        return function

    return register


def recognises(function: _K) -> _K:
    """Registers a function that gives the encoder of types which no exact registration names."""
    KINDS.append(function)
    return function


def decodes(name: str, version: int = 1) -> Callable[[_D], _D]:
    """Registers a function as the decoder of the nodes of one codec."""

    def register(function: _D) -> _D:
        DECODERS[name] = (version, function)
        return function

    return register


def type_name(t: type) -> str:
    """The full name of a type, as error messages and pickle nodes show it."""
    return t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"


class CycleError(Exception):
    """The value contains itself; only pickle can hold that."""


class TooDeepError(Exception):
    """The value is nested more deeply than one tree of nodes may be."""


class MemberFailedError(Exception):
    """Getting the value of a member failed: for the reason that is its cause, which is not damage."""


class Encoder:
    """Collects the buffers and members of one value while its tree is built.

    Parameters
    ----------
    pickle : bool
        Whether values without a codec of their own may be pickled.
    custom : callable, optional
        Asked first for every value that is no atom (`ATOMS`): stores it by other means and gives
        the ObjectID of what it stored, which becomes a member; or None, and the codecs go on.
    """

    __slots__ = (
        "_at_end",
        "_depth",
        "_found",
        "_next_id",
        "_referred",
        "_seen",
        "buffers",
        "custom",
        "members",
        "memo",
        "pickle",
    )

    def __init__(self, pickle: bool = True, custom: Callable[[Any], Any] | None = None) -> None:
        self.pickle = pickle
        self.custom = custom
        self.buffers: list[Any] = []
        self.members: dict[str, Any] = {}
        self.memo: dict[Any, Any] = {}  # what a codec keeps between its parts of this one value
        self._depth = 0
        self._at_end: list[Callable[[], None]] = []
        self._seen: dict[int, tuple[Any, Node]] = {}  # keeps the values alive: ids stay theirs
        self._referred: dict[int, Node] = {}
        self._found: dict[type, Encode] = {}  # not kept longer: a program may make classes for ever
        self._next_id = 0

    def node(self, value: Any) -> Node:
        """The node of any value."""
        t = type(value)
        encode = ATOMS.get(t)
        if encode is not None:
            return encode(self, value)
        seen = self._seen.get(id(value))
        if seen is not None:
            return self._refer(seen[1])
        if self.custom is not None:
            made = self.custom(value)
            if made is not None:
                node = SHARED[type(made)](self, made)
                self._seen[id(value)] = (value, node)
                return node
        encode = SHARED.get(t) or self._found.get(t)
        if encode is None:
            encode = self._found[t] = find_encoder(t) or _encode_pickle
        if t in ATOMS:
            return encode(self, value)
        self._seen[id(value)] = (value, None)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError
        node = encode(self, value)
        self._depth -= 1
        self._seen[id(value)] = (value, node)
        return node

    def named_node(self, value: Any) -> Node:
        """The node of a value that is no atom, to be referred to by those that come later."""
        node = self.node(value)
        self._refer(node)
        return node

    def _refer(self, node: Node) -> Node:
        if node is None:
            raise CycleError
        if "id" not in node:
            node["id"] = self._next_id
            self._referred[self._next_id] = node
            self._next_id += 1
        return {"codec": "ref", "id": node["id"]}

    def leads_to_member(self, node: Node) -> bool:
        """Whether a member stands in a node, or in one that it refers to."""
        todo, referred = [node], set()
        while todo:
            node = todo.pop()
            if type(node) is list:
                todo += node
            elif type(node) is dict:
                codec = node.get("codec")
                if codec == "member":
                    return True
                if codec == "ref" and node["id"] not in referred:
                    referred.add(node["id"])
                    todo.append(self._referred[node["id"]])
                todo += node.values()
        return False

    def buffer(self, data: Any) -> int:
        """Adds the bytes of a contiguous buffer-protocol object; returns its index."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def at_end(self, function: Callable[[], None]) -> None:
        """Has a function called when all nodes are made: it may fill them in and add buffers."""
        self._at_end.append(function)

    def finish(self) -> None:
        """Calls what waits for the end."""
        for function in self._at_end:
            function()


def _encode_pickle(encoder: Encoder, value: Any) -> Node:
    from vineyard.codecs import pickled

    return pickled.encode_pickle(encoder, value)


def find_encoder(t: type) -> Encode | None:
    """The encoder of a type whose codecs may not have been imported yet, or None."""
    package = t.__module__.partition(".")[0]
    module = LAZY.get(package) or module_of(package)
    if module is not None:
        importlib.import_module(module)
    encode = ATOMS.get(t) or SHARED.get(t)
    if encode is None:
        for base in t.__mro__[1:-1]:
            module = LAZY_BASES.get(type_name(base))
            if module is not None:
                importlib.import_module(module)
        importlib.import_module("vineyard.codecs.classes")
        for recognise in KINDS:
            encode = recognise(t)
            if encode is not None:
                return encode
    return encode


def refuse(value: Any, why: str) -> NoReturn:
    """Raises the error for a value that can't be stored."""
    raise TypeErrorException(f"can't store a value of type {type_name(type(value))}: {why}")


class Decoder:
    """Builds a value from its tree and its buffers.

    Parameters
    ----------
    buffers : sequence of buffer-protocol objects of bytes
    pickle : bool
        Whether pickles may be loaded. Without, data is trusted less too: what would make a library
        read outside of its arrays (codes, offsets) is checked element by element.
    member : callable, optional
        Gets the value of a member by its key.
    writable : bool
        Whether arrays that are no views of the buffers may be written to; else only if the buffers
        may.
    """

    __slots__ = (
        "_depth",
        "_shared",
        "_writable",
        "buffers",
        "member",
        "memo",
        "pickle",
        "referred",
    )

    def __init__(
        self,
        buffers: Any,
        pickle: bool = True,
        member: Callable[[str], Any] | None = None,
        writable: bool = False,
    ) -> None:
        self._writable = writable
        self.buffers = buffers
        self.pickle = pickle
        self.member = member
        self.memo: dict[Any, Any] = {}  # what a codec keeps between its parts of this one value
        self._depth = 0
        self._shared: dict[int, Any] = {}
        self.referred = False  # whether any node has referred to another so far

    @property
    def writable(self) -> bool:
        """Whether what is made anew may be written to, as the views of the buffers may."""
        return self._writable or any(not memoryview(b).readonly for b in self.buffers)

    def value(self, node: Node) -> Any:
        """The value of a node."""
        if type(node) is not dict:
            if type(node) is list:
                corrupted("a JSON array where a value should stand")
            return node
        codec = node.get("codec")
        if codec == "ref":
            return self._referred(node)
        if type(codec) is not str:
            corrupted(f"a node without a codec (keys {sorted(node)[:8]})")
        version, decode = find_decoder(codec)
        if node.get("v", 1) != 1 and not (type(node["v"]) is int and 1 <= node["v"] <= version):
            raise UnknownLayoutException(
                f"stored with version {node['v']!r} of codec {codec!r}; this release reads up to "
                f"{version}: a newer release of vineyard is needed"
            )
        self._depth += 1
        if self._depth > _MAX_READ_DEPTH:
            corrupted("it is nested more deeply than is ever written")
        try:
            value = decode(self, node)
        except (VineyardException, MemberFailedError, ImportError, MemoryError, RecursionError):
            raise
        except Exception as error:  # a lie that no check has foreseen is still a lie
            corrupted(f"codec {codec!r}: {type(error).__name__}: {error}")
        self._depth -= 1
        if "id" in node:
            self._shared[self.need_int(node, "id", 0)] = value
        return value

    def _referred(self, node: dict[str, Any]) -> Any:
        self.referred = True
        try:
            return self._shared[self.need_int(node, "id", 0)]
        except KeyError:
            corrupted(f"a reference to value {node['id']!r}, which does not stand before it")

    # ---- checked access to a node's keys

    def need(self, node: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
        """``node[key]``, which must be of that JSON type."""
        value = node.get(key)
        if not isinstance(value, kind) or (type(value) is bool and kind is not bool):
            corrupted(f"key {key!r} of codec {node.get('codec')!r} is {_short(value)}")
        return value

    def need_int(
        self, node: dict[str, Any], key: str, low: int | None = None, high: int | None = None
    ) -> int:
        """``node[key]``, which must be an integer within the bounds (both included)."""
        value = node.get(key)
        if type(value) is not int:
            corrupted(f"key {key!r} of codec {node.get('codec')!r} is {_short(value)}")
        if (low is not None and value < low) or (high is not None and value > high):
            corrupted(f"key {key!r} of codec {node.get('codec')!r} is out of range: {value}")
        return value

    def need_buffer(self, node: dict[str, Any], key: str = "buffer") -> Any:
        """The buffer that ``node[key]`` names."""
        index = self.need_int(node, key, 0)
        if index >= len(self.buffers):
            corrupted(f"names buffer {index}, and has {len(self.buffers)}")
        return self.buffers[index]

    def need_ints(self, node: dict[str, Any], key: str, low: int, high: int) -> list[int]:
        """``node[key]``, which must be a JSON array of integers within the bounds."""
        values = self.need(node, key, list)
        for value in values:
            if type(value) is not int or not low <= value <= high:
                corrupted(f"key {key!r} of codec {node.get('codec')!r} holds {_short(value)}")
        return values  # type: ignore[no-any-return]


def find_decoder(codec: str) -> tuple[int, Decode]:
    """The newest version and the decoder of a codec."""
    entry = DECODERS.get(codec)
    if entry is None:
        package = codec.partition(".")[0]
        module = LAZY_DECODERS.get(package) or module_of(package)
        if module is not None:
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise ImportError(
                    f"this value needs the package {error.name!r}: pip install {error.name}"
                ) from error
            entry = DECODERS.get(codec)
    if entry is None:
        raise UnknownLayoutException(
            f"stored with codec {_short(codec)}, which this release does not know: "
            "a newer release of vineyard may"
        )
    return entry


def corrupted(why: str) -> NoReturn:
    """Raises the error for what contradicts itself."""
    said = "the stored value is damaged: "  # once, also where one codec reports another's failure
    raise CorruptedException(said + why.removeprefix(said))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def no_calls_left() -> NoReturn:
    """Raises the error for a value that is right, but met where too few calls are left to read it."""
    raise LimitExceededException(
        "the program has called itself so deeply that too few calls are left for this value "
        f"(sys.getrecursionlimit() is {sys.getrecursionlimit()})"
    )


def _nesting(text: str) -> int:
    """How deeply the brackets of a text are nested; those in JSON's strings are none."""
    brackets = re.findall(r"[\[{\]}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))
    depths = accumulate(1 if bracket in "[{" else -1 for bracket in brackets)
    return max(depths, default=0)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def dumps(node: Node) -> str:
    """JSON text of a node; non-ASCII text is escaped."""
    return json.dumps(node, separators=(",", ":"), allow_nan=False)


_loads = json.JSONDecoder(parse_constant=_refuse_constant).decode


def loads(text: str) -> Any:
    """The reverse of `dumps`, for text that nobody has checked."""
    try:
        return _loads(text)
    except RecursionError:
        if _nesting(text) > 10 * MAX_DEPTH:
            corrupted("its metadata is nested too deeply")
        no_calls_left()
    except ValueError as error:
        corrupted(f"its metadata can't be read: {error}")
