# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects composed of others, and one deadline for calls that make many requests."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import vineyard
from vineyard import Object, ObjectID, ObjectMeta
from vineyard.calls import deadlines
from vineyard.data.dataframe import make_global_dataframe
from vineyard.data.tensor import make_global_tensor


def _meta(typename, **keys):
    meta = ObjectMeta()
    meta["typename"] = typename
    for key, value in keys.items():
        meta[key] = value
    return meta


@pytest.mark.parametrize(
    "as_member", [lambda c, r: r, lambda c, r: c.get_meta(r), lambda c, r: c.get_object(r)]
)
def test_a_pair_is_the_tuple_of_its_members_values(own_client, as_member):
    x, y = own_client.put(1.2345), own_client.put(np.arange(3))
    meta = _meta("vineyard::Pair")
    meta.add_member("first_", x)
    meta.add_member("second_", as_member(own_client, y))
    made = own_client.create_metadata(meta)
    own_client.persist(made)
    first, second = own_client.get(made.id)
    assert first == 1.2345
    assert np.array_equal(second, np.arange(3))
    assert type(own_client.get_object(made.id)) is Object
    assert own_client.get_meta(made.id)["first_"].typename == "vineyard::Scalar<double>"


def test_one_object_may_be_a_member_twice(own_client):
    x = own_client.put(7)
    meta = _meta("vineyard::Pair", first_=x, second_=x)
    meta.set_global(True)
    made = own_client.create_metadata(meta)
    assert own_client.get(made.id) == (7, 7)
    assert own_client.get_meta(made.id).isglobal
    own_client.delete(made.id)
    assert not own_client.exists(x)


@pytest.mark.parametrize("typename", ["vineyard::Sequence", "vineyard::Tuple"])
def test_sequences_are_tuples_of_their_elements_values(own_client, typename):
    for n in (0, 1, 3):
        meta = _meta(typename, size_=n)
        meta["__elements_-size"] = n
        for i in range(n):
            meta.add_member(f"__elements_-{i}", own_client.put([i]))
        made = own_client.create_metadata(meta)
        assert own_client.get(made.id) == tuple([i] for i in range(n))
        assert made["__elements_-size"] == n


def test_composed_objects_lie_in_one_another_and_in_values(own_client):
    inner = own_client.create_metadata(
        _meta("vineyard::Pair", first_=own_client.put("a"), second_=own_client.put("b"))
    )
    outer = own_client.create_metadata(
        _meta("vineyard::Pair", first_=inner, second_=own_client.put(None))
    )
    assert own_client.get(outer.id) == (("a", "b"), None)
    assert own_client.get(own_client.put({"x": [outer]})) == {"x": [(("a", "b"), None)]}


def test_a_blob_may_be_a_part(own_client):
    builder = own_client.create_blob(5)
    builder.copy(0, b"hello")
    made = own_client.create_metadata(
        _meta("vineyard::Pair", first_=builder.seal(own_client), second_=own_client.put(1))
    )
    first, second = own_client.get(made.id)
    assert (type(first), bytes(first), second) == (memoryview, b"hello", 1)


@pytest.mark.parametrize("how", ["copy", "writable"])
def test_parts_may_be_asked_for_to_be_written_to(own_client, how):
    builder = own_client.create_blob(500_000)
    array = own_client.put(np.zeros(100_000))
    meta = _meta("vineyard::Pair", first_=builder.seal(own_client), second_=array)
    made = own_client.create_metadata(meta)
    first, second = own_client.get(made.id, **{how: True})
    first[0], second[0] = 1, 1
    first, second = own_client.get(made.id)
    assert (first[0], second[0]) == (0, 0)
    assert first.readonly
    assert not second.flags.writeable


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"__elements_-size": 1},
        {"__elements_-size": -1},
        {"__elements_-size": 10**12},
        {"__elements_-size": "1"},
    ],
    ids=str,
)
def test_a_sequence_that_lies_about_its_elements_is_damaged(own_client, keys):
    made = own_client.create_metadata(_meta("vineyard::Tuple", **keys))
    with pytest.raises(vineyard.CorruptedException):
        own_client.get(made.id)


def test_a_pair_without_its_second_is_damaged(own_client):
    made = own_client.create_metadata(_meta("vineyard::Pair", first_=own_client.put(1), second_=2))
    with pytest.raises(vineyard.CorruptedException, match="second_"):
        own_client.get(made.id)


