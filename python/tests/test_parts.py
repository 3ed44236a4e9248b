# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values that are read part by part, also such as need more memory than there is."""

import gc
import os
import threading

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from vineyard.codecs import encode
from vineyard.codecs.parts import parts_of
from vineyard.codecs.tree import Decoder
from vineyard.io import Stream

from conftest import running_instance


@pytest.fixture
def spilling(tmp_path):
    with (
        running_instance(size="64Mi", arguments=["--spill_path", str(tmp_path)]) as instance,
        vineyard.connect(instance.socket) as client,
    ):
        yield client


def _array(seed, mebibytes=8):
    return np.random.default_rng(seed).integers(0, 2**32, mebibytes << 18, dtype=np.uint32)


def _put_large(client, parts=32, mebibytes=8, name=None):
    """A list of four times the memory; the ids of its parts."""
    refs = [client.put(_array(i, mebibytes)) for i in range(parts)]
    return client.put(refs, name=name), refs


# ---- values larger than the memory


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_four_times_the_memory_is_read_part_by_part(spilling, ahead):
    whole, _ = _put_large(spilling)
    count = 0
    for i, part in enumerate(spilling.iter_parts(whole, ahead=ahead)):
        assert np.array_equal(part, _array(i))
        assert not part.flags.writeable
        status = spilling.status
        assert status.memory_held <= status.instance_limit
        count += 1
    assert count == 32


def test_a_get_of_what_does_not_fit_says_how_to_read_it(spilling):
    whole, _ = _put_large(spilling, parts=12)
    with pytest.raises(
        vineyard.NotEnoughMemoryException, match=r"part by part: client\.iter_parts"
    ):
        spilling.get(whole, timeout=0.5)
    meta = vineyard.ObjectMeta()
    meta["typename"] = "vineyard::Tuple"
    meta["__elements_-size"] = 1
    meta.add_member("__elements_-0", whole)
    outer = spilling.create_metadata(meta).id
    with pytest.raises(vineyard.NotEnoughMemoryException) as refused:
        spilling.get(outer, timeout=0.5)
    assert str(refused.value).count("client.iter_parts") == 1


def test_parts_come_back_while_the_caller_works(spilling):
    whole, refs = _put_large(spilling, parts=6, mebibytes=4)
    spilling.evict(whole)
    parts = spilling.iter_parts(whole, ahead=2)
    first = next(parts)
    while any(spilling.is_spilled(ref) for ref in refs[:3]):
        pass  # the watchdog ends it where nobody brings them back
    assert all(spilling.is_spilled(ref) for ref in refs[3:])
    assert np.array_equal(first, _array(0, 4))
    parts.close()


def test_without_ahead_nothing_more_comes_back(spilling):
    whole, refs = _put_large(spilling, parts=4, mebibytes=4)
    spilling.evict(whole)
    parts = spilling.iter_parts(whole, ahead=0)
    next(parts)
    spilling.load(refs[3])  # what had been asked for before would have come before
    assert [spilling.is_spilled(ref) for ref in refs] == [False, True, True, False]


def test_a_loop_that_is_left_leaves_nothing(spilling):
    whole, refs = _put_large(spilling, parts=12)
    threads = set(threading.enumerate())
    for part in spilling.iter_parts(whole, ahead=2):
        assert np.array_equal(part, _array(0))
        break
    with pytest.raises(ZeroDivisionError):
        for part in spilling.iter_parts(whole, ahead=2):
            raise ZeroDivisionError(part)
    del part
    gc.collect()
    assert set(threading.enumerate()) == threads
    spilling.load(refs[1:3])  # what was asked for ahead has come when this has
    spilling.evict(refs)  # which would be refused of what is mapped or pinned
    assert not any(spilling.is_in_use(ref) for ref in refs)
    assert all(spilling.is_spilled(ref) for ref in refs)


def test_a_part_stays_for_as_long_as_the_caller_holds_it(spilling):
    whole, refs = _put_large(spilling, parts=3, mebibytes=4)
    parts = spilling.iter_parts(whole, ahead=0)
    held = next(parts)
    with pytest.raises(vineyard.FailedPreconditionException, match="mapped"):
        spilling.evict(refs[0])
    del held
    spilling.evict(refs[0])  # before the next is asked for
    assert np.array_equal(next(parts), _array(1, 4))
    with pytest.raises(vineyard.FailedPreconditionException, match="pinned"):
        spilling.load(refs[0], pin=True)
        spilling.evict(refs[0])
    assert np.array_equal(next(parts), _array(2, 4))
    assert next(parts, None) is None


