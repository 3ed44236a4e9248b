# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Catches what goes wrong by the names that it has, under load from threads and processes."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import vineyard
from vineyard._C import NotEnoughMemoryException, ObjectNotExistsException, VineyardException

client = vineyard.connect()


def expect(error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except error as caught:
        assert str(caught)
        return
    raise AssertionError(f"no {error.__name__}")


gone = client.put([1, 2, 3])
client.delete(gone)
expect(ObjectNotExistsException, client.get_meta, gone)
expect(vineyard._C.ObjectNotExistsException, client.get, gone)
expect(VineyardException, client.get_object, gone)
expect(RuntimeError, client.delete, [gone], deep=True)
expect(KeyError, client.get_name, "no such name")
expect(vineyard.ObjectNotExistsException, client.get, name="no such name")
expect(NotEnoughMemoryException, client.create_blob, 1 << 40, timeout=0.1)
expect(MemoryError, client.put, np.zeros(300 << 20, "u1"), timeout=0.1)
expect(vineyard.TypeErrorException, client.put, (i for i in range(3)))
expect(NotImplementedError, vineyard.connect, "localhost", 9600)
expect(NotImplementedError, client.migrate, gone)
expect(vineyard.InvalidException, vineyard.ObjectID, "nonsense")
expect(KeyError, lambda: client.get_meta(client.put(1))["no such key"])


def job(shape):
    found = client.get_object(client.put(np.ones(shape)))
    assert found.nbytes == 8 * np.prod(shape)
    client.delete(found.id)
    both = client.put((np.ones(shape), np.zeros(shape)))
    client.delete(client.get_object(both).id)
    return True


def process_job(number):
    own = vineyard.connect().fork()
    value = own.get(own.put(np.full((3, 4), number)))
    return int(value.sum())


with ThreadPoolExecutor(8) as pool:
    assert all(pool.map(job, [(1, 2, 3), (2, 3, 4), (300, 300)] * 20))
with multiprocessing.get_context("fork").Pool(4) as processes:
    assert processes.map(process_job, range(8)) == [12 * i for i in range(8)]
client.clear()
client.memory_trim()
client.sync_meta()
assert client.allocated_size == client.status.memory_usage
