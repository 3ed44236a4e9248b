# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects that go to the disk and come back."""

import gc

import numpy as np
import pandas as pd
import pytest
import vineyard

from conftest import running_instance


@pytest.fixture
def spilling(tmp_path):
    with (
        running_instance(size="64Mi", arguments=["--spill_path", str(tmp_path)]) as instance,
        vineyard.connect(instance.socket) as client,
    ):
        yield client


def _array(seed, mebibytes=4):
    return np.random.default_rng(seed).integers(0, 2**32, mebibytes << 18, dtype=np.uint32)


def test_four_times_the_memory_is_put_and_read(spilling, tmp_path):
    ids = [spilling.put(_array(i)) for i in range(64)]
    for i, ref in enumerate(ids):
        assert np.array_equal(spilling.get(ref), _array(i))
    status = spilling.status
    assert status.spilled_bytes > 0
    assert status.loads > 0
    assert status.memory_usage <= status.memory_limit
    assert status.disk_bytes >= status.spilled_bytes


def test_evict_and_load(spilling):
    ref = spilling.put(_array(1))
    assert not spilling.is_spilled(ref)
    spilling.evict([ref])
    assert spilling.is_spilled(ref)
    spilling.load([ref])
    assert not spilling.is_spilled(ref)
    spilling.evict(ref)
    assert np.array_equal(spilling.get(ref), _array(1))


def test_members_go_and_come_along(spilling):
    frame = pd.DataFrame({"a": _array(1), "b": np.arange(1 << 20)})
    ref = spilling.put(frame)
    spilling.evict([ref])
    assert spilling.is_spilled(ref)
    pd.testing.assert_frame_equal(spilling.get(ref), frame)
    gc.collect()
    assert not spilling.is_spilled(ref)


def test_what_is_mapped_is_in_use_and_stays(spilling):
    ref = spilling.put(_array(1))
    array = spilling.get(ref)
    assert spilling.is_in_use(ref)
    with pytest.raises(vineyard.FailedPreconditionException, match="mapped"):
        spilling.evict([ref])
    assert np.array_equal(array, _array(1))
    del array
    gc.collect()
    spilling.evict([ref])
    assert not spilling.is_in_use(ref)


def test_what_is_pinned_stays(spilling):
    ref = spilling.put(_array(1))
    spilling.evict([ref])
    spilling.load([ref], pin=True)
    with pytest.raises(vineyard.FailedPreconditionException, match="pinned"):
        spilling.evict([ref])
    spilling.unpin([ref])
    spilling.evict([ref])


def test_small_objects_are_always_in_memory(spilling):
    ref = spilling.put([1, 2, 3])
    spilling.evict([ref])
    spilling.load([ref], pin=True)
    spilling.unpin([ref])
    assert not spilling.is_spilled(ref)
    assert spilling.get(ref) == [1, 2, 3]


def test_what_is_not_there_is_said(spilling):
    missing = vineyard.ObjectID(12345)
    for call in (spilling.load, spilling.unpin, spilling.evict):
        with pytest.raises(vineyard.ObjectNotExistsException):
            call([missing])
    for call in (spilling.is_spilled, spilling.is_in_use):
        with pytest.raises(vineyard.ObjectNotExistsException):
            call(missing)
    with pytest.raises(TypeError):
        spilling.evict([None])


def test_without_a_disk_evicting_is_refused(own_client):
    ref = own_client.put(_array(1))
    own_client.load([ref], pin=True)
    own_client.unpin([ref])
    with pytest.raises(vineyard.FailedPreconditionException, match="--spill_path"):
        own_client.evict([ref])
    assert own_client.status.spilled_bytes == 0


def test_what_a_name_keeps_stays_whatever_comes(spilling):
    kept = spilling.put(_array(1), name="kept", keep=True)
    assert spilling.name_info("kept").keep
    assert spilling.status.kept_by_names == 4 << 20
    for i in range(2, 66):
        spilling.put(_array(i))
        assert not spilling.is_spilled(kept)
    assert spilling.status.evictions > 0
    with pytest.raises(vineyard.FailedPreconditionException, match="kept in memory by 1 names"):
        spilling.evict([kept])
    spilling.put_name(kept, "other")
    assert not spilling.name_info("other").keep
    spilling.drop_name("kept")
    spilling.evict([kept])
    assert spilling.status.kept_by_names == 0


def test_naming_it_with_keep_brings_it_back(spilling):
    frame = pd.DataFrame({"a": _array(1), "b": np.arange(1 << 20)})
    ref = spilling.put(frame)
    spilling.evict([ref])
    spilling.put_name(ref, "n", keep=True)
    assert not spilling.is_spilled(ref)
    spilling.put_name(ref, "n")  # each call says it anew
    spilling.evict([ref])


def test_what_can_not_be_kept_is_refused_and_the_name_stays(spilling):
    away = spilling.put(_array(1, 30), name="n")
    spilling.evict([away])
    spilling.put(_array(2, 40), name="kept", keep=True)
    with pytest.raises(vineyard.NotEnoughMemoryException, match="kept by names"):
        spilling.put_name(away, "n", keep=True, timeout=0.3)
    assert spilling.name_info("n").version == 1
    assert not spilling.name_info("n").keep


def test_only_a_name_keeps(spilling):
    with pytest.raises(vineyard.InvalidException, match="name"):
        spilling.put([1], keep=True)

    def build(client, value, **_):
        return client.put(value[0])

    ref = spilling.put([_array(1)], build, name="built", keep=True)
    assert spilling.name_info("built").keep
    with pytest.raises(vineyard.FailedPreconditionException):
        spilling.evict([ref])
