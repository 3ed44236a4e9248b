# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How long arrays of the store live: through ends, kills, forks and threads."""

import os
import signal
import threading

import pytest
import vineyard
from allocating import MARGIN, N, eventually, filled, placement, usage

from conftest import engine_of, running_instance

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
    os.kill(engine_of(own_instance), signal.SIGKILL)
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
