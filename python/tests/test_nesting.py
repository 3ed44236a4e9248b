# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values nested deeply: kept or refused, never a crash; and what claims to be nested more deeply still."""

import collections
import dataclasses
import json
import threading

import numpy as np
import pytest
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.codecs.tree import MAX_DEPTH
from vineyard.errors import CorruptedException, LimitExceededException, TypeErrorException


@dataclasses.dataclass
class Link:
    value: int
    next: object


Pair = collections.namedtuple("Pair", "left right")

#: How to wrap a value once more, and unwrap it.
WAYS = {
    "list": (lambda v, i: [i, v], lambda v: v[1]),
    "tuple": (lambda v, i: (v,), lambda v: v[0]),
    "dict": (lambda v, i: {"a": i, "b": v}, lambda v: v["b"]),
    "mixed": (lambda v, i: [{"x": (v, None)}], lambda v: v[0]["x"][0]),
    "dataclass": (lambda v, i: Link(i, v), lambda v: v.next),
    "namedtuple": (lambda v, i: Pair(i, v), lambda v: v.right),
    "ordereddict": (
        lambda v, i: collections.OrderedDict(k=v),
        lambda v: v["k"],
    ),
    "deque": (lambda v, i: collections.deque([v], 3), lambda v: v[0]),
}


def nested(way, depth, core):
    wrap, _ = WAYS[way]
    for i in range(depth):
        core = wrap(core, i)
    return core


def same_nested(a, b, way, depth):
    """Without recursion."""
    _, unwrap = WAYS[way]
    for _ in range(depth):
        assert type(a) is type(b)
        a, b = unwrap(a), unwrap(b)
    return a, b


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("depth", [10, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 300, 10_000])
def test_any_depth_is_kept(way, depth):
    core = np.arange(3.0)
    value = nested(way, depth, core)
    typename, metadata, buffers = stored(encode(value, pickle=False))
    assert typename == encode(nested(way, 1, core))[0]
    a, b = same_nested(value, decode(typename, metadata, buffers, pickle=False), way, depth)
    assert b.tolist() == a.tolist()


def test_what_is_shared_stays_shared_at_any_depth():
    shared = ["shared"]
    value = shared
    for _ in range(500):
        value = [shared, value, shared]
    back = decode(*stored(encode(value)))
    found = set()
    for _ in range(500):
        found |= {id(back[0]), id(back[2])}
        back = back[1]
    assert found == {id(back)} and back == ["shared"]


def test_a_deep_value_goes_through_the_store(client):
    ref = client.put(nested("list", 10_000, "core"))
    a, b = same_nested(nested("list", 10_000, "core"), client.get(ref), "list", 10_000)
    assert a == b == "core"
    assert "Sequence" in repr(client.explain(ref)) and client.explain(nested("list", 1000, b"x"))
    client.delete(ref)


def test_a_wide_and_deep_value_takes_no_more_than_it_has():
    value = [nested("list", 200, i) for i in range(100)]
    metadata = encode(value)[1]
    assert len(json.dumps(metadata)) < 10_000
    assert [
        same_nested(a, b, "list", 200)[1]
        for a, b in zip(value, decode(*stored(encode(value))), strict=True)
    ] == list(range(100))


def test_deep_keys_are_refused():
    key = ()
    for _ in range(300):
        key = (key,)
    for value in ({key: 1}, {key}, frozenset([key])):
        with pytest.raises(TypeErrorException, match="deep"):
            encode(value, pickle=False)


def test_a_deep_cycle_is_refused():
    value = [None]
    first = value
    for _ in range(1000):
        value = [value]
    first[0] = value
    for pickle in (False, True):
        with pytest.raises(TypeErrorException):
            encode(value, pickle=pickle)


def at_depth(frames, call):
    """Calls with so many calls above it."""
    return call() if frames == 0 else at_depth(frames - 1, call)


@pytest.mark.parametrize(
    "value", [nested("list", 60, b"x"), nested("mixed", 500, 1.5), {"a": [(1,)]}]
)
def test_where_few_calls_are_left_it_is_a_typed_error(value):
    """At every depth of the caller: the value, or an error that says why."""
    value_parts = stored(encode(value))
    seen = set()

    def both():
        for frames in range(0, 1000, 7):
            try:
                at_depth(frames, lambda: decode(*value_parts))
                seen.add("kept")
            except LimitExceededException:
                seen.add("refused")
            except RecursionError:  # of what is not ours: at_depth, or the way to our first line
                break
            try:
                at_depth(frames, lambda: encode(value))
            except TypeErrorException as error:
                assert "deeply" in str(error)
            except RecursionError:
                break

    thread = threading.Thread(target=both)
    thread.start()
    thread.join()
    assert "kept" in seen


# ---- lies


def deep_json(depth, codec="list"):
    opening = f'{{"codec": "{codec}", "size_": 1, "items_": ['
    return opening.replace("{", '{"version": 1, ', 1) + opening * depth + "1" + "]}" * (depth + 1)


@pytest.mark.parametrize("depth", [200, 900, 100_000])
@pytest.mark.parametrize("codec", ["list", "tuple", "set"])
def test_nodes_nested_more_deeply_than_is_written_are_damage(depth, codec):
    for pickle in (False, True):
        with pytest.raises((CorruptedException, TypeErrorException), match="nested"):
            decode("vineyard::Sequence", deep_json(depth, codec), [], pickle=pickle)
        text = deep_json(depth, codec).encode()
        tree = '{"codec": "tree", "version": 1, "of_": "list", "buffer": 0}'
        with pytest.raises(CorruptedException, match="nested"):
            decode("vineyard::Sequence", tree, [text], pickle=pickle)


@pytest.mark.parametrize(
    "change",
    [
        {"parts_": None},
        {"parts_": 7},
        {"parts_": [[1]]},
        {"parts_": [{"codec": "ref", "id": 99}]},
        {"value_": []},
        {"value_": {"codec": "ref", "id": 99}},
        {"value_": {"codec": "deep", "parts_": [], "value_": {"codec": "ref", "id": -1}}},
    ],
)
def test_a_damaged_deep_value_is_a_typed_error(change):
    typename, metadata, buffers = stored(encode(nested("list", 200, b"x")))
    node = json.loads(metadata)
    assert node["codec"] == "deep"
    with pytest.raises(CorruptedException):
        decode(typename, json.dumps({**node, **change}), buffers)


def test_deep_parts_cannot_make_a_key_that_hashing_falls_over():
    """Built part by part, a tuple of tuples would be hashed by as many calls in C."""
    parts = [{"codec": "tuple", "size_": 0, "items_": [], "id": 0}]
    for i in range(1, 200_000):
        parts.append(
            {"codec": "tuple", "size_": 1, "items_": [{"codec": "ref", "id": i - 1}], "id": i}
        )
    value = {"codec": "set", "size_": 1, "items_": [{"codec": "ref", "id": len(parts) - 1}]}
    text = json.dumps({"codec": "deep", "version": 1, "parts_": parts, "value_": value})
    with pytest.raises((CorruptedException, LimitExceededException)):
        decode("vineyard::Set", text, [], pickle=False)
