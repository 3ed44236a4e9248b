# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams of bytes."""

from __future__ import annotations

from typing import Any, ClassVar

from vineyard._core import ObjectID
from vineyard.errors import TypeErrorException
from vineyard.io.stream import Stream, StreamWriter


class ByteWriter(StreamWriter):
    """Appends anything with the buffer protocol, as bytes."""

    def append(self, value: Any, *, timeout: float | None = None) -> ObjectID:
        """The bytes of a buffer as the next chunk; otherwise as `Stream`'s."""
        try:
            data = memoryview(value)
        except TypeError:
            raise TypeErrorException(
                f"a chunk of a byte stream is bytes-like, not {type(value).__name__}"
            ) from None
        if not data.c_contiguous:
            data = memoryview(data.tobytes())
        self._push_filled(timeout)
        builder = self._client.create_blob(data.nbytes)
        builder.copy(0, data.cast("B") if data.nbytes else b"")
        return self._core.put_blob(builder, timeout)

    write = append


class ByteStream(Stream):
    """A stream of bytes: readers get a read-only memoryview for each chunk."""

    __slots__ = ()

    TYPENAME: ClassVar[str] = "vineyard::ByteStream"
    Writer: ClassVar[type[StreamWriter]] = ByteWriter
