# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What tests of arrays in the store share: those of `Client.empty` and those of the allocator."""

import time

import numpy as np
from vineyard.codecs import encode

N = 200_000  # of float64: 1.6 MB
MARGIN = 100_000  # bytes: records, and no array


def filled(client, n=N):
    """0, 1, 2 … in memory of the store."""
    array = client.empty(n)
    array[:] = np.arange(float(n))
    return array


def usage(client):
    return client.status.memory_usage


def placements(client, value):
    """Of the large buffers of a value."""
    buffers = [b for b in encode(value)[2] if memoryview(b).nbytes > 100_000]
    return {one for one, _ in client._core.placements(buffers)}


def placement(client, value):
    """Of the large buffers of a value, which all have the same."""
    (placed,) = placements(client, value)
    return placed


def in_store(client, value):
    return placements(client, value) <= {"in place", "referred"}


def handler_name(array):
    core = getattr(np, "_core", None) or np.core
    return core.multiarray.get_handler_name(array)


def eventually(condition):
    """Waits until it holds: a minute at the most, which ends what hangs."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come about within a minute"
        time.sleep(0.01)