def test_pairs_nested_without_end_are_an_error_and_no_crash(own_client):
    made = own_client.put(0)
    for _ in range(1500):
        made = own_client.create_metadata(_meta("vineyard::Pair", first_=made, second_=made)).id
    with pytest.raises((vineyard.CorruptedException, RecursionError)):
        own_client.get(made)


def test_other_compositions_come_as_objects(own_client):
    made = own_client.create_metadata(_meta("example::Thing", part_=own_client.put(1)))
    assert type(own_client.get(made.id)) is Object


# ---- global tensors and data frames


def test_a_global_tensor_is_the_list_of_its_partitions(own_client):
    arrays = [np.full((2, 3), i) for i in range(3)]
    refs = [own_client.put(a, partition_index=[i, 0]) for i, a in enumerate(arrays)]
    blocks = [refs[0], own_client.get_meta(refs[1]), str(refs[2])]
    meta = make_global_tensor(own_client, blocks, {"partition_shape_": [3, 1]})
    assert meta.isglobal
    assert meta.typename == "vineyard::GlobalTensor"
    assert meta["partitions_-size"] == 3
    assert json.loads(meta["partition_shape_"]) == [3, 1]
    assert [meta[f"partitions_-{i}"].id for i in range(3)] == refs
    assert [json.loads(meta[f"partitions_-{i}"]["partition_index_"]) for i in range(3)] == [
        [i, 0] for i in range(3)
    ]
    back = own_client.get(meta.id)
    assert type(back) is list
    for got, array in zip(back, arrays, strict=True):
        assert np.array_equal(got, array)
    own_client.delete(meta.id)
    assert own_client.status.objects == 0


def test_a_global_data_frame_is_the_list_of_its_partitions(own_client):
    frames = [pd.DataFrame({"a": [i, i + 1], "b": [0.5, i]}) for i in range(2)]
    refs = [
        own_client.put(f, partition_index=(i, 0), row_batch_index=i) for i, f in enumerate(frames)
    ]
    meta = make_global_dataframe(own_client, refs)
    assert (meta.typename, meta["partitions_-size"]) == ("vineyard::GlobalDataFrame", 2)
    part = meta["partitions_-1"]
    assert part["partition_index_row_"] == 1
    assert part["partition_index_column_"] == 0
    assert part["row_batch_index_"] == 1
    for got, frame in zip(own_client.get(meta.id), frames, strict=True):
        pd.testing.assert_frame_equal(got, frame)


def test_a_tuple_of_objects_may_be_global(own_client):
    refs = [own_client.put(i) for i in range(3)]
    ref = own_client.put(tuple(refs), global_=True)
    meta = own_client.get_meta(ref)
    assert meta.isglobal
    assert meta["__elements_-size"] == 3
    assert [meta[f"__elements_-{i}"].id for i in range(3)] == refs
    assert own_client.get(ref) == (0, 1, 2)
    copy = own_client.create_metadata(meta)
    assert own_client.get(copy.id) == (0, 1, 2)
    assert not own_client.get_meta(own_client.put([1, 2])).isglobal
    assert own_client.get_meta(own_client.put([1, 2]))["__elements_-size"] == 2


def test_the_place_of_a_partition_changes_no_value(own_client):
    values = [
        np.zeros((2, 2), ">f4"),
        [1, {"a": np.arange(3)}],
        "text",
        5,
        pd.DataFrame({"a": [1]}),
    ]
    for value in values:
        plain = own_client.get(own_client.put(value))
        placed = own_client.get(own_client.put(value, partition_index=[np.int64(1), 2]))
        assert type(plain) is type(placed)
        assert str(plain) == str(placed)


def test_places_that_are_none_are_refused(own_client):
    for keywords, error in (
        ({"partition_index": 1}, TypeError),
        ({"partition_index": [0.5]}, TypeError),
        ({"row_batch_index": "1"}, TypeError),
        ({"partition": [1]}, TypeError),
    ):
        with pytest.raises(error):
            own_client.put(np.zeros(3), **keywords)
    with pytest.raises(ValueError, match="row, column"):
        own_client.put(pd.DataFrame(), partition_index=[1])
    assert own_client.status.objects == 0


# ---- descriptions


