# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""numpy's own arrays from the store: programs behave as ever, and their puts copy nothing."""

import asyncio
import contextvars
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from allocating import MARGIN, N, eventually, handler_name, in_store, placements
from vineyard import _core

from conftest import running_instance

# ---- what is asked for


@pytest.mark.parametrize("threshold", [0, -1, 1.5, "1Mi", None, True])
def test_a_threshold_that_makes_no_sense_is_refused(client, threshold):
    with pytest.raises(vineyard.errors.InvalidException, match="threshold"):
        vineyard.allocator(client, threshold=threshold)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1Gi", False])
def test_a_limit_that_makes_no_sense_is_refused(client, limit):
    with pytest.raises(vineyard.errors.InvalidException, match="limit"):
        vineyard.allocator(client, limit=limit)


@pytest.mark.parametrize("client", [None, "socket", 7, np])
def test_what_is_no_client_is_refused(client):
    with pytest.raises(vineyard.errors.TypeErrorException, match=r"vineyard\.Client"):
        vineyard.allocator(client)
    if client is not None:
        with pytest.raises(vineyard.errors.TypeErrorException, match=r"vineyard\.Client"):
            vineyard.enable_allocator(client, force=True)


@pytest.mark.parametrize("limit", [None, 64 << 20])
def test_a_closed_client_is_refused(socket, limit):
    client = vineyard.connect(socket)
    client.close()
    with pytest.raises(vineyard.errors.FailedPreconditionException, match="closed"):
        vineyard.allocator(client, limit=limit)


@pytest.mark.parametrize("what", [None, 5, "mem_handler", np.zeros(3)])
def test_what_is_no_handler_is_refused(what):
    with pytest.raises((TypeError, ValueError)):
        _core.set_handler(what)


# ---- arrays


def test_large_arrays_come_from_the_store_and_small_ones_do_not(client, memory):
    small, large = np.arange(1000.0), np.arange(float(N))
    assert memory.allocations == 1
    assert placements(client, large) == {"in place"}
    assert small.sum() == 499500
    assert large.flags.owndata and large.flags.writeable and large.base is None
    ref = client.put(large)
    large += 1
    assert (client.get(ref) + 1 == large).all()
    client.delete(ref)


def test_it_is_of_the_with_block_alone(client):
    with vineyard.allocator(client) as memory:
        inside = np.ones(N)
        with vineyard.allocator(client, threshold=16 << 20):
            nested = np.ones(N)  # the outer one serves what the inner one does not
        assert memory.allocations == 2
    before = memory.allocations
    outside = np.ones(N)
    assert memory.allocations == before
    assert handler_name(inside) == handler_name(nested) == "vineyard"
    assert handler_name(outside) == "default_allocator"
    assert placements(client, outside) == {"own"}


def test_one_that_is_entered_twice_is_left_twice(client):
    entered = vineyard.allocator(client)
    with entered, entered:
        pass
    assert handler_name(np.ones(N)) == "default_allocator"
    with pytest.raises(ZeroDivisionError), entered:
        array = np.ones(N)
        raise ZeroDivisionError
    assert handler_name(np.ones(N)) == "default_allocator"
    assert (array == 1).all()


def test_one_that_two_contexts_have_entered_leaves_each_as_it_was(client):
    shared, outer = vineyard.allocator(client), vineyard.allocator(client)
    one, two = contextvars.Context(), contextvars.Context()
    left = (None, None, None)
    one.run(shared.__enter__)
    two.run(outer.__enter__)
    two.run(shared.__enter__)
    one.run(shared.__exit__, *left)
    assert one.run(lambda: handler_name(np.ones(N))) == "default_allocator"
    two.run(shared.__exit__, *left)
    assert two.run(lambda: handler_name(np.ones(N))) == "vineyard"
    two.run(outer.__exit__, *left)
    assert two.run(lambda: handler_name(np.ones(N))) == "default_allocator"
    contextvars.Context().run(outer.__exit__, *left)  # which never entered it: nothing


