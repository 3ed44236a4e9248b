# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Puts and gets against a real instance."""

import pickle
import types

import numpy as np
import pandas as pd
import pytest
import vineyard
from hypothesis import given
from hypothesis import strategies as st
from same_value import assert_same
from value_strategies import values
from vineyard import ObjectID


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        -(2**80),
        1.2345,
        "é\0\U0001f600",
        b"",
        b"bytes",
        [1, ("a", {"b": None})],
        np.arange(10),
        np.zeros((0, 3)),
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        [np.zeros(0), b"", np.zeros((3, 0))],
    ],
    ids=lambda v: ascii(v)[:30],
)
def test_small_values_come_back(client, value):
    ref = client.put(value)
    assert type(ref) is ObjectID
    assert_same(value, client.get(ref))
    assert_same(value, client.get(str(ref)))
    assert_same(value, client.get(int(ref)))
    client.delete(ref)


@given(value=values)
def test_any_value_comes_back(socket, value):
    client = _one_client(socket)
    ref = client.put(value)
    assert_same(value, client.get(ref))
    client.delete(ref)


_clients = {}


def _one_client(socket):
    if socket not in _clients:
        _clients[socket] = vineyard.connect(socket, pickle=False)
    return _clients[socket]


@given(
    size=st.one_of(
        st.integers(0, 20),
        st.sampled_from([4095, 4096, 4097, 262_143, 262_144, 262_145, 2_097_152, 2_097_153]),
    )
)
def test_bytes_of_any_size_come_back(socket, size):
    client = _one_client(socket)
    value = np.arange(size, dtype="u4").view(np.uint8)[:size].tobytes()
    ref = client.put(value)
    assert client.get(ref) == value
    client.delete(ref)


def test_large_arrays_come_back_as_views_of_the_store(client):
    array = np.arange(1_000_000.0)
    ref = client.put({"a": array, "b": array[::-1]})
    back = client.get(ref)
    assert_same({"a": array, "b": array[::-1]}, back)
    assert isinstance(back["a"].base, vineyard.Blob)
    assert back["a"].base.zero_copy
    again = client.get(ref)
    del back
    assert np.array_equal(again["a"], array)
    client.delete(ref)


def test_values_are_read_only_whatever_their_size(client):
    for n in (1, 100_000, 1_000_000):
        array = client.get(client.put(np.zeros(n)))
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match=r"WRITEABLE|writ"):
            array.flags.writeable = True


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, "a", None], object),
        np.array([[1, "a"], [None, 2]], object, order="F"),
        np.zeros(3, "i4,f8"),
        np.zeros(6, "i4,f8")[::2],
        np.zeros(24).reshape(2, 3, 4).transpose(1, 0, 2),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_no_array_can_be_made_writable(own_client, array):
    back = own_client.get(own_client.put(array))
    assert np.array_equal(back, array)
    with pytest.raises(ValueError, match="WRITEABLE"):
        back.flags.writeable = True


def test_strings_of_pandas_that_are_no_arrow_are_read_only(own_client):
    series = pd.Series(["a", None], dtype=pd.StringDtype("python"))
    back = own_client.get(own_client.put(series))
    assert_same(series, back)
    with pytest.raises(ValueError, match="read-only"):
        back.array[0] = "b"


