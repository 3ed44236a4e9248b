# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Whatever lies over an array of the store is put without a copy, and stays as it was put."""

import gc
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from allocating import MARGIN, N, eventually, filled, placement, usage
from hypothesis import given
from hypothesis import strategies as st
from vineyard.codecs import encode


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
