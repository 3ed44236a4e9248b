# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Memory of the store in this process: found by address, and stored again without a copy."""

import gc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from hypothesis import given
from hypothesis import strategies as st
from vineyard.calls import sharing

from conftest import running_instance

N = 500_000  # of float64: 4 MB, an extent of its own
SLACK = 50_000 + 64 * 1024  # records, and the memory file's last page


def _address(array):
    return array.__array_interface__["data"][0]


def _stored_array(client, n=N):
    ref = client.put(np.arange(float(n)))
    return ref, client.get(ref)


# ---- finding


def test_the_blob_of_a_fetched_array_is_found(own_client):
    ref, array = _stored_array(own_client)
    blob = own_client.get_meta(ref)._info.buffers[0][0]
    assert blob.is_blob
    for memory in (
        array,
        _address(array),
        np.int64(_address(array)),
        _address(array) + array.nbytes - 1,
        array[10:20],
        array[::-3],
        array.reshape(1000, -1).T[5:, ::2],
        array.view(np.uint8),
        memoryview(array),
        memoryview(array)[::2],
        own_client.get_blob(blob),
        pa.py_buffer(array),
    ):
        assert own_client.find_shared_memory(memory) == blob
        assert own_client.is_shared_memory(memory)


def test_private_memory_is_no_shared_memory(own_client):
    _, array = _stored_array(own_client)
    copy = array.copy()
    for memory in (
        copy,
        array + 1,
        np.array(array),
        b"bytes",
        bytearray(10),
        array[:0],
        0,
        1,
        2**64 - 1,
        _address(array) - 1,
        _address(array) + array.nbytes,
        own_client.get(own_client.put(np.zeros(10))),
        own_client.get(own_client.put(np.zeros(1000))),
    ):
        assert own_client.find_shared_memory(memory) is None
        assert not own_client.is_shared_memory(memory)


def test_what_is_no_memory_is_refused(own_client):
    for wrong in ("text", 1.5, None, [1]):
        with pytest.raises(TypeError, match="memory"):
            own_client.find_shared_memory(wrong)


def test_memory_that_reaches_beyond_a_blob_does_not_lie_in_it(own_client):
    _ref, array = _stored_array(own_client)
    assert sharing.find_stored(own_client._core, _address(array), array.nbytes)
    assert not sharing.find_stored(own_client._core, _address(array), array.nbytes + 1)
    assert not sharing.find_stored(own_client._core, _address(array) - 8, array.nbytes)


def test_a_deleted_blob_is_not_found(own_client):
    ref, array = _stored_array(own_client)
    own_client.delete(ref)
    assert own_client.find_shared_memory(array) is None
    assert array[-1] == N - 1


def test_memory_of_another_instance_is_not_found(own_client):
    with running_instance() as other, vineyard.connect(other.socket) as elsewhere:
        # The same ids mean other bytes there.
        here, there = _stored_array(own_client), _stored_array(elsewhere)
        assert own_client.find_shared_memory(there[1]) is None
        assert elsewhere.find_shared_memory(here[1]) is None
        del there
        gc.collect()


def test_memory_mapped_by_another_client_of_the_volume_is_found(own_instance, own_client):
    _ref, array = _stored_array(own_client)
    with vineyard.connect(own_instance.socket) as second:
        blob = second.find_shared_memory(array)
        assert blob is not None
        assert blob == own_client.find_shared_memory(array)
        assert second.find_shared_memory(array.copy()) is None


def test_a_stale_hint_is_no_proof(own_client):
    ref, array = _stored_array(own_client)
    core, address = own_client._core, _address(array)
    other, _kept = _stored_array(own_client)
    blob = own_client.get_meta(ref)._info.buffers[0][0]
    sharing._hints._extents[address] = (
        own_client.get_meta(other)._info.buffers[0][0],
        address + array.nbytes,
    )
    assert sharing.find_stored(core, address, 8) is None
    private = np.zeros(N)
    fake = _address(private)
    with sharing._hints._lock:
        sharing._hints._starts.append(fake)
        sharing._hints._starts.sort()
        sharing._hints._extents[fake] = (blob, fake + private.nbytes)
    assert sharing.find_stored(core, fake, private.nbytes) is None
    sharing._hints._forget(fake)
    del sharing._hints._extents[address]
    sharing._hints._starts.remove(address)


@given(
    events=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), min_size=1, max_size=40),
    asked=st.integers(0, 40),
)
def test_hints_follow_what_was_mapped_last(events, asked):
    class FakeBlob:
        def __init__(self, number, address, size):
            self.id, self.address, self.size, self.offset = number, address, size, 0

    hints = sharing._Hints()
    owner = {}
    for number, (address, size) in enumerate(events):
        # A new mapping takes the place of all that it overlaps.
        for gone in {owner[a] for a in range(address, address + size) if a in owner}:
            for a in [a for a in owner if owner[a] == gone]:
                del owner[a]
        for a in range(address, address + size):
            owner[a] = number
        hints.add(FakeBlob(number, address, size))
    found = hints.find(asked, 1)
    if asked in owner:
        assert found is not None
        assert found[0] == owner[asked]
    assert hints._starts == sorted(hints._extents)