def test_frames_come_back(client, name):
    n = 100_000
    frame = pd.DataFrame(
        {
            "a": np.arange(n),
            "b": np.arange(n) * 0.5,
            "s": [f"text {i % 7}" if i % 5 else None for i in range(n)],
            "c": pd.Categorical(["x", "y"] * (n // 2)),
            "t": pd.date_range("2020", periods=n, tz="Europe/Berlin", freq="s"),
        }
    )
    client.put(frame, name=name)
    back = client.get(name=name)
    assert_same(frame, back)
    assert frame["s"].str.upper().equals(back["s"].str.upper())
    assert back["b"].sum() == frame["b"].sum()
    client.drop_name(name)


def test_a_value_outlives_its_object_and_its_client(socket):
    client = vineyard.connect(socket)
    array = np.arange(500_000.0)
    ref = client.put(array)
    back = client.get(ref)
    client.delete(ref)
    client.close()
    del client
    assert np.array_equal(back, array)


def test_module_level_put_and_get(socket, monkeypatch, name):
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", socket)
    ref = vineyard.put([1, 2], name=name)
    assert vineyard.get(ref) == vineyard.get(name=name) == [1, 2]
    vineyard.connect().delete(ref)


def test_pickle_can_be_refused(client, socket):
    value = types.SimpleNamespace(a=1)
    with vineyard.connect(socket, pickle=False) as strict:
        with pytest.raises(TypeError, match="SimpleNamespace"):
            strict.put(value)
        ref = client.put(value)
        assert client.get(ref) == value
        with pytest.raises(vineyard.PickleRefusedException, match="SimpleNamespace"):
            strict.get(ref)
        client.delete(ref)


# ---- ids


def test_ids_are_values(client):
    ref = client.put(1)
    assert ObjectID(str(ref)) == ObjectID(int(ref)) == ObjectID(ref) == ref
    assert {ref: 1}[ObjectID(str(ref))] == 1
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert ObjectID.from_uri(ref.uri) == ref
    assert repr(ref) == str(ref) == f"o{int(ref):016x}"
    assert ref != int(ref)
    assert ref < ObjectID(2**64 - 1)
    client.delete(ref)


@pytest.mark.parametrize("text", ["", "o", "o123", "x0000000000000001", "o000000000000000g", "1"])
def test_texts_that_are_no_ids_are_refused(client, text):
    with pytest.raises(ValueError, match="object id"):
        ObjectID(text)
    with pytest.raises(ValueError, match="object id"):
        client.get(text)


@pytest.mark.parametrize("wrong", [1.5, None, [], b"o0000000000000001", True])
def test_values_that_name_no_object_are_refused(client, wrong):
    for call in (client.get_meta, client.exists, client.persist, client.get_blob):
        with pytest.raises(TypeError):
            call(wrong)


# ---- objects


def test_exists_delete_and_list(client):
    ref = client.put([1, 2, 3])
    assert client.exists(ref)
    client.persist(ref)
    assert ref in [o.id for o in client.list_objects("vineyard::Sequence", limit=None)]
    assert ref in [o.id for o in client.list_objects("^vineyard::Seq.*", regex=True, limit=None)]
    assert len(client.list_objects(limit=1)) == 1
    assert client.list_objects("no::such*") == []
    assert client.delete([ref]) == 1
    assert not client.exists(ref)
    for call in (client.get, client.get_meta, client.delete, client.persist):
        with pytest.raises(KeyError):
            call(ref)


def test_a_damaged_description_does_not_hide_the_others(own_client):
    good = own_client.put([1, 2])
    bad = own_client._core.put("example::Damaged", "[1]", [], None)
    listed = {meta.id: meta for meta in own_client.list_metadatas(limit=None)}
    assert set(listed) == {good, bad}
    assert listed[good].typename == "vineyard::Sequence"
    copied = pickle.loads(pickle.dumps(listed[good]))
    assert (copied.id, copied.typename) == (good, "vineyard::Sequence")
    with pytest.raises(AttributeError):
        _ = listed[good].no_such_attribute
    for read in (str, lambda meta: meta["x"], own_client.get_meta):
        with pytest.raises(vineyard.VineyardException, match="no JSON object"):
            read(listed[bad] if read is not own_client.get_meta else bad)


def test_deleting_one_unknown_id_deletes_nothing(client):
    ref = client.put(1)
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.delete([ref, ObjectID(12345)])
    assert client.exists(ref)
    client.delete(ref)


def test_metadata_describes_a_value(client):
    ref = client.put(np.zeros((3, 4)))
    meta = client.get_meta(ref, True)
    assert meta.typename == "vineyard::Tensor<double>"
    assert meta["shape_"] == "[3, 4]"
    assert meta.id == ref
    assert meta.nbytes == 96
    assert meta.timestamp > 0
    assert "nothing" not in meta
    with pytest.raises(KeyError):
        meta["nothing"]
    client.delete(ref)


def test_objects_are_composed_of_members_and_blobs(client):
    part = client.put([1, 2])
    builder = client.create_blob(5)
    builder.copy(0, b"hello")
    blob = builder.seal(client)
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta["size_"] = 2
    meta["list_"] = [1, "a"]
    meta.add_member("first_", part)
    meta.add_member("second_", blob)
    made = client.create_metadata(meta)
    obj = client.get(made.id)
    assert obj.typename == "test::Pair"
    assert obj.meta["size_"] == 2
    assert obj.meta["list_"] == '[1, "a"]'
    assert obj.member("first_").id == part
    assert client.get(obj.member("first_").id) == [1, 2]
    assert bytes(obj["second_"]) == b"hello"
    with pytest.raises(KeyError):
        obj.member("third_")
    with pytest.raises(vineyard.VineyardException):
        client.delete(part)  # it is a part of another
    client.delete(made.id)
    assert not client.exists(part)


def _pair(client):
    builder = client.create_blob(5)
    builder.copy(0, b"hello")
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta["first_"] = client.put(np.zeros(100))
    meta["second_"] = builder.seal(client)
    return meta


def test_a_description_has_its_keys_before_and_after_it_is_stored(client):
    meta = _pair(client)
    stored = client.create_metadata(meta)
    for m in (meta, stored):
        assert {"first_", "second_", "typename"} <= set(m)
        assert len(m) == len(list(m)) == len(m.items())
        assert "second_" in m
        assert bytes(m["second_"]) == b"hello"
    stored["first_"] = 5
    assert stored["first_"] == 5
    stored["second_"] = client.put(7)
    assert client.get(stored["second_"].id) == 7
    stored.reset_key("second_")
    assert "second_" not in stored
    client.delete(stored.id)


def test_a_description_from_the_store_makes_another_object(client):
    stored = client.create_metadata(_pair(client))
    stored["note"] = "x"
    stored["third_"] = stored["second_"].slice(1, 3)
    again = client.create_metadata(stored)
    assert again.id != stored.id
    assert again["note"] == "x"
    assert bytes(again["second_"]) == b"hello"
    assert bytes(again["third_"]) == b"ell"
    array = client.put(np.arange(5))
    copy = client.create_metadata(client.get_meta(array))
    client.delete(array)
    assert np.array_equal(client.get(copy.id), np.arange(5))
    client.delete([stored.id, again.id, copy.id])


def test_a_description_can_be_pickled(own_client):
    stored = own_client.create_metadata(_pair(own_client))
    own_client.label(stored.id, "step", "train")
    stored = own_client.get_meta(stored.id)
    back = pickle.loads(pickle.dumps(stored))
    assert (back.id, back.typename, back.nbytes) == (stored.id, stored.typename, stored.nbytes)
    assert (back.labels, back.timestamp) == ({"step": "train"}, stored.timestamp)
    assert own_client.get_meta(back).id == stored.id
    with pytest.raises(ValueError, match="client"):
        back["second_"]
    with pytest.raises(TypeError, match="Blob"):
        pickle.dumps(_pair(own_client))


def test_memory_is_counted_once(client):
    part = client.put(np.zeros(1000))
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Twice"
    meta["a"] = meta["b"] = part
    builder = client.create_blob(24)
    meta["c"] = builder.seal(client).id
    stored = client.create_metadata(meta)
    assert stored.memory_usage == 8024
    assert stored.memory_usage_details() == {"": 0, "a": 8000, "b": 8000, "c": 24}
    client.delete(stored.id)


def test_a_name_may_point_to_a_blob(client, name):
    builder = client.create_blob(np.int64(5))
    builder.copy(0, b"hello")
    client.put_name(builder.seal(client), name)
    assert bytes(client.get(name=name)) == b"hello"
    client.delete(client.get_name(name))


def test_texts_without_utf_8_are_refused(own_client):
    meta = _pair(own_client)
    meta.add_member("\ud800", own_client.put(1))
    typed = vineyard.ObjectMeta()
    typed["typename"] = "\ud800"
    for call in (
        lambda: own_client.label(meta["first_"], "k", "\ud800"),
        lambda: own_client.create_metadata(meta),
        lambda: own_client.create_metadata(typed),
        lambda: own_client.list_objects("\ud800"),
        lambda: own_client.list_names("\ud800"),
    ):
        with pytest.raises(ValueError, match="Unicode"):
            call()


def test_what_is_not_stored_is_no_part_of_a_value(client):
    with pytest.raises(TypeError, match="not stored yet"):
        client.put([vineyard.ObjectMeta()])


def test_objects_are_no_keys(client):
    ref = client.put([1])  # comes back as a list, which has no hash
    for value in ({ref: 1}, {ref}, frozenset([ref]), {("a", ref): 1}):
        with pytest.raises(TypeError, match=r"str\(id\)"):
            client.put(value)
    client.delete(ref)


def test_sequences_may_hold_objects(client):
    a, b = client.put(np.arange(3)), client.put("text")
    ref = client.put((a, client.get_meta(b), 5))
    back = client.get(ref)
    assert np.array_equal(back[0], np.arange(3))
    assert back[1:] == ("text", 5)
    client.delete(ref)
    assert not client.exists(a)


def test_labels(client):
    ref = client.put(1)
    client.label(ref, "step", "train")
    client.label(ref, {"run": "7", "step": "test"})
    assert client.labels(ref) == {"step": "test", "run": "7"}
    with pytest.raises(TypeError):
        client.label(ref, {"run": 7})
    client.delete(ref)


def test_shallow_copies_share_buffers(client):
    ref = client.put(np.arange(200_000.0))
    used = client.status.memory_usage
    copy = client.shallow_copy(ref, {"note": "x"})
    assert copy != ref
    assert client.status.memory_usage - used < 100_000
    client.delete(ref)
    assert np.array_equal(client.get(copy), np.arange(200_000.0))
    assert client.get_meta(copy)["note"] == "x"
    client.delete(copy)


def test_status(own_client):
    before = own_client.status
    assert before.memory_limit > 0
    assert before.memory_usage == 0
    assert (before.objects, before.names) == (0, 0)
    ref = own_client.put(np.zeros(1_000_000), name="x")
    during = own_client.status
    assert during.memory_usage >= 8_000_000
    assert (during.objects, during.names) == (1, 1)
    own_client.delete(ref)
    assert own_client.status.memory_usage == 0
    assert own_client.status.names == 0


def test_clear_deletes_everything(own_client):
    own_client.put(1, name="a")
    own_client.put([own_client.put(2)])
    for size in (5, 1_000_000):
        own_client.create_blob(size).seal(own_client)
    own_client.clear()
    assert own_client.status.memory_usage == 0
    assert own_client.list_names() == {}


# ---- what needs other nodes


def test_what_needs_a_cluster_says_so(client):
    for call in (
        lambda: client.migrate(ObjectID(1)),
        lambda: client.create_remote_blob(1),
        lambda: client.get_remote_blob(1),
        lambda: vineyard.connect("localhost", 9600),
        lambda: vineyard.connect("localhost:9600"),
        lambda: vineyard.connect(host="h", port=1),
        lambda: vineyard.connect(endpoint=("h", 1)),
    ):
        with pytest.raises(vineyard.NeedsClusterException, match="cluster"):
            call()