@pytest.mark.parametrize(
    "value",
    [list(range(200_000)), [f"{i:040}" for i in range(20_000)] + [[]]],
    ids=["packed", "long"],
)
def test_what_says_how_a_value_is_cut_is_not_held(spilling, value):
    whole = spilling.put(value)
    spilling.evict(whole)
    parts = spilling.iter_parts(whole)
    assert next(parts) == value[0]
    gc.collect()
    spilling.evict(whole)  # refused if any of it were mapped
    assert list(parts) == value[1:]


def test_parts_that_take_nearly_all_of_the_memory_are_read_one_by_one(spilling):
    whole, _ = _put_large(spilling, parts=4, mebibytes=48)
    parts = spilling.iter_parts(whole)
    for i in range(4):
        part = next(parts)
        assert np.array_equal(part, _array(i, 48))
        del part
    assert next(parts, None) is None


def test_what_the_caller_holds_is_said_to_the_get_that_finds_no_room(spilling):
    whole, _ = _put_large(spilling, parts=12)
    held = []
    with pytest.raises(vineyard.NotEnoughMemoryException, match="mapped"):
        for part in spilling.iter_parts(whole, timeout=1):
            held.append(part)
    assert len(held) >= 4
    for i, part in enumerate(held):
        assert np.array_equal(part, _array(i))


def test_a_part_larger_than_the_memory_is_refused_with_figures(tmp_path):
    folder = ["--spill_path", str(tmp_path)]
    with (
        running_instance(size="64Mi", arguments=folder) as instance,
        vineyard.connect(instance.socket) as client,
    ):
        inner, _ = _put_large(client, parts=2, mebibytes=40)
        both = pa.chunked_array([pa.array([1]), pa.array([2])])
        whole = client.put([both, inner])
        parts = client.iter_parts(whole, timeout=1)
        assert next(parts) == both
        with pytest.raises(vineyard.NotEnoughMemoryException, match=r"MiB.*client\.iter_parts"):
            next(parts)


def test_a_part_deleted_meanwhile_raises_when_its_turn_comes(spilling):
    whole, refs = _put_large(spilling, parts=4)
    for ahead in (0, 1):
        parts = spilling.iter_parts(whole, ahead=ahead)
        assert np.array_equal(next(parts), _array(0))
        if ahead == 0:
            spilling.delete(refs[2], force=True, deep=False)
            # With a part its whole goes; those that are asked for by id alone stay.
            assert not spilling.exists(whole)
            assert np.array_equal(next(parts), _array(1))
            with pytest.raises(vineyard.ObjectNotExistsException):
                next(parts)
            assert next(parts, None) is None  # as of any generator that has raised
            whole = spilling.put([refs[0], refs[1]])
        else:
            spilling.delete(refs[1], force=True, deep=False)
            with pytest.raises(vineyard.ObjectNotExistsException):
                next(parts)


def test_a_loop_is_interrupted_and_the_client_goes_on(spilling, python):
    whole, _ = _put_large(spilling, parts=12)
    python(
        """
        import os, signal, sys, threading
        import numpy as np, vineyard
        client = vineyard.connect(sys.argv[1])
        other = vineyard.connect(sys.argv[1])
        whole = vineyard.ObjectID(sys.argv[2])
        held = []
        def interrupt():
            while other.status.waiting == 0 or len(held) < 4:
                pass
            os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            for part in client.iter_parts(whole, ahead=1, timeout=600):
                held.append(part)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("it was not interrupted")
        thread.join()
        del part
        held.clear()
        assert sum(len(part) for part in client.iter_parts(whole)) == 12 << 21
        """,
        spilling.ipc_socket,
        str(whole),
    )


def test_a_forked_child_goes_on_with_its_own_connection(spilling):
    whole, _ = _put_large(spilling, parts=12)
    parts = spilling.iter_parts(whole)
    assert np.array_equal(next(parts), _array(0))
    child = os.fork()
    if child == 0:
        right = all(np.array_equal(p, _array(i)) for i, p in enumerate(parts, 1))
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [np.array_equal(p, _array(i)) for i, p in enumerate(parts, 1)] == [True] * 11


