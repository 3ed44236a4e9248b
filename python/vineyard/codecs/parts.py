# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A stored value taken apart: each of its parts is decoded by itself, with what it needs and no more.

What was stored once for several parts (see `tree`) every part that refers to it decodes anew, so that
none keeps another alive.

>>> from vineyard.codecs import encode
>>> typename, metadata, buffers, _ = encode([b"one", {"two": 2}, [3.0]])
>>> [part.make(Decoder(buffers)) for part in parts_of(metadata, Decoder(buffers))]
[b'one', {'two': 2}, [3.0]]
>>> parts_of(encode(b"one")[1], Decoder([])) is None
True

What has parts registers here (`cuts`), by the name of its codec.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from vineyard.codecs import root_of
from vineyard.codecs.containers import items_of
from vineyard.codecs.tree import Decoder, MemberFailedError, Node, corrupted, no_calls_left
from vineyard.errors import VineyardException

#: Keys that name buffers, whatever the codec.
_BUFFER_KEYS = frozenset(
    [
        "buffer",
        "buffers",
        "buffers_",
        "bools_",
        "floats_",
        "ints_",
        "lengths_",
        "missing_",
        "offsets_",
        "tags_",
        "texts_",
    ]
)


class Part(NamedTuple):
    """One part of a value."""

    buffers: set[int]  # which it will ask for, as far as can be told beforehand
    members: set[str]
    make: Callable[[Decoder], Any]  # with a decoder of its own


class Piece(NamedTuple):
    """What is cut out of a tree: nodes, and how a decoder makes their value."""

    nodes: list[Node]
    make: Callable[[Decoder], Any]


Cut = Callable[[Decoder, dict[str, Any]], Iterator[Piece]]
_C = TypeVar("_C", bound=Cut)

CUTS: dict[str, Cut] = {}
#: Prefix of a codec's name -> the module that registers how its values are cut.
_LAZY = {"arrow": "vineyard.codecs.arrow_parts"}


def cuts(name: str) -> Callable[[_C], _C]:
    """Registers a function that gives the pieces of a codec's nodes, in order."""

    def register(function: _C) -> _C:
        CUTS[name] = function
        return function

    return register


def parts_of(metadata: str, decoder: Decoder) -> Iterator[Part] | None:
    """The parts of a stored value, in order; None if it has none.

    Parameters
    ----------
    metadata : str
    decoder : Decoder
        For what has to be decoded to find the parts: long metadata, packed items, the keys of a dict.

    Raises
    ------
    NotEncoded, CorruptedException, UnknownLayoutException
        As `vineyard.codecs.decode`.
    """
    node, _ = root_of(metadata, decoder)
    before: list[Node] = []
    if node["codec"] == "deep":
        before = decoder.need(node, "parts_", list)
        node = decoder.need(node, "value_", dict)
    codec = node.get("codec")
    if codec == "dict":  # a value may refer to any key
        before = [*before, node.get("keys_")]
    module = _LAZY.get(str(codec).partition(".")[0])
    if module is not None:
        importlib.import_module(module)
    cut = CUTS.get(str(codec))
    return None if cut is None else _with_shared(before, cut(decoder, node))


def _with_shared(before: list[Node], pieces: Iterator[Piece]) -> Iterator[Part]:
    shared = _Shared()
    shared.add(before)
    while True:
        with _damage_reported():
            piece = next(pieces, None)
        if piece is None:
            return
        needed = shared.needed_by(piece.nodes)
        buffers, members = _needs([*needed, *piece.nodes])
        yield Part(buffers, members, _maker(needed, piece))
        shared.add(piece.nodes)


@contextlib.contextmanager
def _damage_reported() -> Iterator[None]:
    """A lie that no check has foreseen is still a lie."""
    try:
        yield
    except RecursionError:
        no_calls_left()
    except MemberFailedError as failed:
        raise failed.__cause__ or failed from None
    except (VineyardException, ImportError, MemoryError):
        raise
    except Exception as error:
        corrupted(f"{type(error).__name__}: {error}")


