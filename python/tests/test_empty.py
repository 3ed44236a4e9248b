# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays whose memory lies in the store: what may be asked for, and what is said of them."""

import asyncio
import threading

import numpy as np
import pytest
import vineyard
from allocating import N, eventually, filled, usage
from vineyard import _core, aio, explanation

from conftest import running_instance

# ---- what is asked for


@pytest.mark.parametrize("shape", [(), 0, 5, (0, 7), (3, 4), (400, 500), [300, 400], np.int64(9)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "dtype",
    [float, "i2", "M8[ns]", "U3", "U", ">f8", [("a", "i4"), ("b", "f8", 3)], "(2,)f4", "V5"],
)
def test_the_array_is_as_numpys(client, shape, dtype, order):
    array, expected = client.empty(shape, dtype, order), np.empty(shape, dtype, order)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype, array.strides) == (
        expected.shape,
        expected.dtype,
        expected.strides,
    )
    assert array.flags.writeable
    assert array.flags.aligned
    array[...] = np.zeros_like(expected)
    got = client.get(client.put(array))
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert (got == array).all()


def test_what_holds_objects_is_refused(client):
    dtypes = ["O", [("a", "i4"), ("b", "O")]]
    if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
        dtypes.append(np.dtypes.StringDType())
    for dtype in dtypes:
        with pytest.raises(TypeError, match="can't lie in the store"):
            client.empty(5, dtype)
    with pytest.raises(TypeError, match="not understood"):
        client.empty(5, "no such type")


def test_bad_shapes_are_refused(client):
    for shape in (-1, (3, -1), 2**63, (2**40, 2**40), 2**61, (0, 2**62, 2**62), (1,) * 70):
        with pytest.raises(ValueError, match=r"shape|too large"):
            client.empty(shape)
    for shape in ("text", 1.5, (2.5,), None):
        with pytest.raises(TypeError, match="shape"):
            client.empty(shape)
    with pytest.raises(ValueError, match="order"):
        client.empty(5, order="A")


def test_a_full_store_says_what_was_asked_and_what_is_free():
    with running_instance(size="16Mi") as instance, vineyard.connect(instance.socket) as client:
        start = usage(client)
        with pytest.raises(vineyard.NotEnoughMemoryException, match=r"17.* limit is 16 MiB.* free"):
            client.empty(17 << 20, np.uint8, timeout=3600)
        with pytest.raises(vineyard.NotEnoughMemoryException):
            client.empty(2**62, np.uint8, timeout=3600)
        half = client.empty(8 << 20, np.uint8)
        with pytest.raises(vineyard.NotEnoughMemoryException, match=r"asked for 12 MiB, free"):
            client.empty(12 << 20, np.uint8, timeout=0.1)
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(client.empty(12 << 20, np.uint8)))
        thread.start()
        eventually(lambda: client.status.waiting == 1)
        del half
        thread.join()
        assert waiting.pop().nbytes == 12 << 20
        eventually(lambda: usage(client) == start)


@pytest.mark.parametrize("more", [-8, 0, 8])
def test_around_inline_max(client, more):
    start = usage(client)
    array = client.empty(client._core.inline_max + more, np.uint8)
    array[:] = 7
    assert (usage(client) > start) == (more > 0)
    assert client._core.placements([array])[0][0] == ("in place" if more > 0 else "own")
    ref = client.put(array)
    array[:] = 8
    assert (client.get(ref) == 7).all()


def test_the_asyncio_client_has_it(own_instance):
    async def main():
        async with await aio.connect(own_instance.socket) as client:
            array = await client.empty((2, N), "f4", timeout=30)
            array[:] = 2
            ref = await client.put(array)
            array[:] = 3
            return (await client.get(ref)).max()

    assert asyncio.run(main()) == 2


# ---- what explain says


def test_explain_says_what_a_put_copies_and_why(own_client):
    array = filled(own_client)
    said = own_client.explain({"a": array[N // 4 :], "own": np.zeros(N)})
    assert (
        said.buffers[0].put == f"none: sealed in place, with all {array.nbytes} bytes of its array"
    )
    assert said.buffers[1].put == explanation.PUT_ONCE
    assert vineyard.explain(array).buffers[0].put == "none: sealed in place"
    assert "half" in own_client.explain(array[:50_000]).buffers[0].put
    stored = own_client.get(own_client.put(array))
    assert own_client.explain(array).buffers[0].put == explanation.PUT_STORED
    assert own_client.explain(stored).buffers[0].put == explanation.PUT_STORED
    array[0] = 5
    assert "written to" in own_client.explain(array).buffers[0].put
    assert own_client.explain(array.reshape(-1, 2)[:, 0]).buffers[0].put == explanation.PUT_TWICE
    assert own_client.explain(array).buffers[0].get == explanation.GET_VIEW
    assert _core.placements([b"", array[:0]]) == [("own", 0), ("own", 0)]
