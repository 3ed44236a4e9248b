# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Streams: values handed over piece by piece."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from vineyard.io import (
    ByteStream,
    DataframeStream,
    RecordBatchStream,
    Stream,
    StreamCollection,
)

VALUES = [
    1,
    "text",
    np.arange(10),
    np.random.default_rng(0).random(100_000),
    {"a": [1.5, None]},
    pd.DataFrame({"x": [1, 2], "y": ["a", None]}),
]


def same(one, other):
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    return one == other


# ---- hand-over


def test_values_of_any_type_come_in_order_and_leave_nothing(own_client):
    before = own_client.status.memory_usage
    stream = Stream.new(own_client, {"what": "everything"}, capacity=3, name="s")

    def write():
        with stream.open_writer() as writer:
            for value in VALUES:
                writer.append(value)

    thread = threading.Thread(target=write)
    thread.start()
    found = own_client.get(name="s")
    assert type(found) is Stream
    assert found.params == {"what": "everything"}
    got = list(found)
    thread.join()
    assert [same(a, b) for a, b in zip(VALUES, got, strict=True)] == [True] * len(VALUES)
    assert stream.info.finished
    assert stream.info.queued == 0
    stream.drop()
    with pytest.raises(vineyard.ObjectNotExistsException):
        own_client.get_name("s")
    del got
    gc.collect()
    assert own_client.status.memory_usage == before


def test_what_was_read_stays_readable(own_client):
    stream = Stream.new(own_client)
    array = np.arange(200_000)
    with stream.open_writer() as writer:
        ref = writer.append(array)
        writer.append(array + 1)
    with stream.open_reader() as reader:
        first = reader.next()
        second = reader.next()
        assert not own_client.exists(ref)
        assert np.array_equal(first, array)
        assert np.array_equal(second, array + 1)
        with pytest.raises(StopIteration):
            reader.next()
        with pytest.raises(StopIteration):
            reader.next()