def test_an_exception_in_the_middle_of_work_frees_what_it_had(client, memory):
    start = client.status.memory_usage

    def fail():
        partial = np.ones(N) + np.ones(N)
        return partial[: N // 2] + partial  # shapes that don't fit

    for _ in range(50):
        with pytest.raises(ValueError, match="broadcast"):
            fail()
    gc.collect()
    memory.give_back()
    assert memory.bytes_used == 0
    eventually(lambda: client.status.memory_usage <= start)


def test_memory_is_used_again_warm(client, memory):
    a = np.ones(N)
    for _ in range(20):
        assert (a + 1)[7] == 2
    assert memory.reused >= 18


def test_zeros_are_zero_whatever_the_memory_held(client, memory):
    for _ in range(5):
        array = np.full(N, 7.0)
        del array
        assert not np.zeros(N).any()
        assert not np.zeros((N // 100, 90)).any()
    assert memory.reused > 0


def test_bytes_of_an_earlier_value_do_not_reach_readers(client, memory, python):
    secret = np.full(N * 8, 0xA5, np.uint8)
    address = secret.ctypes.data
    del secret
    public = np.zeros(N * 8 - 100_000, np.uint8)
    assert public.ctypes.data == address
    ref = client.put(public)
    read = python(
        """
        import ctypes, sys, vineyard
        value = vineyard.connect(sys.argv[1]).get(sys.argv[2])
        pages = -(-value.nbytes // 4096) * 4096
        behind = ctypes.string_at(value.ctypes.data, pages + 90_000 // 4096 * 4096)
        print(behind.count(0xA5))
        """,
        client.ipc_socket,
        str(ref),
    )
    assert read.stdout.strip() == "0"
    client.delete(ref)


def test_an_array_changed_after_its_put_is_put_again(client, memory):
    array = np.arange(float(N))
    first = client.put(array)
    array *= 2
    second = client.put(array)
    array[5] = -1
    third = client.put(array, copy=False)
    assert (client.get(first) == np.arange(N)).all()
    assert (client.get(second) == 2 * np.arange(N)).all()
    expected = 2 * np.arange(float(N))
    expected[5] = -1
    assert (client.get(third) == expected).all()
    assert (array == expected).all()
    for ref in (first, second, third):
        client.delete(ref)


def test_slices_and_views_of_such_arrays(client, memory):
    array = np.arange(float(2 * N)).reshape(2, N)
    for view in (array[0], array[:, ::2], array.T, array[1:], array.view("M8[ns]"), array[0, 7:]):
        ref = client.put(view)
        got = client.get(ref)
        assert got.dtype == view.dtype
        assert (got == view).all()
        client.delete(ref)
    assert (array == np.arange(float(2 * N)).reshape(2, N)).all()


# ---- values over them


def test_frames_arrow_and_pickles_over_them_are_not_copied(client, memory):
    frame = pd.DataFrame({"a": np.arange(float(N)), "b": np.arange(N) * 2, "c": np.ones(N)})
    frame = frame + 1
    arrow = pa.table({"x": pa.array(np.arange(float(N))), "y": pa.array(np.arange(N))})
    values = [
        frame,
        frame["b"],
        frame[["a", "c"]] * 2,
        {"x": np.ones(N), "y": [np.zeros(N)]},
        arrow,
        pd.Series(np.arange(N)).to_frame(),
    ]
    refs = []
    for value in values:
        assert in_store(client, value), value
        memory.give_back()
        before = client.status.memory_usage
        ref = client.put(value)
        memory.give_back()  # encoding may have had arrays of its own
        eventually(lambda limit=before + MARGIN: client.status.memory_usage < limit)
        got = client.get(ref)
        if isinstance(value, dict):
            assert (got["x"] == value["x"]).all() and (got["y"][0] == value["y"][0]).all()
        else:
            assert got.equals(value)
        refs.append(ref)  # while they are there, the next ones may refer to the same bytes
    for ref in refs:
        client.delete(ref)


class Model:
    def __init__(self, weights):
        self.weights = weights


def test_the_buffers_of_a_pickle_are_not_copied(client, memory):
    buffers = []
    model = Model(np.random.default_rng(0).random(N))
    pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 1
    before = client.status.memory_usage
    with vineyard.connect(client.ipc_socket, pickle=True) as trusting:
        ref = trusting.put(model)
        assert client.status.memory_usage < before + MARGIN
        assert (trusting.get(ref).weights == model.weights).all()
    client.delete(ref)


def test_results_of_pandas_come_back_equal(client, memory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"k": rng.integers(0, 9, N), "x": rng.random(N), "y": rng.random(N)})
    with_store = [
        frame.groupby("k").transform("mean"),
        frame.sort_values("x"),
        frame[frame["x"] > 0.2],
        frame.merge(frame.head(1000), on="k", how="left").head(N),
        pd.concat([frame, frame]),
        frame.rolling(3).sum(),
    ]
    for value in with_store:
        ref = client.put(value)
        pd.testing.assert_frame_equal(client.get(ref), value)
        client.delete(ref)
    assert memory.allocations > 5


# ---- resize and realloc


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("to", [10, N - 1000, N + 1000, 4 * N, 0])
def test_resize_in_every_direction(client, inside, sealed, to):
    with vineyard.allocator(client):
        array = np.arange(float(N))
    ref = client.put(array) if sealed else None
    if inside:
        with vineyard.allocator(client):
            array.resize(to, refcheck=False)
    else:
        array.resize(to, refcheck=False)
    kept = min(N, to)
    assert (array[:kept] == np.arange(kept)).all()
    assert not array[kept:].any()
    array[:] = 3
    if ref is not None:
        assert (client.get(ref) == np.arange(N)).all()
        client.delete(ref)


@pytest.mark.parametrize("first", [0, 10, N])
def test_arrays_of_before_grow_within_the_block(client, first):
    array = np.arange(float(first))
    with vineyard.allocator(client):
        array.resize(2 * N, refcheck=False)
        assert (array[:first] == np.arange(first)).all()
        assert not array[first:].any()
        array.resize(5, refcheck=False)
    assert (array[: min(5, first)] == np.arange(min(5, first))).all()


def test_iterators_and_files_that_grow_their_arrays(client, memory, tmp_path):
    assert (np.fromiter((i for i in range(N)), float) == np.arange(N)).all()
    np.arange(float(N)).tofile(tmp_path / "numbers")
    assert (np.fromfile(tmp_path / "numbers") == np.arange(N)).all()


# ---- many


def test_thousands_of_live_temporaries(client):
    with vineyard.allocator(client, threshold=4096) as memory:
        before = memory.allocations
        arrays = [np.full(1000, float(i)) for i in range(4000)]
    assert memory.allocations > before + 50, "as many as descriptors and memory allow"
    assert all((a == i).all() for i, a in enumerate(arrays))
    del arrays
    gc.collect()
    memory.give_back()
    assert memory.bytes_idle == 0


def test_when_the_volume_is_full_the_ordinary_allocator_serves():
    with running_instance(size="64Mi") as own, vineyard.connect(own.socket) as client:
        with vineyard.allocator(client, limit=1 << 40) as memory:
            arrays = [np.full(N * 5, float(i)) for i in range(20)]  # 160 MB
        assert memory.declined > 0
        assert memory.allocations > 0
        assert all((a == i).all() for i, a in enumerate(arrays))
        assert {placements(client, a).pop() for a in arrays} == {"in place", "own"}


def test_what_is_kept_goes_to_whoever_needs_it():
    with running_instance(size="64Mi") as own, vineyard.connect(own.socket) as client:
        with vineyard.allocator(client, limit=1 << 40) as memory:
            arrays = [np.ones(N) for _ in range(25)]
            del arrays
            assert memory.bytes_idle > 30 << 20
        value = np.ones(N * 25)
        assert (client.get(client.put(value)) == value).all()


# ---- threads and contexts


def test_threads_within_the_block_go_on_as_they_were(client, memory):
    before = memory.allocations
    with ThreadPoolExecutor(2) as pool:
        names = list(pool.map(lambda _: handler_name(np.ones(N)), range(4)))
    assert set(names) == {"default_allocator"}
    assert memory.allocations == before
    assert contextvars.copy_context().run(lambda: handler_name(np.ones(N))) == "vineyard"

    async def task():
        return handler_name(np.ones(N))

    assert asyncio.run(task()) == "vineyard"


def test_threads_share_and_free_each_others_arrays(client):
    def work(seed):
        with vineyard.allocator(client):
            array = np.full(N, float(seed))
            ref = client.put(array + 1)
        got = client.get(ref)
        assert (got == seed + 1).all()
        del got
        client.delete(ref)
        return array

    with ThreadPoolExecutor(4) as pool:
        arrays = list(pool.map(work, range(60)))
    assert all((a == i).all() for i, a in enumerate(arrays))


def test_a_thread_that_writes_while_another_puts(client, memory):
    array = np.zeros(N)
    stop = threading.Event()

    def write():
        n = 0.0
        while not stop.is_set():
            n += 1
            array[:] = n

    writer = threading.Thread(target=write)
    writer.start()
    refs = [client.put(array) for _ in range(20)]
    seen = [client.get(ref).copy() for ref in refs]
    stop.set()
    writer.join()
    for ref, before in zip(refs, seen, strict=True):
        assert (client.get(ref) == before).all()
        client.delete(ref)
