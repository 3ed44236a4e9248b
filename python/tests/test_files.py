# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects written to files, and read again."""

import random

import numpy as np
import pandas as pd
import pytest
import vineyard
from vineyard.io import deserialize, serialize


def make(client):
    """An object with members of every kind, one of them twice."""
    frame = client.put(pd.DataFrame({"a": np.arange(100_000.0), "b": ["x", "y"] * 50_000}))
    client.label(frame, "colour", "red")
    builder = client.create_blob(5)
    builder.copy(0, b"bytes")
    meta = vineyard.ObjectMeta()
    meta["typename"] = "example::All"
    meta["number"] = 5
    meta.add_member("frame", frame)
    meta.add_member("again", frame)
    meta.add_member("list", client.put([1, "two", np.arange(3)]))
    meta.add_member("blob", builder.seal(client))
    return client.create_metadata(meta).id


def check(client, ref):
    found = client.get_object(ref)
    assert found.typename == "example::All"
    assert found.meta["number"] == 5
    frame = client.get(found.member("frame").id)
    assert frame.a.sum() == np.arange(100_000.0).sum()
    assert list(frame.b[:2]) == ["x", "y"]
    assert client.labels(found.member("frame").id) == {"colour": "red"}
    assert found.member("again").id == found.member("frame").id
    assert client.get(found.member("list").id)[:2] == [1, "two"]
    assert bytes(found.member("blob")) == b"bytes"


def test_an_object_comes_back_with_its_members(own_client, tmp_path):
    path = tmp_path / "all.vy"
    ref = make(own_client)
    serialize(path, ref, client=own_client)
    assert path.stat().st_size < 2 * own_client.get_meta(ref).memory_usage + 3_000_000
    own_client.clear()
    made = deserialize(f"file://{path}", name="all", client=own_client)
    check(own_client, made)
    assert own_client.get_name("all") == made
    own_client.drop_name("all")
    assert own_client.list_objects(include_parts=True) == []
    assert [p.name for p in tmp_path.iterdir()] == ["all.vy"]


def test_the_instance_may_be_named_by_its_socket(socket, client, tmp_path):
    ref = client.put({"x": np.arange(5)})
    serialize(str(tmp_path / "x"), ref, type="global", vineyard_ipc_socket=socket)
    made = deserialize(str(tmp_path / "x"), vineyard_ipc_socket=socket)
    assert list(client.get(made)["x"]) == list(range(5))
    client.delete([ref, made])


@pytest.mark.parametrize("length", [0, 1, 31, 32, 100, -1, -100_000])
def test_a_file_that_is_cut_off_is_refused(own_client, tmp_path, length):
    path = tmp_path / "x"
    serialize(path, make(own_client), client=own_client)
    own_client.clear()
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(vineyard.CorruptedException):
        deserialize(path, client=own_client)
    assert own_client.list_objects(include_parts=True) == []


def test_a_file_in_which_bytes_have_changed_is_refused_or_the_same(own_client, tmp_path):
    path = tmp_path / "x"
    serialize(path, make(own_client), client=own_client)
    own_client.clear()
    good = path.read_bytes()
    draw = random.Random(1)
    places = [draw.randrange(len(good)) for _ in range(20)] + [
        draw.randrange(2000) for _ in range(20)
    ]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << draw.randrange(8)
        path.write_bytes(bad)
        try:
            made = deserialize(path, client=own_client)
        except vineyard.CorruptedException:
            assert own_client.list_objects(include_parts=True) == []
            continue
        check(own_client, made)  # it lay between two buffers
        own_client.clear()


def test_what_can_not_be_written_leaves_what_was_there(own_client, tmp_path):
    path = tmp_path / "x"
    path.write_text("before")
    with pytest.raises(vineyard.ObjectNotExistsException):
        serialize(path, vineyard.ObjectID(12345), client=own_client)
    with pytest.raises(FileNotFoundError):
        serialize(tmp_path / "no" / "x", own_client.put(1), client=own_client)
    with pytest.raises(vineyard.NotImplementedException, match="s3"):
        serialize("s3://bucket/x", own_client.put(1), client=own_client)
    with pytest.raises(FileNotFoundError):
        deserialize(tmp_path / "nothing", client=own_client)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "before"
