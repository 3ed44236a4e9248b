# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Composes objects of others by their metadata, copies metadata with changes, deletes."""

import json
import pickle

import numpy as np
import pandas as pd
import vineyard
from vineyard._C import Object, ObjectID, ObjectMeta

client = vineyard.connect()
arrays = [client.put(np.full((2, 3), i)) for i in range(4)]
for array in arrays:
    client.persist(array)

meta = ObjectMeta()
meta["typename"] = "vineyard::Tuple"
meta["size_"] = 4
meta.set_global(True)
meta.add_member("__elements_-0", arrays[0])
meta.add_member("__elements_-1", client.get_meta(arrays[1]))
meta.add_member("__elements_-2", client.get_object(arrays[2]))
meta["__elements_-3"] = arrays[3]
meta["__elements_-size"] = 4
made = client.create_metadata(meta)
client.persist(made)

meta = client.get_meta(made.id, True)
assert meta["__elements_-size"] == 4
assert meta.isglobal
assert meta.islocal
assert isinstance(meta.get_member("__elements_-1").meta, ObjectMeta)
assert tuple(json.loads(meta["__elements_-1"]["shape_"])) == (2, 3)
assert meta.get("nothing", "default") == "default"
assert [value[0, 0] for value in client.get(made.id)] == [0, 1, 2, 3]
assert meta.memory_usage >= 4 * 48
assert pickle.loads(pickle.dumps(meta)).id == made.id


def leaves(meta):
    """Walks a description as far down as it goes."""
    return sum(leaves(v) if isinstance(v, ObjectMeta) else 1 for _, v in meta.items())


assert leaves(meta) > leaves(client.get_meta(arrays[0])) > 3

# Where an object lies, as schedulers of tasks read it.
for key in ("instance_id", "signature", "transient"):
    assert key in meta, key
assert int(meta["instance_id"]) == meta.instance_id == client.instance_id
assert meta["signature"] == meta.signature == client.get_object(made.id).signature
assert ObjectID(meta["id"]) == made.id


def copied(ref, **changes):
    """The same value under new metadata, key by key."""
    made = vineyard.ObjectMeta()
    for key, value in client.get_meta(ref).items():
        if key in ("id", "signature", "instance_id"):
            continue
        if isinstance(value, vineyard.ObjectMeta):
            made.add_member(key, value)
        else:
            made[key] = value
    for key, value in changes.items():
        made[key] = value
    return client.create_metadata(made).id


frame = pd.DataFrame({"u": [0, 0, 1], "v": [1.5, 2.5, 3.5], "w": ["a", None, "c"]})
for value, same in (
    (np.arange(6.0).reshape(2, 3), np.array_equal),
    (np.arange(100_000), np.array_equal),
    (frame, pd.DataFrame.equals),
    ([1, "two", 3.5], lambda a, b: a == b),
    ({"a": [1, 2]}, lambda a, b: a == b),
):
    ref = client.put(value)
    again = copied(ref, partition_index_=json.dumps([1, 0]))
    assert again != ref
    assert same(client.get(again), value)
    client.delete(ref)
    assert same(client.get(again), value)
    assert json.loads(client.get_meta(again)["partition_index_"]) == [1, 0]
again = copied(made.id)
assert client.get(again)[3][0, 0] == 3
client.delete(again)
assert client.exists(arrays[0])  # still a member of the first

# Two objects with one member, a deletion that keeps it, and one that does not.
pair = ObjectMeta()
pair["typename"] = "vineyard::Pair"
member = client.put("shared")
pair.add_member("first_", member)
pair.add_member("second_", member)
pair = client.create_metadata(pair)
assert client.get(pair.id) == ("shared", "shared")
assert isinstance(client.get_object(pair.id), Object)
assert client.get(client.get_object(pair.id)["first_"].id) == "shared"
client.delete(pair.id, deep=False)
assert client.exists(member)
client.delete([member])
assert not client.exists(member)
client.delete(made.id, force=True, deep=True)
assert not any(client.exists(array) for array in arrays)

several = [ObjectMeta(global_=True), ObjectMeta()]
for meta in several:
    meta.typename = "example::Empty"
assert [meta.isglobal for meta in client.create_metadata(several)] == [True, False]
copy = client.shallow_copy(client.put(np.arange(4)), {"source": "sensor", "run": 7})
assert client.get_meta(copy)["run"] == 7
assert client.get(copy).tolist() == [0, 1, 2, 3]
