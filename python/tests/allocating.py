# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What tests of the allocator share."""

import time

import numpy as np
from vineyard.codecs import encode

N = 200_000  # of float64: 1.6 MB
MARGIN = 100_000  # bytes: records, and no array


def placements(client, value):
    """Of the large buffers of a value."""
    buffers = [b for b in encode(value)[2] if memoryview(b).nbytes > 100_000]
    return {one for one, _ in client._core.placements(buffers)}


def in_store(client, value):
    return placements(client, value) <= {"in place", "referred"}


def handler_name(array):
    core = getattr(np, "_core", None) or np.core
    return core.multiarray.get_handler_name(array)


def eventually(condition):
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