def test_a_part_of_several_blobs_comes_together(spilling):
    pairs = [(spilling.put(_array(2 * i)), spilling.put(_array(2 * i + 1))) for i in range(8)]
    whole = spilling.put(pairs)
    for i, (a, b) in enumerate(spilling.iter_parts(whole)):
        assert np.array_equal(a, _array(2 * i))
        assert np.array_equal(b, _array(2 * i + 1))


def test_a_table_of_several_blobs_takes_the_memory_of_a_batch(spilling):
    refs = [spilling.put(_array(i)) for i in range(6)]
    chunks = [pa.array(spilling.get(ref)) for ref in refs]
    whole = spilling.put(pa.table({"a": pa.chunked_array(chunks)}))
    del chunks
    gc.collect()
    spilling.evict(whole)
    held = spilling.get(spilling.put(_array(9, 32)))
    with pytest.raises(vineyard.NotEnoughMemoryException):
        spilling.get(whole, timeout=0.5)
    for i, batch in enumerate(spilling.iter_parts(whole)):
        assert np.array_equal(batch["a"].to_numpy(), _array(i))
    assert i == 5
    assert np.array_equal(held, _array(9, 32))


# ---- every kind of value


def _cases():
    shared = [1, 2.5, "three"]
    deep = "core"
    for _ in range(500):
        deep = [deep, shared]
    table = pa.table(
        {
            "a": pa.chunked_array([[1, 2, 3], [], [4, None]]),
            "b": pa.chunked_array([["x"], ["y", "z", "", "w"]]),
        }
    )
    yield [], []
    yield (), []
    yield [shared, {"s": shared}, (shared, shared), b"x"], None
    yield list(range(1000)), None
    yield ["text"] * 5 + [None, 2**70, 1.5] * 20, None
    yield ("a", [np.arange(3).tolist()]), None
    yield (
        {"a": shared, 2: shared, (3, 4): [shared]},
        [
            ("a", shared),
            (2, shared),
            ((3, 4), [shared]),
        ],
    )
    yield {i: str(i) for i in range(100)}, [(i, str(i)) for i in range(100)]
    yield {}, []
    yield [deep, 1], None
    yield [f"{i}" * 40 for i in range(20_000)] + [shared, shared], None  # whose tree is a buffer
    yield table, [b for b in table.to_batches() if b.num_rows]
    yield table.slice(1, 3), [b for b in table.slice(1, 3).to_batches() if b.num_rows]
    yield table.schema.empty_table(), []
    yield table["b"], table["b"].chunks
    yield pa.chunked_array([], pa.int8()), []


@pytest.mark.parametrize("case", list(_cases()), ids=lambda case: type(case[0]).__name__)
def test_parts_are_what_the_value_has(client, case):
    value, expected = case
    ref = client.put(value)
    expected = list(value) if expected is None else expected
    for ahead in (0, 1, 3):
        assert list(client.iter_parts(ref, ahead=ahead)) == expected
    client.delete(ref)


def test_rows_without_columns_are_one_batch(client):
    (batch,) = client.iter_parts(client.put(pa.table({"a": [1, 2]}).select([])))
    assert (batch.num_rows, batch.num_columns) == (2, 0)


def test_an_array_in_two_items_is_read_in_each(client):
    array = _array(1, 1)
    first, second = client.iter_parts(client.put([array, [array, "x"]]))
    assert np.array_equal(first, array)
    assert np.array_equal(second[0], array)
    assert second[1] == "x"


def test_what_was_composed_is_read_by_its_members(client):
    arrays = [_array(i, 1) for i in range(4)]
    tensor = vineyard.composition.make_global_tensor(client, [client.put(a) for a in arrays])
    assert [np.array_equal(p, a) for p, a in zip(client.iter_parts(tensor), arrays, strict=True)]
    frames = [pd.DataFrame({"a": [i, i + 1], "b": ["x", None]}) for i in range(3)]
    whole = vineyard.composition.make_global_dataframe(client, [client.put(f) for f in frames])
    for part, frame in zip(client.iter_parts(whole), frames, strict=True):
        pd.testing.assert_frame_equal(part, frame)
    pair = vineyard.ObjectMeta()
    pair["typename"] = "vineyard::Pair"
    pair.add_member("first_", client.put(1))
    pair.add_member("second_", client.put("two"))
    assert list(client.iter_parts(client.create_metadata(pair))) == [1, "two"]


