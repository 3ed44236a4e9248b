# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams by id, as older programs use them. `vineyard.io.Stream` and its like are easier to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from vineyard import _core
from vineyard._core import Blob, BlobBuilder, ObjectID, StreamReader, StreamWriter
from vineyard.calls.chunks import next_chunk
from vineyard.calls.refs import Calls, Ref, to_id
from vineyard.errors import (
    InvalidException,
    InvalidStreamStateException,
    ObjectExistsException,
    StreamDrainedException,
    StreamOpenedException,
)
from vineyard.objects import Object, ObjectMeta

if TYPE_CHECKING:
    from vineyard.client import Client


class _Opened:
    """The two ends of a stream, as far as this client has opened them."""

    __slots__ = ("filling", "reader", "writer")

    def __init__(self) -> None:
        self.reader: StreamReader | None = None
        self.writer: StreamWriter | None = None
        self.filling: BlobBuilder | None = None


class StreamCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    _streams: dict[ObjectID, _Opened]

    def create_stream(
        self,
        object_id: Ref,
        *,
        capacity: int = 16,
        readers: int = 1,
        timeout: float | None = None,
    ) -> None:
        """Makes a stream of an object, which describes it and whose id is the stream's.

        Parameters
        ----------
        object_id : ObjectID, ObjectMeta or Object
        capacity : int
            How many chunks may wait to be read: 1 to 4096.
        readers : int
            How many must have read a chunk before it goes: 1 to 256.
        """
        for what, count in (("capacity", capacity), ("readers", readers)):
            if not 0 < count < 2**32:
                raise InvalidException(f"{what} of a stream can't be {count}")
        self._core.create_stream(to_id(object_id), capacity, readers, timeout)

    def open_stream(
        self, object_id: Ref, mode: Literal["r", "w"], *, timeout: float | None = None
    ) -> None:
        """Opens a stream for reading or writing, for the calls below.

        Raises
        ------
        StreamOpenedException
            It is open already: for writing, by anybody; for reading, by this client.
        """
        ref = to_id(object_id)
        if mode not in ("r", "w"):
            raise InvalidException(f"mode is 'r' or 'w', not {mode!r}")
        opened = self._streams.setdefault(ref, _Opened())
        if (opened.reader if mode == "r" else opened.writer) is not None:
            raise StreamOpenedException(f"stream {ref!r} is open already (mode {mode!r})")
        if mode == "r":
            opened.reader = self._core.open_stream_reader(ref, timeout)
        else:
            opened.writer = self._open_writer(ref, timeout)

    def _open_writer(self, ref: ObjectID, timeout: float | None = None) -> _core.StreamWriter:
        try:
            return self._core.open_stream_writer(ref, timeout)
        except ObjectExistsException as error:
            raise StreamOpenedException(str(error)) from None

    def push_chunk(self, object_id: Ref, chunk: Ref, *, timeout: float | None = None) -> None:
        """Makes an object that is stored already the next chunk; it stays after it has been read.
        Waits for room, without a timeout as long as it takes."""
        opened, writer = self._writing(object_id)
        self._push_filled(opened, writer, timeout)
        writer.push(to_id(chunk), False, timeout)

    def new_buffer_chunk(
        self, object_id: Ref, size: int, *, timeout: float | None = None
    ) -> memoryview:
        """Memory of `size` bytes, to be filled: the next chunk, which is pushed by the next call for
        this stream."""
        opened, writer = self._writing(object_id)
        self._push_filled(opened, writer, timeout)
        opened.filling = _client(self).create_blob(size)
        return memoryview(opened.filling)

    def next_chunk_id(self, object_id: Ref, *, timeout: float | None = None) -> ObjectID:
        """The id of the next chunk. Waits for one, without a timeout as long as it takes.

        Raises
        ------
        StreamDrainedException
            The stream has come to its end.
        StreamFailedException
            Its writer gave it up, or ended before it had finished.
        """
        ref = to_id(object_id)
        opened = self._streams.get(ref)
        if opened is None or opened.reader is None:
            raise InvalidStreamStateException(f"stream {ref!r} is not open for reading here")
        chunk = next_chunk(self._core, opened.reader, timeout)
        if chunk is None:
            raise StreamDrainedException(f"stream {ref!r} has come to its end")
        return chunk

    def next_chunk_meta(self, object_id: Ref, *, timeout: float | None = None) -> ObjectMeta:
        """The metadata of the next chunk; as `next_chunk_id`."""
        return _client(self).get_meta(self.next_chunk_id(object_id, timeout=timeout))

    def next_chunk(self, object_id: Ref, *, timeout: float | None = None) -> Object | Blob:
        """The next chunk as an object; as `next_chunk_id`."""
        chunk = self.next_chunk_id(object_id, timeout=timeout)
        client = _client(self)
        return client.get_blob(chunk) if chunk.is_blob else client.get_object(chunk)

    def next_buffer_chunk(self, object_id: Ref, *, timeout: float | None = None) -> memoryview:
        """The bytes of the next chunk, which is a blob; as `next_chunk_id`."""
        return memoryview(_client(self).get_blob(self.next_chunk_id(object_id, timeout=timeout)))

    def stop_stream(
        self, object_id: Ref, failed: bool = False, *, timeout: float | None = None
    ) -> None:
        """Of the writer: nothing follows, because all is there or because of a failure. Of a client
        that only reads: it wants no more."""
        ref = to_id(object_id)
        opened = self._streams.pop(ref, None)
        if opened is None:
            raise InvalidStreamStateException(f"stream {ref!r} is not open here")
        if opened.reader is not None:
            opened.reader.close(timeout)
        if opened.writer is None:
            return
        if failed:
            opened.writer.fail("", timeout)
            return
        self._push_filled(opened, opened.writer, timeout)
        opened.writer.finish(timeout)

    def drop_stream(self, object_id: Ref, *, timeout: float | None = None) -> None:
        """Ends a stream with what waits in it. Its object stays."""
        ref = to_id(object_id)
        self._core.drop_stream(ref, timeout)
        self._streams.pop(ref, None)

    def _writing(self, object_id: Ref) -> tuple[_Opened, StreamWriter]:
        ref = to_id(object_id)
        opened = self._streams.get(ref)
        if opened is None or opened.writer is None:
            raise InvalidStreamStateException(f"stream {ref!r} is not open for writing here")
        return opened, opened.writer

    def _push_filled(self, opened: _Opened, writer: StreamWriter, timeout: float | None) -> None:
        if opened.filling is not None:
            filled, opened.filling = opened.filling, None
            writer.put_blob(filled, timeout)


def _client(calls: Any) -> Client:
    return cast("Client", calls)
