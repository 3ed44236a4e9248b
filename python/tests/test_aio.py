# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The client for asyncio."""

import asyncio

import numpy as np
import pytest
import vineyard
from vineyard import aio


def run(socket, main):
    async def connected():
        async with await aio.connect(socket) as client:
            return await main(client)

    return asyncio.run(connected())


def test_calls_are_those_of_the_client(socket, name):
    async def main(client):
        ref = await client.put({"a": np.arange(100_000)}, name=name)
        assert (await client.get(ref))["a"][7] == 7
        assert (await client.get(name=name))["a"][7] == 7
        assert await client.get_name(name) == ref
        assert await client.exists(ref)
        refs = await client.put_many(range(10))
        assert await client.get_many(refs) == list(range(10))
        assert (await client.get_meta(ref)).typename == "vineyard::Dict"
        assert name in await client.list_names(name)
        assert await client.delete([*refs, ref]) == 11
        assert (await client.status()).memory_limit > 0
        with pytest.raises(vineyard.ObjectNotExistsException):
            await client.get(ref)

    run(socket, main)


def test_one_that_waits_holds_up_no_other(socket, name):
    async def main(client):
        waiting = [asyncio.create_task(client.get(name=name, wait=True)) for _ in range(20)]
        ref = await client.put("before")
        assert await client.get(ref) == "before"
        assert not any(task.done() for task in waiting)
        await client.put("after", name=name)
        assert await asyncio.gather(*waiting) == ["after"] * 20

    run(socket, main)


def test_a_cancelled_task_stops_waiting(socket, name):
    async def main(client):
        task = asyncio.create_task(client.get(name=name, wait=True))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.get(await client.put(1)) == 1

    run(socket, main)


def test_closing_ends_what_waits(socket, name):
    async def main():
        client = await aio.connect(socket)
        task = asyncio.create_task(client.get(name=name, wait=True))
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(vineyard.VineyardException):
            await task

    asyncio.run(main())
