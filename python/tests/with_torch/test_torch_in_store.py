# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Tensors in a store: whose memory they have, and that writing to them harms nobody."""

import doctest
import os

import numpy as np
import pytest
import torch
from same_torch import assert_same_tensors
from vineyard.codecs import torch_values


def private_kilobytes(tensor):
    """How much memory of this process's own the pages of a tensor take."""
    address = tensor.data_ptr()
    with open("/proc/self/smaps") as file:
        inside = False
        for line in file:
            head = line.split()[0]
            if not head.endswith(":"):
                begin, end = (int(n, 16) for n in head.split("-"))
                inside = begin <= address < end
            elif inside and head == "Anonymous:":
                return int(line.split()[1])
    raise AssertionError("no mapping there")


@pytest.mark.parametrize("count", [10, 1_000_000])
def test_writing_to_a_tensor_is_seen_by_its_holder_alone(client, count):
    ref = client.put(torch.arange(float(count)))
    first, second = client.get(ref), client.get(ref)
    first[3:7] = -1
    first.mul_(2)
    torch.sort(first, out=(first, torch.empty(0, dtype=torch.int64)))
    assert first[0] == -2
    assert torch.equal(second, torch.arange(float(count)))
    assert torch.equal(client.get(ref), second)
    client.delete(ref)
    assert torch.equal(second, torch.arange(float(count)))


def test_a_large_tensor_takes_only_the_pages_that_are_written_to(client):
    tensor = torch.arange(4_000_000.0)
    ref = client.put(tensor)
    back = client.get(ref)
    assert back.sum() == tensor.sum()  # reads all of it
    assert private_kilobytes(back) == 0
    back[0] = 5
    assert 0 < private_kilobytes(back) <= 2048  # one page, which may be a huge one
    client.delete(ref)


def test_a_state_dict_of_a_model_is_mapped_once(client):
    state = torch.nn.Sequential(*(torch.nn.Linear(200, 200) for _ in range(20))).state_dict()
    ref = client.put(state, name="model")
    with open("/proc/self/maps") as file:
        before = len(file.readlines())
    back = client.get(name="model")
    assert_same_tensors(back, state)
    with open("/proc/self/maps") as file:
        assert len(file.readlines()) - before < 20
    client.drop_name("model")
    del ref


@pytest.mark.parametrize("way", ["writable", "copy"])
def test_tensors_are_given_as_memory_of_the_readers_own_when_asked(client, way):
    for tensor in (torch.arange(10), torch.arange(1_000_000)):
        ref = client.put([tensor, tensor[2:]])
        back = client.get(ref, **{way: True})
        back[0][2] = -5
        assert back[1][0] == -5
        assert_same_tensors(client.get(ref), [tensor, tensor[2:]])


def test_resizing_a_tensor_beyond_its_memory_is_refused(client):
    back = client.get(client.put(torch.rand(500_000)))
    with pytest.raises(RuntimeError, match="resize"):
        back.resize_(1_000_000)


def test_a_model_is_trained_in_place_of_what_was_got(client):
    model = torch.nn.Linear(300, 300)
    ref = client.put(model.state_dict())
    mine = torch.nn.Linear(300, 300)
    mine.load_state_dict(client.get(ref), assign=True)
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.1)
    mine(torch.rand(5, 300)).sum().backward()
    optimizer.step()  # in place, on the memory that was got
    assert not torch.equal(mine.weight, model.weight)
    assert_same_tensors(client.get(ref), model.state_dict())


def test_a_forked_child_writes_to_pages_of_its_own(client):
    back = client.get(client.put(torch.zeros(500_000)))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.set_num_threads(1)  # those of the parent are not here
            back.fill_(1)
            code = 0 if back.sum() == 500_000 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert back.sum() == 0


def test_a_tensor_outlives_client_and_instance(own_instance, own_client):
    back = own_client.get(own_client.put(torch.arange(1_000_000)))
    own_client.close()
    own_instance.stop()
    back += 1
    assert back[-1] == 1_000_000


def test_a_tensor_that_was_got_and_changed_can_be_put_again(client):
    back = client.get(client.put(torch.zeros(500_000)))
    back[0] = 1
    again = client.get(client.put(back))
    assert again[0] == 1
    assert np.shares_memory(back.numpy(), again.numpy()) is False


def test_the_examples_run():
    assert doctest.testmod(torch_values).failed == 0


def test_a_tensor_over_an_array_of_empty_is_put_without_a_copy(client):
    array = client.empty((1000, 1000))
    array[:] = 1
    tensor = torch.from_numpy(array)
    said = client.explain({"x": [tensor, tensor[:100]], "y": torch.ones(5)}).buffers
    assert [(b.of, b.codec) for b in said] == [
        ("dict > list > Tensor", "torch.tensor"),
        ("dict > Tensor", "torch.tensor"),
    ]
    assert said[0].put == "none: sealed in place"
    before = client.status.memory_usage
    ref = client.put(tensor)
    assert client.status.memory_usage < before + 100_000
    tensor += 1
    assert torch.equal(client.get(ref), torch.ones((1000, 1000), dtype=torch.float64))
    assert client.get(client.put(tensor))[0, 0] == 2
    (stored,) = client.explain(ref).buffers
    assert (stored.of, stored.codec) == ("torch.tensor", "torch.tensor")
    client.delete(ref)
