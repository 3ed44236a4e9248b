# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`explain`: where the bytes of a value lie, and what is copied when it is put and got.

>>> import numpy as np
>>> print(explain([np.zeros((4, 4)), np.zeros((4, 4))[:, 1]]))  # doctest: +NORMALIZE_WHITESPACE
vineyard::Sequence: 2 buffers, 160 bytes
buffer  of               codec   bytes  put                               get
0       list > ndarray   tensor    128  1 copy, into the store            copied: small
1       list > ndarray   tensor     32  2 copies: made contiguous first   copied: small
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vineyard import _core
from vineyard._core import Blob, ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.sharing import refer
from vineyard.codecs import encode
from vineyard.codecs.nesting import encode_root
from vineyard.codecs.scalars import text_of
from vineyard.codecs.tree import Decoder, Encoder, MemberFailedError, Node, loads, type_name
from vineyard.errors import VineyardException
from vineyard.settings import allows_pickle

if TYPE_CHECKING:
    from vineyard.client import Client

#: What instances keep in their records unless told otherwise; a connected client knows better.
INLINE_MAX = 256 * 1024

PUT_ONCE = "1 copy, into the store"
PUT_TWICE = "2 copies: made contiguous first"
PUT_STORED = "none: lies in the store"
PUT_IN_PLACE = "none: sealed in place"

#: Why memory of `Client.empty` is copied all the same; see `vineyard._core.placements`.
WHY_COPIED = {
    "small part": "less than half of an array of {} bytes",
    "changed": "written to since it was put or forked",
    "elsewhere": "allocated by another client, instance or process",
    "refused": "another process or device could write to it",
    "forced": "as asked",
    "habit": "arrays were mostly written to after their put",
}
GET_VIEW = "no copy: the stored pages"
GET_SMALL = "copied: small"
GET_PICKLE = "no copy, then read by pickle"