def test_only_so_many_hints_are_kept(monkeypatch):
    monkeypatch.setattr(sharing, "_MOST", 3)

    class FakeBlob:
        offset, size = 0, 5

        def __init__(self, number):
            self.id, self.address = number, number * 10

    hints = sharing._Hints()
    for number in range(10):
        hints.add(FakeBlob(number))
    assert len(hints._extents) == len(hints._starts) == 3
    assert hints.find(92, 1) == (9, 2)


# ---- storing again

FRAME = pd.DataFrame({f"c{i}": np.arange(float(N)) + i for i in range(3)})


@pytest.mark.parametrize(
    "value",
    [
        np.arange(float(N)),
        np.asfortranarray(np.arange(float(N)).reshape(1000, -1)),
        {"a": np.arange(N), "b": [np.ones(N), "text"]},
        FRAME,
        FRAME["c1"],
        pd.DataFrame(
            {
                "text": pd.array([f"text {i}" for i in range(N)], dtype="string[pyarrow]"),
                "kind": pd.Categorical(["x", "y"] * (N // 2)),
                "gaps": pd.array([1, None] * (N // 2), dtype="Int64"),
                "time": pd.date_range("2020", periods=N, tz="UTC", freq="s"),
            }
        ),
    ],
    ids=["array", "fortran", "dict", "frame", "series", "mixed"],
)
def test_storing_a_fetched_value_again_takes_no_memory(own_client, value):
    first = own_client.put(value)
    used = own_client.status.memory_usage
    back = own_client.get(first)
    second = own_client.put(back)
    assert second != first
    assert own_client.status.memory_usage - used < 50_000
    own_client.delete(first)
    assert own_client.status.memory_usage > used - 50_000
    again = own_client.get(second)
    assert str(again) == str(value)
    if isinstance(value, (pd.DataFrame, pd.Series)):
        assert again.equals(value)
    del back, again
    own_client.delete(second)
    assert own_client.status.memory_usage == 0


def test_many_fetched_values_stored_again_take_no_memory(own_client, monkeypatch):
    refs = own_client.put_many([np.full(N, i) for i in range(3)])
    used = own_client.status.memory_usage
    back = own_client.get_many(refs)
    again = own_client.put_many([{"x": array} for array in back])
    assert own_client.status.memory_usage - used < 50_000
    own_client.delete(refs)
    assert [int(value["x"][-1]) for value in own_client.get_many(again)] == [0, 1, 2]
    del back
    own_client.delete(again[1:])

    find, array = sharing.find_stored, own_client.get(again[0])["x"]

    def find_and_delete(*args):
        found = find(*args)
        if own_client.exists(again[0]):
            own_client.delete(again[0])
        return found

    monkeypatch.setattr(sharing, "find_stored", find_and_delete)
    (copied,) = own_client.put_many([array])
    assert not own_client.get(copied).any()


def test_a_blob_written_in_place_becomes_a_part_of_values_without_a_copy(own_client):
    builder = own_client.create_blob(8 * N)
    np.frombuffer(builder, np.float64)[:] = np.arange(N)
    blob = builder.seal(own_client)
    used = own_client.status.memory_usage
    ref = own_client.put({"x": np.frombuffer(blob, np.float64)})
    assert own_client.status.memory_usage - used < 50_000
    assert own_client.get(ref)["x"][-1] == N - 1


def test_views_refer_where_they_use_at_least_half_of_a_blob(own_client):
    _, array = _stored_array(own_client)
    used = own_client.status.memory_usage
    large = own_client.put(array[N // 4 :])
    assert own_client.status.memory_usage - used < 50_000
    small = own_client.put(array[: N // 4])  # which would keep all of it
    grown = own_client.status.memory_usage - used
    assert array.nbytes // 4 <= grown < array.nbytes // 2
    both = own_client.put([array[: N // 4], array[N // 4 : N // 2]])
    assert own_client.status.memory_usage - used - grown < 50_000
    assert np.array_equal(own_client.get(large), np.arange(float(N))[N // 4 :])
    assert np.array_equal(own_client.get(small), np.arange(float(N))[: N // 4])
    assert np.array_equal(own_client.get(both)[1], np.arange(float(N))[N // 4 : N // 2])


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 copies the other columns itself")
def test_a_frame_with_one_column_more_copies_that_one(own_client):
    back = own_client.get(own_client.put(FRAME))
    used = own_client.status.memory_usage
    wider = back.assign(d=back["c0"] * 2)
    ref = own_client.put(wider)
    grown = own_client.status.memory_usage - used
    assert 8 * N <= grown < 8 * N + SLACK
    assert own_client.get(ref).equals(wider)


def test_a_value_made_of_two_stored_ones_refers_to_both(own_client):
    (a, first), (b, second) = _stored_array(own_client), _stored_array(own_client)
    used = own_client.status.memory_usage
    ref = own_client.put({"x": first, "y": second, "z": np.ones(N)})
    assert own_client.status.memory_usage - used < 8 * N + SLACK
    own_client.delete([a, b])
    back = own_client.get(ref)
    assert np.array_equal(back["x"], first)
    assert np.array_equal(back["y"], second)
    assert back["z"].all()


def test_a_name_may_be_pointed_at_a_value_made_of_its_old_one(own_client, name):
    own_client.put(np.arange(float(N)), name=name)
    for step in range(5):
        own_client.put({"data": own_client.get(name=name), "step": step}["data"], name=name)
    assert np.array_equal(own_client.get(name=name), np.arange(float(N)))
    gc.collect()
    assert own_client.status.memory_usage < 8 * N + SLACK
    own_client.drop_name(name)
    assert own_client.status.memory_usage == 0


def test_what_was_deleted_meanwhile_is_copied(own_client):
    ref, array = _stored_array(own_client)
    own_client.delete(ref)
    again = own_client.put(array)
    assert np.array_equal(own_client.get(again), array)


def test_what_is_deleted_just_before_the_put_is_copied(own_client, monkeypatch):
    ref, array = _stored_array(own_client)
    find = sharing.find_stored

    def find_and_delete(*args):
        found = find(*args)
        if own_client.exists(ref):
            own_client.delete(ref)
        return found

    monkeypatch.setattr(sharing, "find_stored", find_and_delete)
    again = own_client.put(array)
    assert np.array_equal(own_client.get(again), array)


def test_values_of_another_instance_are_copied(own_client):
    with running_instance() as other, vineyard.connect(other.socket) as elsewhere:
        _, here = _stored_array(own_client)
        elsewhere.put(np.zeros(N))  # so that ids of the first instance mean something here
        elsewhere.put(np.zeros(N))
        there = elsewhere.get(elsewhere.put(here))
        assert np.array_equal(there, here)
        assert elsewhere.status.memory_usage >= 3 * 8 * N
        del there


def test_blobs_of_another_instance_are_copied_into_what_is_composed(own_client):
    builder = own_client.create_blob(8 * N)
    np.frombuffer(builder, np.float64)[:] = 7
    blob = builder.seal(own_client)
    with running_instance() as other, vineyard.connect(other.socket) as elsewhere:
        builder = elsewhere.create_blob(8 * N)  # of the same id, maybe
        builder.seal(elsewhere)
        meta = vineyard.ObjectMeta()
        meta["typename"], meta["part_"] = "example::Part", blob
        made = elsewhere.create_metadata(meta)
        assert bytes(made["part_"]) == bytes(blob)


def test_values_got_by_another_client_of_the_volume_are_shared(own_instance, own_client):
    _, array = _stored_array(own_client)
    with vineyard.connect(own_instance.socket) as second:
        used = second.status.memory_usage
        ref = second.put(array)
        assert second.status.memory_usage - used < 50_000
        assert np.array_equal(second.get(ref), array)


def test_private_copies_are_no_part_of_the_store(own_client):
    ref, array = _stored_array(own_client)
    blob = own_client.get_blob(own_client.find_shared_memory(array))
    private = np.frombuffer(blob.private(), np.float64)
    private[0] = 5
    assert own_client.find_shared_memory(private) is None
    assert own_client.get(own_client.put(private))[0] == 5
    assert own_client.get(ref)[0] == 0


def test_a_forked_child_stores_again_what_its_parent_got(own_instance, python):
    done = python(
        """
        import os, sys
        import numpy as np, vineyard
        client = vineyard.connect(sys.argv[1])
        array = client.get(client.put(np.arange(500_000.0)))
        used = client.status.memory_usage
        pid = os.fork()
        if pid == 0:
            ref = client.put(array)
            print(client.status.memory_usage - used < 50_000, np.array_equal(client.get(ref), array))
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        own_instance.socket,
    )
    assert done.stdout.split() == ["True", "True"]


def test_extents_that_begin_with_an_empty_buffer_are_remembered_once(own_client):
    """Mapped one after the other at the same address, they are different blobs."""
    for _ in range(3):
        value = [np.empty((3, 0)), pa.py_buffer(b""), np.arange(100_000.0)]
        ref = own_client.put(value)
        assert np.array_equal(own_client.get(ref)[2], value[2])
        own_client.delete(ref)
    starts = sharing._hints._starts
    assert len(starts) == len(set(starts)) == len(sharing._hints._extents)


def test_a_child_forked_in_the_midst_of_a_change_finds_the_table_whole():
    def blob(number, address):
        return SimpleNamespace(id=number, address=address, offset=0, size=100)

    hints = sharing._Hints()
    hints.add(blob(1, 1000))
    hints.add(blob(2, 2000))
    hints._starts.insert(0, 500)  # as another thread was about to
    hints._starts.remove(2000)
    hints._lock.acquire()
    hints.begin_child()
    assert hints.find(1010, 10) == (1, 10)
    assert hints.find(2010, 10) == (2, 10)
    assert hints.find(510, 10) is None
    hints.add(blob(3, 400))  # takes the place of what was said to lie there
    assert hints.find(410, 10) == (3, 10)
