# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Many values in one call."""

import numpy as np
import pytest
import vineyard

LARGE = np.arange(100_000.0)


def test_values_come_back_in_their_order(client):
    values = [1, "two", None, np.arange(5), LARGE, {"a": [LARGE[:3]]}]
    got = client.get_many(client.put_many(values))
    assert got[:3] == values[:3]
    assert np.array_equal(got[3], values[3])
    assert np.array_equal(got[4], LARGE)
    assert np.array_equal(got[5]["a"][0], LARGE[:3])
    assert client.put_many([]) == client.get_many([]) == []


def test_some_may_have_names(client, name):
    first, second = client.put_many([1, 2], names=[name, None])
    assert client.get_name(name) == first
    assert client.get_many([second, first]) == [2, 1]
    with pytest.raises(vineyard.InvalidException, match="1 names for 2 values"):
        client.put_many([1, 2], names=["x"])


def test_a_failure_leaves_nothing_without_a_name(own_client):
    before = own_client.status.memory_usage
    with pytest.raises(vineyard.NotEnoughMemoryException):
        own_client.put_many([LARGE, bytes(1 << 30), 3])
    with pytest.raises(vineyard.TypeErrorException):
        own_client.put_many([LARGE, lambda: None])
    assert own_client.status.memory_usage == before


def test_what_was_stored_before_a_value_that_cannot_be_is_taken_back(own_client, name):
    before = own_client.status.objects
    values = [*range(200), lambda: None, *range(200)]
    names = [None] * 100 + [name] + [None] * 300
    with pytest.raises(vineyard.TypeErrorException):
        own_client.put_many(values, names)
    assert own_client.get(name=name) == 100  # what has a name stays
    assert own_client.status.objects == before + 1


class Interrupting:
    def __reduce__(self):
        raise KeyboardInterrupt


def test_an_interrupt_while_a_value_is_made_ends_the_call(own_client):
    before = own_client.status.objects
    with pytest.raises(KeyboardInterrupt):
        own_client.put_many([1, 2, Interrupting(), 3])
    assert own_client.status.objects == before


def test_one_that_is_not_there_is_told(client):
    ref = client.put(1)
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.get_many([ref, vineyard.ObjectID(99)])


def test_composed_objects_and_blobs_are_got_as_alone(client):
    blob = client.create_blob(3)
    blob.copy(0, b"abc")
    sealed = blob.seal(client)
    assert bytes(client.get_many([sealed.id])[0]) == b"abc"
    meta = vineyard.ObjectMeta()
    meta["typename"] = "mine"
    made = client.create_metadata(meta)
    assert client.get_many([made.id])[0].typename == "mine"
