# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The client for asyncio: the same calls, to be awaited.

A get of what is in shared memory takes microseconds; what waits (for memory, a name, an instance)
does so in a thread, and the event loop goes on.

>>> import asyncio
>>> from vineyard import aio
>>> async def main():
...     async with await aio.connect() as client:
...         ref = await client.put([1, 2, 3])
...         return await client.get(ref)
>>> asyncio.run(main())  # doctest: +SKIP
[1, 2, 3]

A task that is cancelled stops waiting at once. What it had asked for goes on in its thread, until it
is done or its deadline has passed.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from vineyard import connecting
from vineyard._core import Blob, BlobBuilder, InstanceStatus, ObjectID
from vineyard.calls.refs import Ref
from vineyard.client import Client
from vineyard.objects import ObjectMeta

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Calls of one client that may wait at a time; more wait for a thread.
MAX_WAITING = 64


async def connect(*args: Any, **kwargs: Any) -> AsyncClient:
    """As `vineyard.connect`, with the same arguments."""
    context = contextvars.copy_context()
    work = functools.partial(context.run, connecting.connect, *args, **kwargs)
    return AsyncClient(await asyncio.get_running_loop().run_in_executor(None, work))


class AsyncClient:
    """A client whose calls are awaited. See the methods of `vineyard.Client` of the same names.

    Parameters
    ----------
    client : Client
        Closed with this one.

    Attributes
    ----------
    client : Client
        For calls that are not repeated here.
    """

    __slots__ = ("_threads", "client")

    def __init__(self, client: Client) -> None:
        self.client = client
        self._threads = ThreadPoolExecutor(MAX_WAITING, thread_name_prefix="vineyard-aio")

    async def call(self, function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Awaits any call, such as ``call(client.client.list_objects, "*")``, in a thread."""
        context = contextvars.copy_context()  # the task's builders and resolvers
        work = functools.partial(context.run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    # ---- values

    async def put(self, value: Any, **kwargs: Any) -> ObjectID:
        return await self.call(self.client.put, value, **kwargs)

    async def get(
        self, object_id: Ref | None = None, name: str | None = None, **kwargs: Any
    ) -> Any:
        return await self.call(self.client.get, object_id, name, **kwargs)

    async def put_many(self, values: Iterable[Any], **kwargs: Any) -> list[ObjectID]:
        return await self.call(self.client.put_many, list(values), **kwargs)

    async def get_many(self, object_ids: Iterable[Ref], **kwargs: Any) -> list[Any]:
        return await self.call(self.client.get_many, list(object_ids), **kwargs)

    async def empty(self, shape: Any, *args: Any, **kwargs: Any) -> Any:
        return await self.call(self.client.empty, shape, *args, **kwargs)

    # ---- objects

    async def get_meta(self, object_id: Ref, **kwargs: Any) -> ObjectMeta:
        return await self.call(self.client.get_meta, object_id, **kwargs)

    async def exists(self, object_id: Ref, **kwargs: Any) -> bool:
        return await self.call(self.client.exists, object_id, **kwargs)

    async def delete(self, object_id: Ref | Sequence[Ref], **kwargs: Any) -> int:
        return await self.call(self.client.delete, object_id, **kwargs)

    async def list_metadatas(self, pattern: str = "*", **kwargs: Any) -> list[ObjectMeta]:
        return await self.call(self.client.list_metadatas, pattern, **kwargs)

    # ---- names

    async def put_name(self, object_id: Ref, name: str, **kwargs: Any) -> int:
        return await self.call(self.client.put_name, object_id, name, **kwargs)

    async def get_name(self, name: str, wait: bool = False, **kwargs: Any) -> ObjectID:
        return await self.call(self.client.get_name, name, wait, **kwargs)

    async def drop_name(self, name: str, **kwargs: Any) -> bool:
        return await self.call(self.client.drop_name, name, **kwargs)

    async def list_names(self, pattern: str = "*", **kwargs: Any) -> dict[str, ObjectID]:
        return await self.call(self.client.list_names, pattern, **kwargs)

    # ---- blobs

    async def create_blob(self, size: int, **kwargs: Any) -> BlobBuilder:
        return await self.call(lambda: self.client.create_blob(size, **kwargs))

    async def get_blob(self, object_id: Ref, **kwargs: Any) -> Blob:
        return await self.call(self.client.get_blob, object_id, **kwargs)

    # ---- the instance and the connection

    async def status(self) -> InstanceStatus:
        """`Client.status`, which asks the instance."""
        return await self.call(lambda: self.client.status)

    async def close(self) -> None:
        """Ends the connection; calls that still wait get an error."""
        await asyncio.get_running_loop().run_in_executor(None, self.client.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<vineyard.aio.AsyncClient of {self.client!r}>"
