# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays whose memory lies in the store: whatever lies over it is put without a copy, and stays."""

import gc
import os
import pickle
import signal
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from hypothesis import given
from hypothesis import strategies as st
from vineyard import _core, aio, explanation
from vineyard.codecs import encode

from conftest import running_instance

N = 200_000  # of float64: 1.6 MB
MARGIN = 100_000  # bytes: records, and no array


def filled(client, n=N):
    array = client.empty(n)
    array[:] = np.arange(float(n))
    return array


def usage(client):
    return client.status.memory_usage


def placement(client, value):
    """Of the one large buffer of a value."""
    buffers = [b for b in encode(value)[2] if memoryview(b).nbytes > 100_000]
    (placed,) = {one for one, _ in client._core.placements(buffers)}
    return placed


def eventually(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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


# ---- put


def test_a_put_copies_nothing_and_what_is_written_later_stays_the_owners(own_client):
    array = filled(own_client)
    before = usage(own_client)
    ref = own_client.put(array)
    assert usage(own_client) < before + MARGIN
    got = own_client.get(ref)
    array += 1
    assert array[5] == 6
    assert got[5] == own_client.get(ref)[5] == 5
    assert not got.flags.writeable


def _shapes(array):
    grid = array.reshape(-1, 100)
    yield "view", grid[10:]
    yield "slice", array[: N // 2]
    yield "turned", grid.T
    yield "bytes", array.view(np.uint8)
    yield "memoryview", memoryview(array)
    yield "frame", pd.DataFrame(grid, copy=False)
    yield "frame of columns", pd.DataFrame(grid.T, copy=False)
    yield "series", pd.Series(array, copy=False)
    yield "arrow buffer", pa.py_buffer(array)
    yield "arrow array", pa.array(array)
    yield "arrow table", pa.table({"x": pa.array(array)})
    yield "out of band", _Pickled(array)
    yield "in a tree", {"a": [array, (1, "two")]}


class _Pickled:
    def __init__(self, array):
        self.array = array

    def __reduce_ex__(self, protocol):
        return _Pickled, (pickle.PickleBuffer(self.array) if protocol >= 5 else self.array,)


def _bytes_of(value):
    return [bytes(b) for b in encode(value)[2]]


@pytest.mark.parametrize("index", range(13))
def test_its_memory_is_recognised_in_whatever_lies_over_it(own_client, index):
    array = filled(own_client)
    _name, value = list(_shapes(array))[index]
    assert placement(own_client, value) == "in place"
    expected, before = _bytes_of(value), usage(own_client)
    ref = own_client.put(value)
    assert usage(own_client) < before + MARGIN
    assert placement(own_client, value) == "referred"
    with vineyard.connect(own_client.ipc_socket) as reader:
        array[:] = -1
        assert [bytes(b) for b in reader._core.get(ref, False, None)[2]] == expected
        reader.get(ref)
    assert placement(own_client, value) == "changed"
    assert _bytes_of(value) != expected
    again = own_client.get(own_client.put(value))
    assert max(_bytes_of(again), key=len) == max(_bytes_of(value), key=len)


def test_columns_of_their_own_are_stored_as_one_change(own_client):
    columns = {f"c{i}": filled(own_client, N // 2) + 0 * i for i in range(3)}
    arrays = {name: own_client.empty(N // 2) for name in columns}
    for name, array in arrays.items():
        array[:] = columns[name]
    frame = pd.DataFrame({n: pd.Series(a, copy=False) for n, a in arrays.items()}, copy=False)
    before = usage(own_client)
    ref = own_client.put(frame)
    assert usage(own_client) < before + MARGIN
    for array in arrays.values():
        array[:] = 0
    pd.testing.assert_frame_equal(own_client.get(ref), pd.DataFrame(columns))
    own_client.delete(ref)
    del frame, arrays, array
    gc.collect()
    eventually(lambda: own_client.status.blobs == 0 and own_client.status.memory_lingering == 0)


def test_a_small_slice_is_copied_and_keeps_nothing(own_client):
    array = filled(own_client)
    part = array[: N // 2 - 1]
    assert placement(own_client, part) == "small part"
    ref = own_client.put(part)
    del array, part
    gc.collect()
    with vineyard.connect(own_client.ipc_socket) as reader:
        assert reader.get(ref)[-1] == N // 2 - 2
    eventually(lambda: usage(own_client) < 8 * N * 2 // 3)


def test_twice_unchanged_refers_and_changed_copies(own_client):
    array = filled(own_client)
    refs = [own_client.put(array), own_client.put(array), own_client.put([array, array])]
    blobs = {blob for ref in refs for blob, _, _ in own_client.get_meta(ref)._info.buffers}
    assert len({b for b in blobs if own_client.exists(b)}) == 1
    array[0] = 7
    changed = own_client.put(array)
    assert own_client.get(changed)[0] == 7
    assert [own_client.get(ref)[0] for ref in refs[:2]] == [0, 0]
    own_client.delete(refs)
    assert own_client.get(changed)[1] == 1
    assert own_client.get(own_client.put(array))[0] == 7


def test_many_values_at_once(own_client):
    arrays = [filled(own_client, N) for _ in range(3)]
    before = usage(own_client)
    refs = own_client.put_many([arrays[0], "small", arrays[1:], arrays[0]])
    assert usage(own_client) < before + MARGIN
    for array in arrays:
        array[:] = 0
    got = own_client.get_many(refs)
    assert got[0][9] == got[3][9] == got[2][0][9] == got[2][1][9] == 9


def test_the_owner_may_ask_for_a_copy(own_client):
    array = filled(own_client)
    before = usage(own_client)
    ref = own_client.put(array, copy=True)
    assert usage(own_client) > before + array.nbytes
    assert placement(own_client, array) == "in place"
    got = own_client.get(ref)
    again = own_client.put(got, copy=True)
    own_client.delete(ref)
    assert own_client.get(again)[3] == 3
    ref = own_client.put({"a": array}, name="n", copy=False)
    assert own_client.get(name="n")["a"][3] == 3


def test_a_program_that_rewrites_what_it_has_put_is_noticed(own_client):
    array = filled(own_client)
    own_client.put(array)
    array += 1
    own_client.put(array)
    fresh = filled(own_client)
    assert placement(own_client, fresh) == "habit"
    assert own_client._core.placements([fresh], False) == [("in place", fresh.nbytes)]
    before = usage(own_client)
    ref = own_client.put(fresh, copy=False)
    assert usage(own_client) < before + MARGIN
    fresh += 1
    assert own_client.get(ref)[0] == 0


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 99), st.integers(0, 255)),
            st.tuples(st.just("put"), st.integers(0, 60), st.integers(40, 100)),
            st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
            st.tuples(st.just("copy"), st.integers(0, 60), st.integers(40, 100)),
        ),
        max_size=12,
    )
)
def test_whatever_is_written_put_and_deleted_each_object_keeps_its_bytes(instance, steps):
    unit = 5000
    with vineyard.connect(instance.socket) as client:
        array = client.empty(100 * unit, np.uint8)
        array[:] = 1
        stored = []
        for kind, a, b in steps:
            if kind == "write":
                array[a * unit : a * unit + unit // 2] = b
            elif kind == "delete":
                if stored:
                    client.delete(stored.pop(a % len(stored))[0])
            else:
                part = array[a * unit : max(a, b) * unit]
                expected = part.copy()
                stored.append((client.put(part, copy=True if kind == "copy" else None), expected))
                assert (part == expected).all()
        for ref, expected in stored:
            assert np.array_equal(client.get(ref), expected)
        client.delete([ref for ref, _ in stored])


# ---- how long it lives


def test_memory_returns_exactly_to_its_start(own_client):
    start = own_client.status
    array = filled(own_client)
    own_client.empty(N)
    view = array[10:]
    ref = own_client.put(array)
    del array
    assert view[0] == 10
    own_client.delete(ref)
    eventually(lambda: own_client.status.memory_lingering > 0)
    assert view[0] == 10
    del view
    now = own_client.status
    eventually(lambda: own_client.status.memory_lingering == 0)
    assert usage(own_client) == start.memory_usage
    assert now.blobs == start.blobs


def test_arrays_outlive_their_client(own_instance, own_client):
    with vineyard.connect(own_instance.socket) as other:
        array, put = filled(other), filled(other)
        ref = other.put(put)
    array += 1
    put += 1
    assert array[1] == put[1] == 2
    with pytest.raises(vineyard.VineyardException):
        other.put(array)
    with pytest.raises(vineyard.VineyardException):
        other.empty(N)
    assert placement(own_client, array) == "elsewhere"
    assert own_client.get(own_client.put(array))[1] == 2
    assert own_client.get(ref)[1] == 1


def test_arrays_outlive_the_instance():
    with running_instance() as instance, vineyard.connect(instance.socket) as client:
        array, put = filled(client), filled(client)
        client.put(put)
    put += 1
    array += 1
    assert array[-1] == put[-1] == N
    with running_instance() as instance, vineyard.connect(instance.socket) as client:
        assert client.get(client.put(array))[-1] == N
        assert client.get(client.put(put))[-1] == N


def test_a_killed_engine_costs_no_array(own_instance, own_client):
    array, put = filled(own_client), filled(own_client)
    ref = own_client.put(put)
    keeper = own_instance.process.pid
    with open(f"/proc/{keeper}/task/{keeper}/children") as children:
        os.kill(int(children.read().split()[0]), signal.SIGKILL)
    assert array[7] == put[7] == 7
    before = usage(own_client)
    again, fresh = own_client.put(put), own_client.put(array)
    assert usage(own_client) < before + MARGIN
    array[:] = 0
    assert [own_client.get(r)[7] for r in (ref, again, fresh)] == [7, 7, 7]


def test_a_killed_process_keeps_nothing(own_instance, own_client, python):
    start = usage(own_client)
    done = python(
        """
        import os, signal, sys, vineyard
        client = vineyard.connect(sys.argv[1])
        array, unused = client.empty(200_000), client.empty(200_000)
        array[:] = 5
        client.put(array, name="left")
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        own_instance.socket,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert (own_client.get(name="left") == 5).all()
    own_client.drop_name("left")
    eventually(lambda: usage(own_client) == start)
    eventually(lambda: own_client.status.memory_lingering == 0)


# ---- forks and threads


def test_a_forked_child_has_arrays_of_its_own(own_instance, python):
    done = python(
        """
        import os, sys, numpy as np, vineyard
        client = vineyard.connect(sys.argv[1])
        arrays = [client.empty(200_000) for _ in range(3)]
        for array in arrays:
            array[:] = 1
        ref = client.put(arrays[0])
        ours, theirs = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.read(ours[0], 1)
            assert all((array == 1).all() for array in arrays)
            for array in arrays:
                array += 10
            stored = client.put(arrays)
            assert all((array == 11).all() for array in client.get(stored))
            os.write(theirs[1], b"x")
            os.read(ours[0], 1)
            os._exit(0)
        arrays[1] += 1
        os.write(ours[1], b"x")
        os.read(theirs[0], 1)
        assert [float(array.max()) for array in arrays] == [1, 2, 1]
        before = client.status.memory_usage
        unchanged = client.put(arrays[2])
        assert client.status.memory_usage < before + 100_000, "in place, while the child lives"
        changed = client.put(arrays[1])
        assert (client.get(ref) == 1).all() and (client.get(unchanged) == 1).all()
        assert (client.get(changed) == 2).all()
        os.write(ours[1], b"x")
        assert os.waitpid(child, 0)[1] == 0
        print("done")
        """,
        own_instance.socket,
    )
    assert done.stdout == "done\n"


def test_processes_of_multiprocessing_fork_too(own_instance, python):
    done = python(
        """
        import multiprocessing, sys, vineyard
        client = vineyard.connect(sys.argv[1])
        array = client.empty(200_000)
        array[:] = 3
        def work(i):
            array[i] = 100
            return float(array.sum()), client.put(array + 0)
        with multiprocessing.get_context("fork").Pool(3) as pool:
            got = pool.map(work, range(6))
        assert array.max() == 3
        assert all(client.get(ref).max() == 100 for _, ref in got)
        """,
        own_instance.socket,
    )
    assert done.stderr == ""


def test_threads_that_put_the_same_array_share_its_bytes(own_client):
    array = filled(own_client)
    before = usage(own_client)
    refs = []
    threads = [
        threading.Thread(target=lambda: refs.append(own_client.put({"a": array}))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 8
    assert usage(own_client) < before + MARGIN
    array[:] = 0
    assert all(own_client.get(ref)["a"][9] == 9 for ref in refs)


def test_a_thread_that_writes_meanwhile_loses_nothing(own_client):
    for _ in range(10):
        array = own_client.empty(N)
        array[:] = 0
        stop, rounds = threading.Event(), [0]

        def write(array=array, stop=stop, rounds=rounds):
            while not stop.is_set():
                array += 1
                rounds[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        eventually(lambda rounds=rounds: rounds[0] > 0)
        got = own_client.get(own_client.put(array, copy=False))
        first = got.copy()
        stop.set()
        writer.join()
        assert (array == rounds[0]).all()
        assert (got == first).all()


def test_the_asyncio_client_has_it(own_instance):
    import asyncio

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