def test_lists_and_dicts_of_a_description_are_json_texts(own_client):
    made = own_client.create_metadata(_meta("example::Shape", shape_=(2, 3), options_={"a": [1]}))
    assert json.loads(made["shape_"]) == [2, 3]
    assert json.loads(made["options_"]) == {"a": [1]}
    assert made.get("nothing", 4) == 4
    assert {k for k, v in made.items() if isinstance(v, ObjectMeta)} == set()


def test_descriptions_have_what_older_programs_ask_for(own_client):
    made = own_client.create_metadata(_meta("example::Thing", part_=own_client.put(np.zeros(10))))
    made.reset_signature()
    made.force_local()
    assert made.signature == int(made.id)
    assert made.islocal
    assert json.loads(made.memory_usage_details(True)) == {"": 0, "part_": 80}
    with pytest.raises(vineyard.NeedsClusterException):
        made.add_remote_blob(None)


# ---- deadlines


class _RecordingCore:
    """A core client whose clock goes on by a second with every request."""

    def __init__(self, core, clock):
        self._core, self._clock = core, clock
        self.timeouts = []

    def __getattr__(self, name):
        found = getattr(self._core, name)
        if name not in ("get", "get_info", "get_blob", "put", "list", "delete", "create_blob"):
            return found

        def call(*args, **kwargs):
            timeout = args[{"create_blob": 1, "get_blob": 1, "put": 5}.get(name, -1)]
            self.timeouts.append(timeout)
            next(self._clock)
            return found(*args, **kwargs)

        return call


@pytest.fixture
def recorded(own_client, monkeypatch):
    """The client, and the core that notes the timeouts of its requests."""
    clock = itertools.count(1000.0)
    now = [0.0]

    class Clock:
        def __next__(self):
            now[0] = next(clock)

    def tell():
        return now[0]

    next(ticks := Clock())
    monkeypatch.setattr(deadlines, "monotonic", tell)
    monkeypatch.setattr(vineyard.client, "monotonic", tell)
    own_client._core = _RecordingCore(own_client._core, ticks)
    return own_client, own_client._core


def test_a_call_of_many_requests_has_one_deadline(recorded):
    client, core = recorded
    refs = [client.put(i) for i in range(3)]
    ref = client.put(refs)
    pair = client.create_metadata(_meta("vineyard::Pair", first_=ref, second_=refs[0])).id
    blobs = [b.seal(client).id for b in client.create_blob([1, 2, 3])]
    for call in (
        lambda: client.get(ref, timeout=30),
        lambda: client.get(pair, timeout=30),
        lambda: client.get_metas(refs, timeout=30),
        lambda: client.get_objects(refs, timeout=30),
        lambda: client.get_blobs(blobs, timeout=30),
        lambda: client.create_blob([1, 2, 3], timeout=30),
        lambda: client.create_metadata([_meta("a::B"), _meta("a::C")], timeout=30),
        lambda: client.create_metadata(_meta("a::B", x=_meta("a::C", y=_meta("a::D"))), timeout=30),
        lambda: client.shallow_copy(refs[0], timeout=30),
        lambda: client.clear(timeout=30),
    ):
        core.timeouts.clear()
        call()
        assert len(core.timeouts) > 1
        assert core.timeouts == [30 - i for i in range(len(core.timeouts))]


def test_a_deadline_that_has_passed_leaves_no_time(recorded):
    client, core = recorded
    refs = [client.put(i) for i in range(5)]
    core.timeouts.clear()
    client.get_metas(refs, timeout=2)  # what needs no waiting is still answered
    assert core.timeouts == [2, 1, 0, 0, 0]


def test_without_a_timeout_the_default_is_for_the_whole_call(recorded):
    client, core = recorded
    refs = [client.put(i) for i in range(3)]
    core.timeouts.clear()
    client.get_metas(refs)
    assert core.timeouts == [60, 59, 58]


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_what_is_no_time_is_refused_by_calls_of_many_requests(own_client, timeout):
    ref = own_client.put([own_client.put(1)])
    for call in (
        lambda: own_client.get(ref, timeout=timeout),
        lambda: own_client.get_metas([ref], timeout=timeout),
        lambda: own_client.clear(timeout=timeout),
    ):
        with pytest.raises(ValueError, match="timeout"):
            call()
    assert own_client.get_metas([ref], timeout=float("inf"))[0].id == ref
    assert isinstance(ref, ObjectID)