@dataclass(frozen=True, slots=True)
class ExplainedBuffer:
    """One buffer of a value.

    Attributes
    ----------
    index : int
    of : str
        Types from the value down to the part that the buffer belongs to, or codecs for what is
        stored.
    codec : str
    nbytes : int
    put, get : str
        What is copied, and why.
    """

    index: int
    of: str
    codec: str
    nbytes: int
    put: str
    get: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `explain` found; its text is a table.

    Attributes
    ----------
    typename : str
    nbytes : int
        Bytes of all buffers.
    buffers : tuple of ExplainedBuffer
    readonly : str
        Why what is got can't be written to, and what to do.
    """

    typename: str
    nbytes: int
    buffers: tuple[ExplainedBuffer, ...]
    readonly: str = (
        "what is got is read-only, because other programs see the same bytes: "
        "get(..., writable=True) maps them copy-on-write, get(..., copy=True) copies them"
    )

    def __str__(self) -> str:
        head = f"{self.typename}: {len(self.buffers)} buffers, {self.nbytes} bytes"
        rows = [("buffer", "of", "codec", "bytes", "put", "get")]
        rows += [(str(b.index), b.of, b.codec, str(b.nbytes), b.put, b.get) for b in self.buffers]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows)
        return "\n".join((head, *(line.rstrip() for line in lines)))


def explain(value: Any, *, client: Client | None = None, pickle: bool | None = None) -> Explanation:
    """Says, buffer by buffer, how a value is stored and what a put and a get of it copy.

    Parameters
    ----------
    value : object
        A value, which is not stored; or the ObjectID of one that is.
    client : Client, optional
        Whose object an id means; by default that of the instance `connect` finds.
    pickle : bool, optional
        Whether a value without a codec may be pickled; by default as in `vineyard.connect`.

    Returns
    -------
    Explanation

    Raises
    ------
    TypeErrorException
        The value can't be stored.
    ObjectNotExistsException
        There is no such object.
    """
    if isinstance(value, ObjectID):
        if client is None:
            from vineyard.connecting import default_client

            client = default_client()
        return _of_object(value, client)
    return _of_value(value, allows_pickle(pickle), client)


class _TracingEncoder(Encoder):
    """Notes which part of the value each buffer belongs to."""

    __slots__ = ("_nesting", "_nodes", "parts")

    def __init__(self, pickle: bool) -> None:
        super().__init__(pickle)
        self._nesting: list[str] = []
        self._nodes: list[tuple[dict[str, Any], str]] = []
        self.parts: list[tuple[str, str]] = []  # of each buffer: types, codec

    def node(self, value: Any) -> Node:
        self._nesting.append(type_name(type(value)).rpartition(".")[2])
        first = len(self.parts)
        of = " > ".join(self._nesting)
        try:
            node = super().node(value)
        finally:
            self._nesting.pop()
        codec = node.get("codec", "") if type(node) is dict else ""
        if type(node) is dict:
            self._nodes.append((node, of))
        self.parts[first:] = [(of, found or codec) for of, found in self.parts[first:]]
        return node

    def finish(self) -> None:
        """Buffers that were made at the end belong to the first part that names them."""
        super().finish()
        for node, of in reversed(self._nodes):
            index = node.get("buffer")
            if type(index) is int and index < len(self.parts) and not self.parts[index][0]:
                self.parts[index] = (of, node["codec"])

    def buffer(self, data: Any) -> int:
        index = super().buffer(data)
        while len(self.parts) <= index:
            self.parts.append((" > ".join(self._nesting), ""))
        return index


def _of_value(value: Any, pickle: bool, client: Client | None) -> Explanation:
    typename, _, first, _ = encode(value, pickle=pickle)
    # What is made for the put is made anew each time; what is handed over stays where it is.
    _, _, second, _ = encode(value, pickle=pickle)
    tracer, _ = encode_root(lambda: _TracingEncoder(pickle), value)
    tracer.finish()
    sizes = [memoryview(buffer).nbytes for buffer in first]
    puts = [
        _put_of(one, _address(one) != _address(other), *placed)
        for one, other, placed in zip(first, second, _placements(first, client), strict=True)
    ]
    stays = (PUT_STORED, PUT_IN_PLACE)
    copied = sum(n for n, put in zip(sizes, puts, strict=True) if not put.startswith(stays))
    inline_max = INLINE_MAX if client is None else client._core.inline_max
    rows = []
    for index, nbytes in enumerate(sizes):
        of, codec = tracer.parts[index] if index < len(tracer.parts) else ("", "tree")
        small = copied <= inline_max and not puts[index].startswith(stays)
        get = GET_SMALL if small else GET_VIEW
        if codec == "pickle" and get == GET_VIEW:
            get = GET_PICKLE
        rows.append(ExplainedBuffer(index, of, codec, nbytes, puts[index], get))
    return Explanation(typename, sum(sizes), tuple(rows))


def _placements(buffers: Sequence[Any], client: Client | None) -> list[tuple[str, int]]:
    """Of each buffer as `vineyard._core.placements`; "stored": it was got from the store before."""
    if client is None or not client.connected:
        return _core.placements(buffers)
    placed = client._core.placements(buffers)
    stored = refer(client._core, buffers, Deadline(None, client._core))
    return [
        ("stored", 0) if type(one) is Blob else found
        for one, found in zip(stored, placed, strict=True)
    ]


def _put_of(buffer: Any, made: bool, placement: str, allocated: int) -> str:
    if made:
        return PUT_TWICE
    if placement in ("referred", "stored"):
        return PUT_STORED
    if placement == "in place":
        nbytes = memoryview(buffer).nbytes
        exposed = f", with all {allocated} bytes of its array" if nbytes < allocated else ""
        return PUT_IN_PLACE + exposed
    why = WHY_COPIED.get(placement)
    return PUT_ONCE if why is None else f"{PUT_ONCE}: {why.format(allocated)}"


def _address(buffer: Any) -> int:
    array = np.frombuffer(buffer, np.uint8) if memoryview(buffer).nbytes else np.empty(0, np.uint8)
    return int(array.__array_interface__["data"][0])


class _TracingBuffers(list[Any]):
    """Notes which part of the value takes each buffer."""

    def __init__(self, buffers: Sequence[Any]) -> None:
        super().__init__(buffers)
        self.nesting: list[str] = []
        self.parts: dict[int, tuple[str, str]] = {}

    def __getitem__(self, index: Any) -> Any:
        if self.nesting and type(index) is int:
            self.parts.setdefault(index, (" > ".join(self.nesting), self.nesting[-1]))
        return super().__getitem__(index)


class _TracingDecoder(Decoder):
    __slots__ = ()

    def value(self, node: Node) -> Any:
        if type(node) is not dict or type(node.get("codec")) is not str:
            return super().value(node)
        self.buffers.nesting.append(node["codec"])
        try:
            return super().value(node)
        finally:
            self.buffers.nesting.pop()


def _of_object(ref: ObjectID, client: Client) -> Explanation:
    typename, metadata, buffers, _, _ = client._core.get(ref, False, None)
    traced = _TracingBuffers(buffers)
    node = loads(metadata)
    if type(node) is dict and node.get("codec") == "tree":
        node = loads(text_of(traced[node["buffer"]]))
    # Only to see who takes what: a pickle is not run, and a member not fetched.
    with contextlib.suppress(VineyardException, MemberFailedError):
        _TracingDecoder(traced, pickle=False, member=_no_member).value(node)
    rows = []
    for index, buffer in enumerate(buffers):
        of, codec = traced.parts.get(index, ("", ""))
        get = GET_VIEW if getattr(buffer, "zero_copy", False) else GET_SMALL
        if codec == "pickle" and get == GET_VIEW:
            get = GET_PICKLE
        rows.append(ExplainedBuffer(index, of, codec, len(buffer), PUT_STORED, get))
    return Explanation(typename, sum(row.nbytes for row in rows), tuple(rows))


def _no_member(key: str) -> Any:
    return None
