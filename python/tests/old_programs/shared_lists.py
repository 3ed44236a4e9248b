# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Blocks and lists of shared memory, handed to another process by their names."""

import subprocess
import sys

import vineyard
from vineyard import shared_memory
from vineyard.shared_memory import ShareableList, SharedMemory

client = vineyard.connect()
if len(sys.argv) == 3:
    block = SharedMemory(client, name=sys.argv[1])
    assert bytes(block.buf[:5]) == b"howdy"
    items = ShareableList(client, name=sys.argv[2])
    assert list(items) == [b"a", "bb", 1234, 56.78, False]
    assert items.index("bb") == 1
    assert items.count(1234) == 1
    raise SystemExit(0)

block = SharedMemory(client, create=True, size=10)
buffer = block.buf
buffer[:4] = bytearray([104, 111, 119, 100])
buffer[4] = ord("y")
del buffer
block.freeze()
items = shared_memory.ShareableList(client, [b"a", "bb", 1234, 56.78, True])
items[4] = False
assert repr(items).startswith("ShareableList([b'a', 'bb', 1234, 56.78, False], name='")
items.freeze()
try:
    items[0] = b"b"
except vineyard.VineyardException:
    pass
else:
    raise AssertionError("a frozen list was written to")
subprocess.run([sys.executable, __file__, block.name, items.shm.name], check=True)
assert block.size >= 10
block.close()
block.unlink()
