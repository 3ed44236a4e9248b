# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams: one program hands values over piece by piece while others read them.

>>> import vineyard
>>> from vineyard.io import Stream
>>> client = vineyard.connect()  # doctest: +SKIP
>>> stream = Stream.new(client, capacity=4)  # doctest: +SKIP
>>> with stream.open_writer() as writer:  # doctest: +SKIP
...     for batch in batches:
...         writer.append(batch)

and in another program, which was told the id or the name of the stream:

>>> for batch in client.get(name="batches"):  # doctest: +SKIP
...     work(batch)

A stream is a bounded queue: a writer that is `capacity` chunks ahead of the slowest reader waits.
There is one writer; each reader gets every chunk, in order. A chunk goes when as many readers as the
stream was made for have read it; what was got of it stays readable.

A reader that is lost half-way (its process ends) leaves its place to another, which gets the chunks
that are still there. A writer that ends without having finished makes the stream fail: readers get
what is there, then a `StreamFailedException`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from vineyard import contexts
from vineyard._core import BlobBuilder, ObjectID, StreamInfo
from vineyard.calls.chunks import next_chunk, put_chunk
from vineyard.errors import InvalidException, TimeoutException
from vineyard.objects import Object, ObjectMeta

if TYPE_CHECKING:
    from vineyard.client import Client

#: How long an asynchronous reader's thread waits at a time, in seconds: so long it may outlive a task
#: that was cancelled.
_SLICE = 0.5