def test_a_stream_between_processes(python, socket):
    """A writer and two readers, each a process of its own, that know only the name."""
    program = """
    import sys, vineyard
    import numpy as np
    client = vineyard.connect()
    if sys.argv[1] == "write":
        stream = vineyard.io.Stream.new(client, name="numbers", capacity=2, readers=2)
        with stream.open_writer() as writer:
            for i in range(20):
                writer.append(np.full(100_000 if i % 2 else 10, i))
    else:
        stream = client.get(name="numbers", wait=True)
        total = [int(a[0]) for a in stream]
        assert total == list(range(20)), total
    print("done")
    """
    results = []
    threads = [
        threading.Thread(
            target=lambda role=role: results.append(
                python(program, role, VINEYARD_IPC_SOCKET=socket).stdout
            )
        )
        for role in ("read", "write", "read")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["done\n"] * 3
    with vineyard.connect(socket) as client:
        client.get(name="numbers").drop()


def test_a_value_got_before_is_referred_to(own_client):
    array = np.arange(200_000)
    got = own_client.get(own_client.put(array))
    before = own_client.status.memory_usage
    stream = Stream.new(own_client)
    with stream.open_writer() as writer:
        writer.append(got)
        assert own_client.status.memory_usage - before < array.nbytes // 2
        with stream.open_reader() as reader:
            assert np.array_equal(reader.next(), array)


def test_values_with_builders_of_their_own(own_client):
    class Point:
        def __init__(self, x):
            self.x = x

    def build(client, value, **kwargs):
        return client.put({"x": value.x})

    def resolve(obj, **kwargs):
        return obj.meta.client.get(obj.id, resolver=None)

    with vineyard.builder_context() as builders:
        builders.register(Point, build)
        stream = Stream.new(own_client)
        with stream.open_writer() as writer:
            ref = writer.append(Point(5))
            writer.append([Point(6)])
    got = list(stream)
    assert got == [{"x": 5}, [{"x": 6}]]
    assert not own_client.exists(ref)


# ---- the kinds


def test_bytes(own_client):
    stream = ByteStream.new(own_client, {"length": 3})
    chunks = [b"", b"abc", bytes(300_000), np.arange(4)[::2]]
    with stream.open_writer() as writer:
        for chunk in chunks:
            writer.append(chunk)
        view = writer.next(5)
        view[:] = b"12345"
        view = writer.next(400_000)
        view[-1] = 7
        with pytest.raises(vineyard.TypeErrorException):
            writer.append("text")
    got = list(own_client.get(stream.id))
    assert all(type(view) is memoryview and view.readonly for view in got)
    assert [bytes(view) for view in got[:4]] == [bytes(memoryview(c).tobytes()) for c in chunks]
    assert bytes(got[4]) == b"12345"
    assert (len(got[5]), got[5][-1]) == (400_000, 7)


def test_record_batches(own_client):
    batch = pa.RecordBatch.from_pydict({"a": [1, None], "b": ["x", "y"]}, metadata={"k": "v"})
    stream = RecordBatchStream.new(own_client)
    with stream.open_writer() as writer:
        writer.append(batch)
        writer.append(batch.slice(1))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as out:
            out.write_batch(batch)
            out.write_batch(batch)
        data = sink.getvalue()
        writer.next(data.size)[:] = memoryview(data).cast("B")
        with pytest.raises(vineyard.TypeErrorException):
            writer.append(pd.DataFrame())
    first, second, third = list(stream)
    assert first.equals(batch, check_metadata=True)
    assert second.equals(batch.slice(1))
    assert third.num_rows == 4


def test_all_batches_as_one_table(own_client):
    batch = pa.RecordBatch.from_pydict({"a": [1, None]})
    stream = RecordBatchStream.new(own_client, readers=2)
    empty = RecordBatchStream.new(own_client)
    with stream.open_writer() as writer, empty.open_writer():
        writer.append(batch)
        writer.append(batch)
    assert stream.open_reader().read_table().equals(pa.Table.from_batches([batch, batch]))
    with pytest.raises(ValueError, match=r"schema|batch"):
        empty.open_reader().read_table()


def test_data_frames(own_client):
    frame = pd.DataFrame(
        {"n": [1.5, None], "c": pd.Categorical(["a", "b"]), "t": ["x", None]}, index=["p", "q"]
    )
    stream = DataframeStream.new(own_client, readers=2)
    with stream.open_writer() as writer:
        writer.write(frame)
        writer.write(frame.iloc[:0])
        writer.write_table(pa.table({"n": [1]}))
        with pytest.raises(vineyard.TypeErrorException):
            writer.append(np.arange(3))
    first, none, table = list(stream)
    pd.testing.assert_frame_equal(first, frame)
    pd.testing.assert_frame_equal(none, frame.iloc[:0])
    pd.testing.assert_frame_equal(table, pd.DataFrame({"n": [1]}))
    reader = stream.open_reader()
    reader.next()
    assert reader.next().empty
    assert reader.read_table().equals(pa.table({"n": [1]}))


def test_several_streams_are_one_object(own_client):
    streams = [ByteStream.new(own_client), DataframeStream.new(own_client)]
    made = StreamCollection.new(own_client, {"source": "x"}, streams)
    found = own_client.get(made.id)
    assert type(found) is StreamCollection
    assert found.meta["source"] == "x"
    assert [(type(s), s.id) for s in found] == [(type(s), s.id) for s in streams]


def test_a_stream_can_be_sent_by_pickle(own_client):
    stream = ByteStream.new(own_client, {"a": 1})
    found = pickle.loads(pickle.dumps(stream))
    assert (type(found), found.id, found.params) == (ByteStream, stream.id, {"a": 1})
    with pytest.raises(vineyard.InvalidException, match="client"):
        found.open_reader()
    with stream.open_writer() as writer:
        writer.append(b"x")
    with found.open_reader(own_client) as reader:
        assert [bytes(chunk) for chunk in reader] == [b"x"]


# ---- ends and limits


def test_a_writer_that_fails_says_why(own_client):
    stream = Stream.new(own_client)
    with pytest.raises(ZeroDivisionError), stream.open_writer() as writer:
        writer.append(1)
        1 / 0  # noqa: B018
    reader = stream.open_reader()
    assert reader.next() == 1
    with pytest.raises(vineyard.StreamFailedException, match="ZeroDivisionError: division by zero"):
        reader.next()
    with pytest.raises(vineyard.FailedPreconditionException):
        stream.open_writer()


def test_a_writer_that_ends_makes_the_stream_fail(python, socket):
    program = """
    import os, vineyard
    client = vineyard.connect()
    stream = vineyard.io.Stream.new(client, name="cut off")
    writer = stream.open_writer()
    writer.append("one")
    os._exit(3)
    """
    done = python(program, check=False, VINEYARD_IPC_SOCKET=socket)
    assert done.returncode == 3
    with vineyard.connect(socket) as client:
        stream = client.get(name="cut off")
        with stream.open_reader() as reader:
            assert reader.next() == "one"
            with pytest.raises(
                vineyard.StreamFailedException, match="ended before it had finished"
            ):
                reader.next()
        stream.drop()


def test_a_full_stream_and_an_empty_one_say_so(own_client):
    stream = Stream.new(own_client, capacity=1)
    writer = stream.open_writer()
    writer.append(1)
    with pytest.raises(vineyard.TimeoutException, match="holds 1 chunk"):
        writer.append(2, timeout=0.01)
    reader = stream.open_reader()
    assert reader.next() == 1
    with pytest.raises(TimeoutError, match="no chunk"):
        reader.next(timeout=0.01)
    writer.append(2)
    assert reader.next() == 2
    reader.close()
    with pytest.raises(vineyard.FailedPreconditionException, match="every reader has left"):
        writer.append(3)
    with pytest.raises(vineyard.FailedPreconditionException, match="closed"):
        reader.next()


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"capacity": 5000}, {"readers": 0}, {"readers": -1}]
)
def test_limits_out_of_range_leave_nothing_behind(own_client, options):
    with pytest.raises(vineyard.InvalidException):
        Stream.new(own_client, **options)
    assert own_client.list_objects("vineyard::Stream") == []


