# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Chunks of streams: putting a value as one, and asking for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from vineyard import _core
from vineyard._core import ObjectID
from vineyard.calls.sharing import store
from vineyard.codecs import encode
from vineyard.errors import FailedPreconditionException, StreamFailedException

if TYPE_CHECKING:
    from vineyard.client import Client


class _ChunkCore:
    """A core client whose put makes the object the next chunk of a stream."""

    def __init__(
        self, core: _core.Client, writer: _core.StreamWriter, timeout: float | None
    ) -> None:
        self._core = core
        self._writer = writer
        self._timeout = timeout

    def put(
        self, typename: str, metadata: str, buffers: Any, members: Any, *others: Any
    ) -> ObjectID:
        return self._writer.put(typename, metadata, buffers, members, None, self._timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


def put_chunk(
    client: Client, writer: _core.StreamWriter, value: Any, timeout: float | None
) -> ObjectID:
    """Stores a value as the next chunk; what lies in the store already is referred to."""
    parts = encode(value, pickle=client._pickle)
    core = cast(_core.Client, _ChunkCore(client._core, writer, timeout))
    return store(core, *parts, None)


def next_chunk(
    core: _core.Client, reader: _core.StreamReader, timeout: float | None
) -> ObjectID | None:
    """The id of the next chunk, None behind the last; a stream that failed says so by its type."""
    try:
        return reader.next(timeout)
    except FailedPreconditionException as error:
        if core.get_stream(reader.stream).failed:
            raise StreamFailedException(str(error)) from None
        raise
