# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Blobs: written in place, sealed, read by anybody."""

import numpy as np
import pytest
import vineyard


def test_a_blob_is_written_in_place_and_sealed(client):
    for size in (1, 1000, 1_000_000, 5_000_000):
        builder = client.create_blob(size)
        assert len(builder) == builder.size == size
        array = np.frombuffer(builder, np.uint8)
        assert not array.any()
        np.asarray(memoryview(builder))[:] = 7
        builder[0] = 1
        builder.copy(size - 1, b"\x09")
        blob = builder.seal(client)
        assert builder.sealed
        got = client.get_blob(blob.id)
        assert bytes(got[i] for i in (0, -1)) == (b"\x09\x09" if size == 1 else b"\x01\x09")
        assert bytes(got) == bytes(blob)
        assert memoryview(got).readonly
        assert client.get(blob.id).tobytes() == bytes(blob)
        client.delete(blob.id)


def test_a_sealed_blob_can_not_be_written(client):
    builder = client.create_blob(10)
    view = memoryview(builder)
    blob = builder.seal(client)
    before = bytes(blob)
    for call in (
        lambda: builder.copy(0, b"x"),
        lambda: builder.__setitem__(0, 1),
        lambda: builder.seal(client),
        lambda: builder.abort(),
    ):
        with pytest.raises(vineyard.ObjectSealedException):
            call()
    with pytest.raises(BufferError):
        memoryview(builder)
    view[0] = 200  # a view from before stays valid, and changes nothing that is stored
    assert bytes(client.get_blob(blob.id)) == before
    client.delete(blob.id)


def test_writing_beyond_the_end_is_refused(client):
    builder = client.create_blob(10)
    for offset, data in ((11, b""), (10, b"x"), (0, b"x" * 11), (2**63, b"x")):
        with pytest.raises(IndexError):
            builder.copy(offset, data)
    for index in (10, -11):
        with pytest.raises(IndexError):
            builder[index] = 1
        with pytest.raises(IndexError):
            builder[index]
    builder.abort(client)


def test_aborted_and_dropped_blobs_give_their_memory_back(own_client):
    builder = own_client.create_blob(10_000_000)
    assert own_client.status.memory_usage >= 10_000_000
    builder.abort()
    own_client.put(1)
    assert own_client.status.memory_usage < 1_000_000
    builder = own_client.create_blob(10_000_000)
    del builder
    own_client.put(1)
    assert own_client.status.memory_usage < 1_000_000


def test_blobs_of_many_sizes_at_once(client):
    builders = client.create_blob([10, 0, 300_000])
    assert [b.size for b in builders] == [10, 0, 300_000]
    for blob in [b.seal(client) for b in builders]:
        assert client.get_blobs([blob.id])[0].size == blob.size
        client.delete(blob.id)


def test_an_empty_blob(client):
    blob = client.create_empty_blob()
    assert blob.is_empty
    assert bytes(blob) == b""


def test_slices_keep_the_whole_alive(client):
    builder = client.create_blob(500_000)
    builder.copy(100, b"hello")
    blob = builder.seal(client)
    part = blob.slice(100, 5)
    client.delete(blob.id)
    del blob, builder
    assert bytes(part) == b"hello"
    with pytest.raises(IndexError):
        part.slice(3, 3)
    with pytest.raises(IndexError):
        part.slice(2**64 - 1, 2)


@pytest.mark.parametrize("size", [-1, 2**63, 2**70])
def test_impossible_sizes_are_refused(client, size):
    with pytest.raises(ValueError, match="bytes"):
        client.create_blob(size)


def test_a_blob_larger_than_the_limit_is_refused_at_once(client):
    with pytest.raises(MemoryError, match="limit"):
        client.create_blob(2**40)


def test_unknown_blobs_are_key_errors(client):
    with pytest.raises(KeyError):
        client.get_blob(2**63 + 12345)
    with pytest.raises(KeyError):
        client.get(2**63 + 12345)
