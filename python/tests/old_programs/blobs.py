# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fills blobs: by views, slices, single bytes, buffers and addresses; reads them again."""

import numpy as np
import pyarrow as pa
import vineyard
from vineyard.data.utils import build_buffer, build_numpy_buffer

client = vineyard.connect()


def buffer_builder(client, buffer):
    if buffer is None:
        return client.create_empty_blob()
    writer = client.create_blob(len(buffer))
    writer.copy(0, buffer.address, len(buffer))
    return writer.seal(client)


# A loop of chunks through a numpy view of the blob.
chunks, size = 8, 64 * 1024
writer = client.create_blob(chunks * size)
view = np.frombuffer(memoryview(writer), dtype=np.uint8)
for i in range(chunks):
    view[i * size : (i + 1) * size] = i
del view
blob = writer.seal(client)
assert blob.size == len(blob) == chunks * size
assert not blob.is_empty
array = np.frombuffer(blob, dtype=np.uint8).reshape(chunks, size)
assert (array[:, 0] == np.arange(chunks)).all()
assert client.is_shared_memory(blob.address)
assert client.find_shared_memory(array.__array_interface__["data"][0]) == blob.id
assert memoryview(client.get_blob(blob.id)) == memoryview(blob)
assert client.get_object(blob.id).typename == "vineyard::Blob"
assert client.get_meta(blob.id)["length"] == blob.size

# Small ones, several at once.
writers = client.create_blob([16, 24])
for number, writer in enumerate(writers):
    writer[0] = number + 1
    writer.copy(1, b"abc", 6)
    writer.copy(4, np.arange(3, dtype="uint8"), concurrency=2)
sealed = [writer.seal(client) for writer in writers]
assert [bytes(found)[:7] for found in client.get_blobs([blob.id for blob in sealed])] == [
    b"\1abc\0\1\2",
    b"\2abc\0\1\2",
]
assert list(sealed[0])[:4] == [1, 97, 98, 99]

# Memory of other libraries, by its address.
source = pa.array(range(1000), type=pa.int64())
meta = vineyard.ObjectMeta()
meta["typename"] = "example::NumericArray<int64>"
meta["length_"] = len(source)
meta.add_member("null_bitmap_", buffer_builder(client, source.buffers()[0]))
meta.add_member("buffer_", buffer_builder(client, source.buffers()[1]))
obj = client.get_object(client.create_metadata(meta).id)
assert len(obj.member("null_bitmap_")) == 0
buffers = [None, pa.py_buffer(memoryview(obj.member("buffer_")))]
back = pa.Array.from_buffers(pa.int64(), int(obj.meta["length_"]), buffers)
assert back.equals(source)
numbers = np.arange(10.0)
for built in (
    build_buffer(client, numbers.ctypes.data, numbers.nbytes),
    build_numpy_buffer(client, numbers),
):
    assert np.frombuffer(built).tolist() == numbers.tolist()

# What does not fit, or is not there, is an error and leaves the blob to be given back.
writer = client.create_blob(8)
for wrong in (
    lambda: writer.copy(4, b"12345"),
    lambda: writer.copy(4, numbers.ctypes.data, 5),
    lambda: writer.copy(2**63, numbers.ctypes.data, 2**63),
    lambda: writer.__setitem__(8, 1),
):
    try:
        wrong()
    except IndexError:
        pass
    else:
        raise AssertionError("it was taken")
try:
    writer.copy(0, 4096, 8)
except ValueError as error:
    assert "memory" in str(error)
else:
    raise AssertionError("there is nothing at that address")
assert bytes(memoryview(writer)) == bytes(8)
writer.abort(client)
try:
    client.get_blob(vineyard.ObjectID())
except vineyard.VineyardException:
    pass
else:
    raise AssertionError("there is no such blob")