def test_a_stream_gives_its_chunks(client, name):
    stream = Stream.new(client, name=name)
    with stream.open_writer() as writer:
        for i in range(3):
            writer.append(_array(i, 1))
    for i, chunk in enumerate(client.iter_parts(name=name)):
        assert np.array_equal(chunk, _array(i, 1))
    assert i == 2
    stream.drop(client)


def test_a_stream_that_nobody_writes_to_times_out(client):
    stream = Stream.new(client)
    with pytest.raises(vineyard.TimeoutException):
        next(client.iter_parts(stream, timeout=0.01))
    stream.drop(client)


def test_resolvers_make_the_parts(client):
    whole = client.put([client.put(np.arange(3)), client.put(np.arange(4))])
    with vineyard.resolver_context({"vineyard::Tensor": lambda obj: obj.typename}):
        assert list(client.iter_parts(whole)) == ["vineyard::Tensor<int64>"] * 2


@pytest.mark.parametrize(
    "value",
    [np.arange(3), 5, "text", b"bytes", {1, 2}, pd.DataFrame({"a": [1]}), None],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_parts_is_refused_by_its_type(client, value):
    ref = client.put(value)
    typename = client.get_meta(ref).typename
    with pytest.raises(TypeError) as refused:
        client.iter_parts(ref)
    assert typename in str(refused.value)


def test_what_can_not_be_asked_for_is_said_at_once(client, name):
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.iter_parts(vineyard.ObjectID(12345))
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.iter_parts(name=name)
    blob = client.create_blob(8).seal(client)
    with pytest.raises(TypeError, match="vineyard::Blob"):
        client.iter_parts(blob)
    client.put_name(blob, name)
    with pytest.raises(TypeError, match="vineyard::Blob"):
        client.iter_parts(name=name)
    client.drop_name(name)
    meta = vineyard.ObjectMeta()
    meta["typename"] = "mine::Own"
    with pytest.raises(TypeError, match="mine::Own"):
        client.iter_parts(client.create_metadata(meta))
    ref = client.put([1])
    for arguments in ({}, {"object_id": ref, "name": "x"}, {"object_id": ref, "ahead": -1}):
        with pytest.raises(ValueError, match=r"iter_parts|ahead"):
            client.iter_parts(**arguments)
    with pytest.raises(TypeError):
        client.iter_parts(ref, ahead=1.5)


# ---- what lies about itself


@pytest.mark.parametrize(
    ("codec", "keys"),
    [
        ("list", '"size_":2,"items_":[1]'),
        ("list", '"size_":1,"items_":{}'),
        ("list", '"size_":1,"packed_":{"ints_":9}'),
        ("list", '"size_":1,"items_":[{"codec":"ref","id":0}]'),
        ("list", '"size_":1,"items_":[{"codec":"list","id":0,"size_":1,"items_":[{"codec":"ref","id":0}]}]'),
        ("list", '"size_":1,"items_":[{"codec":"member","key_":"none"}]'),
        ("dict", '"size_":1,"items_":[1],"keys_":{"codec":"keys","size_":0,"items_":[]}'),
        ("dict", '"size_":1,"items_":[1]'),
        ("deep", '"parts_":3,"value_":{"codec":"list","size_":0,"items_":[]}'),
        ("deep", '"parts_":[],"value_":[]'),
        ("arrow.chunked", '"type_":"l","chunks_":[{"length_":-1,"buffers_":[null,null]}]'),
        ("arrow.chunked", '"type_":"l","chunks_":[7]'),
        ("arrow.table", '"num_rows_":1,"schema_":{"fields_":[]},"columns_":[[{}]]'),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_reported(codec, keys):
    metadata = f'{{"codec":"{codec}","version":1,{keys}}}'
    with pytest.raises(vineyard.CorruptedException):
        for part in parts_of(metadata, Decoder([])):
            part.make(Decoder([]))


def test_columns_of_other_lengths_are_reported():
    _, metadata, buffers, _ = encode(pa.table({"a": [1, 2, 3], "b": [1, 2, 3]}))
    for lie in ('"length_":2', '"length_":4', '"length_":"3"'):
        with pytest.raises(vineyard.CorruptedException):
            list(parts_of(metadata.replace('"length_":3', lie, 1), Decoder(buffers)))