def _maker(needed: list[Node], piece: Piece) -> Callable[[Decoder], Any]:
    def make(decoder: Decoder) -> Any:
        with _damage_reported():
            for node in needed:
                decoder.value(node)
            return piece.make(decoder)

    return make


class _Shared:
    """The nodes that later ones may refer to, in the order in which they are decoded."""

    def __init__(self) -> None:
        self._nodes: dict[int, tuple[int, Node]] = {}  # by id: place, node

    def add(self, nodes: Iterable[Node]) -> None:
        found = [n for n in _nodes_below(nodes) if type(n.get("id")) is int and n["codec"] != "ref"]
        for node in reversed(found):  # what lies in a node comes before it
            self._nodes[node["id"]] = len(self._nodes), node

    def needed_by(self, nodes: list[Node]) -> list[Node]:
        """All that these refer to, and what that refers to, in its order."""
        needed: dict[int, tuple[int, Node]] = {}
        todo = list(nodes) if self._nodes else []
        while todo:
            refs = [n["id"] for n in _nodes_below(todo) if n["codec"] == "ref"]
            todo = []
            for ref in refs:
                if type(ref) is int and ref in self._nodes and ref not in needed:
                    needed[ref] = self._nodes[ref]
                    todo.append(self._nodes[ref][1])
        return [node for _, node in sorted(needed.values(), key=lambda placed: placed[0])]


def _dicts_below(nodes: Iterable[Node]) -> Iterator[dict[str, Any]]:
    """Every JSON object in these, those inside of others after them, and the last first."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if type(node) is dict:
            yield node
            todo += node.values()
        elif type(node) is list:
            todo += node


def _nodes_below(nodes: Iterable[Node]) -> Iterator[dict[str, Any]]:
    return (n for n in _dicts_below(nodes) if type(n.get("codec")) is str)


def _needs(nodes: list[Node]) -> tuple[set[int], set[str]]:
    """The buffers and members that these nodes name."""
    buffers: set[int] = set()
    members: set[str] = set()
    for node in _dicts_below(nodes):
        if node.get("codec") == "member" and type(node.get("key_")) is str:
            members.add(node["key_"])
        for key in _BUFFER_KEYS & node.keys():
            indexes = node[key] if type(node[key]) is list else [node[key]]
            buffers.update(i for i in indexes if type(i) is int)
    return buffers, members


# ---- what Python's containers are cut into


def _items(decoder: Decoder, node: dict[str, Any]) -> Iterator[Piece]:
    if "packed_" in node:  # numbers and texts
        for value in items_of(decoder, node):
            yield Piece([], lambda _, value=value: value)  # type: ignore[misc]
        return
    items = decoder.need(node, "items_", list)
    if len(items) != decoder.need_int(node, "size_", 0):
        corrupted(f"{len(items)} items where {node['size_']} are announced")
    for item in items:
        yield Piece([item], lambda own, item=item: own.value(item))  # type: ignore[misc]


@cuts("list")
@cuts("tuple")
def _cut_sequence(decoder: Decoder, node: dict[str, Any]) -> Iterator[Piece]:
    return _items(decoder, node)


@cuts("dict")
def _cut_dict(decoder: Decoder, node: dict[str, Any]) -> Iterator[Piece]:
    """Pairs of a key and its value."""
    keys = decoder.need(node, "keys_", dict)
    if decoder.need_int(keys, "size_", 0) != decoder.need_int(node, "size_", 0):
        corrupted(f"a dict of {keys['size_']} keys and {node['size_']} values")
    for key, value in zip(_items(decoder, keys), _items(decoder, node), strict=True):
        yield Piece(
            [*key.nodes, *value.nodes],
            lambda own, key=key, value=value: (key.make(own), value.make(own)),  # type: ignore[misc]
        )
