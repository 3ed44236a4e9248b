# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""vineyard.shared_memory: blocks and lists as multiprocessing.shared_memory has them."""

import math
import pickle
import struct

import numpy as np
import pytest
import vineyard
from hypothesis import given
from hypothesis import strategies as st
from vineyard.shared_memory import ShareableList, SharedMemory


@pytest.fixture(scope="module")
def shared(socket):
    """One client for many generated examples, each of which takes away what it made."""
    with vineyard.connect(socket) as client:
        yield client


SIZES = (1, 5, 1000, 300_000, 5_000_000)


@pytest.mark.parametrize("size", SIZES)
def test_a_block_is_written_frozen_and_read(own_client, size):
    block = SharedMemory(own_client, create=True, size=size)
    assert (block.size, len(block.buf), block.frozen) == (size, size, False)
    assert not block.buf.readonly
    assert not any(block.buf)
    block.buf[:] = bytes([7]) * size
    name = block.name
    assert block.freeze() is block
    assert block.frozen
    assert block.buf.readonly
    for found in (name, block.name):
        other = SharedMemory(own_client, found)
        assert other.name == name
        assert bytes(other.buf) == bytes([7]) * size
        assert other.size == size
    block.unlink()
    assert block.buf is None
    assert "unlinked" in repr(block)
    with pytest.raises(KeyError):
        SharedMemory(own_client, name)
    assert own_client.status.memory_usage == 0
    assert own_client.list_names() == {}
    assert bytes(other.buf) == bytes([7]) * size


def test_a_block_is_found_by_whatever_names_it(own_client):
    block = SharedMemory(own_client, create=True, size=3).freeze()
    ref = vineyard.ObjectID(block.name)
    for name in (block.name, ref, int(ref)):
        assert SharedMemory(own_client, name=name).name == repr(ref)


def test_an_array_lies_in_a_block(own_client):
    block = SharedMemory(own_client, create=True, size=80)
    array = np.ndarray(10, np.float64, block.buf)
    array[:] = np.arange(10)
    block.close()
    other = np.ndarray(10, np.float64, SharedMemory(own_client, block.name).buf)
    assert np.array_equal(other, np.arange(10))


def test_a_block_dropped_unfrozen_is_given_back(own_client):
    for size in SIZES:
        SharedMemory(own_client, create=True, size=size)
        block = SharedMemory(own_client, create=True, size=size)
        block.unlink()
    own_client.delete(own_client.put(1))
    assert own_client.status.memory_usage == 0


@pytest.mark.parametrize(
    "arguments",
    [{}, {"create": True}, {"create": True, "size": -1}, {"create": True, "size": 1, "name": "x"}],
    ids=str,
)
def test_blocks_that_can_not_be_meant_are_refused(own_client, arguments):
    with pytest.raises(ValueError, match=r"block"):
        SharedMemory(own_client, **arguments)


def test_a_size_for_a_block_that_exists_is_warned_about(own_client):
    block = SharedMemory(own_client, create=True, size=3).freeze()
    with pytest.warns(UserWarning, match="size"):
        SharedMemory(own_client, block.name, size=3)


def test_frozen_blocks_and_lists_can_be_pickled(own_client):
    for size in (5, 300_000):
        block = SharedMemory(own_client, create=True, size=size)
        with pytest.raises(vineyard.ObjectNotSealedException):
            pickle.dumps(block)
        block.name  # noqa: B018 - asked for before the freeze
        back = pickle.loads(pickle.dumps(block.freeze()))
        assert (back.name, bytes(back.buf)) == (block.name, bytes(size))
    items = ShareableList(own_client, [1, "two"]).freeze()
    assert list(pickle.loads(pickle.dumps(items))) == [1, "two"]


# ---- lists


def test_a_list_is_changed_frozen_and_read(own_client):
    a = ShareableList(own_client, ("a", b"bb", 1234, 56789.01234))
    a[0] = "bbbbbb"
    a.freeze()
    b = ShareableList(own_client, name=a.shm.name)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x == y
    assert list(b) == ["bbbbbb", b"bb", 1234, 56789.01234]
    assert (b.index(1234), b.count(b"bb"), b[-1]) == (2, 1, 56789.01234)
    with pytest.raises(ValueError, match="not in the list"):
        b.index(5)
    b.shm.unlink()
    with pytest.raises(ValueError, match="unlinked"):
        b[0]
    assert own_client.status.memory_usage == 0


items = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.binary(max_size=20),
)


@given(values=st.lists(items, max_size=20))
def test_any_list_comes_back(shared, values):
    made = ShareableList(shared, values).freeze()
    back = list(ShareableList(shared, name=made.shm.name))
    assert [type(v) for v in back] == [type(v) for v in values]
    for got, value in zip(back, values, strict=True):
        if isinstance(value, float):
            assert struct.pack("d", got) == struct.pack("d", value) or math.isnan(value)
        else:
            assert got == value
    made.shm.unlink()


def test_items_may_change_their_type_while_they_fit(own_client):
    made = ShareableList(own_client, ["1234567", None, 5])
    made[0], made[1], made[-1] = b"12345678", True, "5\0\0"
    assert list(made) == [b"12345678", True, "5\0\0"]
    with pytest.raises(ValueError, match="fit"):
        made[0] = "123456789"
    for wrong in ([1], 1j, np.float64(1)):
        with pytest.raises(TypeError, match="holds"):
            made[0] = wrong
    with pytest.raises(ValueError, match="64 bits"):
        made[0] = 2**63
    for position in (3, -4):
        with pytest.raises(IndexError):
            made[position]
        with pytest.raises(IndexError):
            made[position] = 1
    made.freeze()
    with pytest.raises(vineyard.ObjectSealedException):
        made[0] = 1
    assert list(made) == [b"12345678", True, "5\0\0"]


@given(
    data=st.one_of(
        st.binary(min_size=1, max_size=200),
        st.lists(st.integers(-2, 200), min_size=2, max_size=30).map(
            lambda numbers: struct.pack(f"<{len(numbers)}q", *numbers)
        ),
    ),
)
def test_a_block_that_is_no_list_is_damaged_or_read_within_its_bounds(shared, data):
    block = SharedMemory(shared, create=True, size=len(data))
    block.buf[:] = data
    block.freeze()
    try:
        list(ShareableList(shared, name=block.name))
    except vineyard.CorruptedException:
        pass
    block.unlink()


def test_items_that_reach_beyond_their_room_are_damaged(own_client):
    good = ShareableList(own_client, ["text", 5]).freeze()
    data = bytearray(good.shm.buf)
    for offset, value in ((32, 9), (40, 100), (40, -1), (32, -1), (56, 3), (0, 10**9), (8, 0)):
        changed = bytearray(data)
        struct.pack_into("<q", changed, offset, value)
        block = SharedMemory(own_client, create=True, size=len(changed))
        block.buf[:] = changed
        with pytest.raises(vineyard.CorruptedException):
            list(ShareableList(own_client, name=block.freeze().name))