class StreamReader:
    """Reads a stream, forwards and once: an iterator, also for ``async for``.

    Threads may share it: each chunk comes to one of them. A forked child opens one of its own.
    """

    def __init__(self, client: Client, stream: ObjectID) -> None:
        self._client = client
        self._core = client._core.open_stream_reader(stream)
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[ObjectID | None] | None = None

    @property
    def stream(self) -> ObjectID:
        return self._core.stream

    def next_id(self, timeout: float | None = None) -> ObjectID | None:
        """The id of the next chunk, None behind the last. Asking for it says that the chunk before
        is no longer needed.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; None: as long as it takes.

        Raises
        ------
        StreamFailedException
            The writer gave it up, or ended before it had finished.
        TimeoutException
            No chunk came in time.
        """
        return next_chunk(self._client._core, self._core, timeout)

    def next(self, timeout: float | None = None) -> Any:
        """The value of the next chunk; raises StopIteration behind the last. As `next_id`."""
        ref = self.next_id(timeout)
        if ref is None:
            raise StopIteration("the stream has come to its end")
        return self._value(ref)

    def next_metadata(self, timeout: float | None = None) -> ObjectMeta:
        """The metadata of the next chunk, which is an object; otherwise as `next`."""
        ref = self.next_id(timeout)
        if ref is None:
            raise StopIteration("the stream has come to its end")
        return self._client.get_meta(ref)

    def _value(self, ref: ObjectID) -> Any:
        return self._client.get(ref)

    def close(self) -> None:
        """It wants no more: the writer does not wait for it."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._core.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self.next()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="vineyard-stream")
        while True:
            # A task that is cancelled leaves the chunk that its thread gets to the next who asks.
            if self._pending is None:
                self._pending = self._thread.submit(self.next_id, _SLICE)
            pending = self._pending
            try:
                ref = await asyncio.shield(asyncio.wrap_future(pending))
            except TimeoutException:
                ref = None
                if self._pending is pending:
                    self._pending = None
                continue
            except asyncio.CancelledError:
                raise
            except BaseException:
                self._pending = None
                raise
            self._pending = None
            if ref is None:
                raise StopAsyncIteration
            return self._value(ref)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of stream {self.stream!r}>"


class StreamWriter:
    """Writes a stream. As a context it finishes the stream at its end, or gives it up where an
    exception ends it.

    Threads may share it.
    """

    def __init__(self, client: Client, stream: ObjectID) -> None:
        self._client = client
        self._core = client._open_writer(stream)
        self._filling: BlobBuilder | None = None

    @property
    def stream(self) -> ObjectID:
        return self._core.stream

    def append(self, value: Any, *, timeout: float | None = None) -> ObjectID:
        """Stores a value as the next chunk, when there is room.

        Parameters
        ----------
        value : object
            Anything that `Client.put` takes.
        timeout : float, optional
            Seconds to wait for the readers to make room, and for memory; None: as long as it takes.

        Returns
        -------
        ObjectID
            Of the chunk.

        Raises
        ------
        TimeoutException
            No reader made room in time.
        FailedPreconditionException
            The stream has been ended, or every reader has left it.
        """
        self._push_filled(timeout)
        if contexts.customised:  # its parts may be objects of their own
            ref = self._client.put(value)
            self._core.push(ref, True, timeout)
            return ref
        return put_chunk(self._client, self._core, value, timeout)

    write = append

    def next(self, size: int, *, timeout: float | None = None) -> memoryview:
        """Memory of `size` bytes, to be filled: the next chunk, which is pushed by the next call of
        the writer. Readers get it as memoryview."""
        self._push_filled(timeout)
        self._filling = self._client.create_blob(size)
        return memoryview(self._filling)

    def _push_filled(self, timeout: float | None) -> None:
        if self._filling is not None:
            filled, self._filling = self._filling, None
            self._core.put_blob(filled, timeout)

    def finish(self, *, timeout: float | None = None) -> None:
        """Nothing follows: readers come to the end behind the last chunk."""
        self._push_filled(timeout)
        self._core.finish(timeout)

    def fail(self, reason: str = "", *, timeout: float | None = None) -> None:
        """Nothing follows, and that is an error: readers get it behind the last chunk."""
        if self._filling is not None:
            self._filling.abort()
            self._filling = None
        self._core.fail(reason, timeout)

    close = finish

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
            return
        with contextlib.suppress(Exception):  # the first error says more
            self.fail(f"{kind.__name__}: {error}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of stream {self.stream!r}>"


class Stream(Object):
    """A stream of values of any type that `put` takes.

    Made by `new`, got by `Client.get` of its id or name. Iterating over it opens a reader.
    """

    __slots__ = ("_reader", "_writer")

    #: Of the objects that describe such streams.
    TYPENAME: ClassVar[str] = "vineyard::Stream"
    #: What `open_reader` and `open_writer` give.
    Reader: ClassVar[type[StreamReader]] = StreamReader
    Writer: ClassVar[type[StreamWriter]] = StreamWriter

    def __init__(self, meta: ObjectMeta, params: Mapping[str, Any] | None = None) -> None:
        super().__init__(meta)
        self._reader: StreamReader | None = None
        self._writer: StreamWriter | None = None

    @classmethod
    def new(
        cls,
        client: Client,
        params: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        capacity: int = 16,
        readers: int = 1,
    ) -> Self:
        """Makes a stream.

        Parameters
        ----------
        client : Client
        params : mapping, optional
            What readers are to know of it; see `params`.
        metadata : mapping, optional
            More keys of its metadata.
        name : str, optional
            Points this name at the stream, which goes with it.
        capacity : int
            How many chunks may wait to be read: 1 to 4096.
        readers : int
            How many must have read a chunk before it goes: 1 to 256.

        Raises
        ------
        InvalidException
            `capacity` or `readers` is out of range.
        """
        meta = ObjectMeta()
        for key, value in (metadata or {}).items():
            meta[key] = value
        meta["typename"] = cls.TYPENAME
        meta["params_"] = dict(params or {})
        made = client.create_metadata(meta)
        try:
            client.create_stream(made.id, capacity=capacity, readers=readers)
            if name is not None:
                client._core.put_name(name, made.id, None, True)
        except BaseException:
            client.delete(made.id)
            raise
        return cls(made)

    @property
    def params(self) -> dict[str, Any]:
        """What `new` was given."""
        said = self.meta.get("params_") or {}
        return dict(json.loads(said) if isinstance(said, str) else said)

    @property
    def info(self) -> StreamInfo:
        """How full it is, who writes, who reads and how far."""
        return self._client(None)._core.get_stream(self.id)

    def open_reader(self, client: Client | None = None) -> StreamReader:
        """A reader, which begins with the first chunk that is still there."""
        return self.Reader(self._client(client), self.id)

    def open_writer(self, client: Client | None = None) -> StreamWriter:
        """The writer.

        Raises
        ------
        StreamOpenedException
            Another process or client writes it.
        """
        return self.Writer(self._client(client), self.id)

    @property
    def reader(self) -> StreamReader:
        """The reader that was opened here first."""
        if self._reader is None:
            self._reader = self.open_reader()
        return self._reader

    @property
    def writer(self) -> StreamWriter:
        """The writer that was opened here first."""
        if self._writer is None:
            self._writer = self.open_writer()
        return self._writer

    def drop(self, client: Client | None = None) -> None:
        """Ends the stream, and deletes it with what waits in it."""
        self._client(client).delete(self.id)

    def __iter__(self) -> Iterator[Any]:
        with self.open_reader() as reader:
            yield from reader

    async def __aiter__(self) -> AsyncIterator[Any]:
        with self.open_reader() as reader:
            async for value in reader:
                yield value

    def _client(self, client: Client | None) -> Client:
        found = self.meta.client if client is None else client
        if found is None:
            raise InvalidException(f"{self!r} was not got from a client: give one")
        return found

    def __reduce__(self) -> Any:
        return type(self), (self.meta,)

    def __repr__(self) -> str:
        return f"<vineyard.io.{type(self).__name__} {self.id!r}>"


class StreamCollection(Object):
    """Several streams that belong together, as one object.

    Its members are the streams; `StreamCollection.new` makes it, `Client.get` gives it.
    """

    __slots__ = ()

    TYPENAME: ClassVar[str] = "vineyard::StreamCollection"

    @classmethod
    def new(
        cls, client: Client, metadata: Mapping[str, Any] | None, streams: Iterable[Any]
    ) -> Self:
        """Parameters: as of `Stream.new`; `streams`: streams, or what names them."""
        meta = ObjectMeta()
        for key, value in (metadata or {}).items():
            meta[key] = value
        meta["typename"] = cls.TYPENAME
        members = list(streams)
        meta["__streams_-size"] = len(members)
        for i, stream in enumerate(members):
            meta.add_member(f"__streams_-{i}", stream)
        return cls(client.create_metadata(meta))

    @property
    def streams(self) -> list[Any]:
        """The streams, in their order."""
        client = self.meta.client
        if client is None:
            raise InvalidException("this collection was not got from a client")
        return [
            client.get(self.meta.get_member(f"__streams_-{i}").id)
            for i in range(self.meta["__streams_-size"])
        ]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.streams)

    def __repr__(self) -> str:
        return f"<vineyard.io.StreamCollection {self.id!r}>"


#: What older programs call it.
BaseStream = Stream
