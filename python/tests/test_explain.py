# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What `vineyard.explain` says of values and of stored objects."""

import datetime
import doctest

import numpy as np
import pytest
import vineyard
from vineyard import explanation as explaining
from vineyard.explanation import GET_PICKLE, GET_SMALL, GET_VIEW, PUT_ONCE, PUT_STORED, PUT_TWICE

LARGE = 100_000


class Pickled:
    """A type without a codec."""

    def __init__(self):
        self.numbers = np.zeros(LARGE)


def test_contiguous_memory_is_copied_once_and_strided_twice():
    array = np.zeros((LARGE, 2))
    whole, column, turned = explaining.explain([array, array[:, 1], array.T]).buffers
    assert (whole.put, whole.get, whole.nbytes) == (PUT_ONCE, GET_VIEW, array.nbytes)
    assert (column.put, column.get, column.nbytes) == (PUT_TWICE, GET_VIEW, array.nbytes // 2)
    assert turned.put == PUT_ONCE
    assert whole.of == "list > ndarray"
    assert whole.codec == "tensor"


def test_what_is_small_in_all_is_copied_at_get():
    said = explaining.explain(np.zeros(10))
    assert [b.get for b in said.buffers] == [GET_SMALL]
    assert said.nbytes == 80
    assert explaining.explain(5).buffers == ()


def test_a_stored_object_is_explained_by_its_id(client):
    ref = client.put({"a": np.zeros(LARGE), "b": np.zeros(3)})
    said = explaining.explain(ref, client=client)
    assert said.typename == "vineyard::Dict"
    assert [(b.put, b.get, b.nbytes) for b in said.buffers] == [
        (PUT_STORED, GET_VIEW, LARGE * 8),
        (PUT_STORED, GET_VIEW, 24),
    ]
    assert [b.codec for b in said.buffers] == ["tensor", "tensor"]
    small = client.put(np.zeros(3))
    assert [b.get for b in explaining.explain(small, client=client).buffers] == [GET_SMALL]


def test_a_stored_pickle_is_explained_and_not_run(client):
    said = explaining.explain(client.put(Pickled()), client=client)
    assert {b.codec for b in said.buffers} <= {"pickle", ""}
    assert explaining.explain(Pickled()).buffers[-1].get == GET_PICKLE


def test_a_value_that_can_not_be_stored_says_so():
    with pytest.raises(vineyard.TypeErrorException):
        explaining.explain(Pickled(), pickle=False)


def test_an_object_that_is_not_there_says_so(client):
    with pytest.raises(vineyard.ObjectNotExistsException):
        explaining.explain(vineyard.ObjectID(77), client=client)


def test_values_without_buffers_and_composed_ones_are_explained(client):
    assert str(explaining.explain(datetime.date(2026, 1, 2))).endswith("get")
    meta = vineyard.ObjectMeta()
    meta["typename"] = "mine"
    assert explaining.explain(client.create_metadata(meta).id, client=client).buffers == ()


def test_the_text_is_a_table():
    text = str(explaining.explain([np.zeros(4)]))
    assert text.splitlines()[0] == "vineyard::Sequence: 1 buffers, 32 bytes"
    assert "tensor" in text.splitlines()[2]


def test_its_examples_are_true():
    assert doctest.testmod(explaining).failed == 0