def test_there_is_one_writer(own_client):
    stream = Stream.new(own_client)
    writer = stream.open_writer()
    with own_client.fork() as other:
        with pytest.raises(vineyard.StreamOpenedException, match="written by"):
            stream.open_writer(other)
        with pytest.raises(FileExistsError):
            stream.open_writer(other)
    writer.finish()
    writer.finish()
    with pytest.raises(vineyard.FailedPreconditionException):
        writer.append(1)


def test_a_chunk_that_can_not_be_stored_changes_nothing(own_client):
    stream = Stream.new(own_client)
    with stream.open_writer() as writer:
        with pytest.raises(vineyard.TypeErrorException):
            writer.append(threading.Lock())
        writer.append(1)
    assert list(stream) == [1]


# ---- asyncio


def test_a_stream_is_read_by_async_for(own_client):
    stream = Stream.new(own_client, capacity=2)

    async def read():
        return [value async for value in stream]

    async def write():
        with stream.open_writer() as writer:
            for i in range(10):
                await asyncio.to_thread(writer.append, i)

    async def both():
        return (await asyncio.gather(read(), write()))[0]

    assert asyncio.run(both()) == list(range(10))


def test_a_task_that_is_cancelled_loses_no_chunk(own_client):
    stream = Stream.new(own_client)
    writer = stream.open_writer()

    async def main():
        reader = stream.open_reader()
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        writer.append("first")
        writer.append("second")
        writer.finish()
        return [value async for value in reader]

    assert asyncio.run(main()) == ["first", "second"]


def test_an_async_reader_gets_the_failure(own_client):
    stream = Stream.new(own_client)
    stream.open_writer().fail("no wine")

    async def read():
        return [value async for value in stream]

    with pytest.raises(vineyard.StreamFailedException, match="no wine"):
        asyncio.run(read())


# ---- as older programs write it


def test_streams_by_id(own_client):
    meta = vineyard.ObjectMeta()
    meta["typename"] = "example::Stream"
    ref = own_client.create_metadata(meta).id
    own_client.create_stream(ref)
    own_client.open_stream(ref, "w")
    own_client.open_stream(ref, "r")
    chunk = own_client.put([1, 2])
    own_client.push_chunk(ref, chunk)
    own_client.push_chunk(ref, own_client.put("x"))
    view = own_client.new_buffer_chunk(ref, 4)
    view[:] = b"abcd"
    own_client.new_buffer_chunk(ref, 2)[:] = b"ef"
    assert own_client.next_chunk_id(ref) == chunk
    assert own_client.next_chunk(ref).typename == own_client.get_meta(own_client.put("y")).typename
    assert bytes(own_client.next_buffer_chunk(ref)) == b"abcd"
    assert own_client.get(chunk) == [1, 2], "what was stored before stays"
    with pytest.raises(vineyard.StreamOpenedException):
        own_client.open_stream(ref, "r")
    own_client._streams[ref].writer.put_blob(own_client.create_blob(0))
    assert len(own_client.next_buffer_chunk(ref)) == 0
    own_client.drop_stream(ref)
    with pytest.raises(vineyard.InvalidStreamStateException):
        own_client.next_chunk_id(ref)
    assert own_client.exists(ref)


def test_the_end_and_the_failure_of_a_stream_by_id(own_client):
    for failed, error in (
        (False, vineyard.StreamDrainedException),
        (True, vineyard.StreamFailedException),
    ):
        stream = ByteStream.new(own_client)
        own_client.open_stream(stream.id, "w")
        own_client.new_buffer_chunk(stream.id, 1)
        own_client.stop_stream(stream.id, failed)
        own_client.open_stream(stream.id, "r")
        if not failed:
            assert bytes(own_client.next_buffer_chunk(stream.id)) == b"\0"
        with pytest.raises(error):
            own_client.next_chunk_meta(stream.id)
        own_client.stop_stream(stream.id)


def test_calls_that_make_no_sense(own_client):
    ref = own_client.put(1)
    with pytest.raises(vineyard.InvalidStreamStateException):
        own_client.push_chunk(ref, ref)
    with pytest.raises(vineyard.InvalidStreamStateException):
        own_client.stop_stream(ref)
    with pytest.raises(vineyard.InvalidException, match="mode"):
        own_client.open_stream(ref, "a")
    with pytest.raises(vineyard.ObjectNotExistsException):
        own_client.open_stream(ref, "r")
    with pytest.raises(vineyard.ObjectNotExistsException):
        own_client.drop_stream(ref)
    with pytest.raises(vineyard.InvalidException):
        own_client.create_stream(ref, capacity=-1)
    own_client.create_stream(ref)
    with pytest.raises(vineyard.ObjectExistsException):
        own_client.create_stream(ref)
    own_client.drop_stream(ref)
