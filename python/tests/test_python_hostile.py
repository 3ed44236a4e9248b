# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Metadata of Python's values that lies: a typed error, never another value."""

import collections
import datetime
import decimal
import fractions
import json
import pathlib
import uuid
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program_classes import (
    Colour,
    Frozen,
    Pair,
    Plain,
    Right,
    Slotted,
)
from same_value import stored
from value_strategies import floats, integers
from vineyard.codecs import decode, encode
from vineyard.errors import (
    CorruptedException,
    VineyardException,
)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "node",
    [
        {"codec": "list", "size_": 2**32, "packed_": {}},
        {"codec": "list", "size_": 5, "packed_": {}},
        {"codec": "set", "size_": 2, "items_": [1, 1]},
        {"codec": "frozenset", "size_": 2, "items_": [1, 1.0]},
        {"codec": "dict", "size_": 2, "items_": [1, 2], "keys_": {"size_": 2, "items_": [1, 1]}},
        {"codec": "set", "size_": 1, "items_": [{"codec": "list", "size_": 0, "items_": []}]},
        {"codec": "date", "value_": "2020-13-01"},
        {"codec": "date", "value_": 5},
        {"codec": "datetime", "value_": "2020-01-01T00:00:00+01:00"},
        {"codec": "datetime", "value_": "2020-01-01T00:00:00", "fold_": 2},
        {"codec": "datetime", "value_": "2020-01-01T00:00:00", "zone_": 5},
        {"codec": "time", "value_": "25:00:00"},
        {"codec": "timedelta", "value_": [10**9, 10**9, 0]},
        {"codec": "timedelta", "value_": [1]},
        {"codec": "decimal", "value_": "x"},
        {"codec": "decimal", "value_": 5},
        {"codec": "fraction", "value_": [1, 0]},
        {"codec": "fraction", "value_": [1, -1]},
        {"codec": "fraction", "value_": [1, 2.0]},
        {"codec": "fraction", "value_": [1, 2, 3]},
        {"codec": "fraction", "value_": [1, {"codec": "int", "buffer": 0}]},
        {"codec": "uuid", "hex_": "xyz"},
        {"codec": "uuid", "hex_": "0" * 32, "safe_": "x"},
        {"codec": "path", "kind_": "Popen", "value_": "x"},
        {"codec": "path", "kind_": "PosixPath", "value_": 5},
        {"codec": "slice", "value_": [1, 2]},
        {"codec": "range", "value_": [1, 2, 0]},
        {"codec": "range", "value_": [1, 2, "x"]},
        {"codec": "counter", "size_": 0, "items_": []},
        {"codec": "defaultdict", "factory_": "eval", "size_": 0, "items_": [], "keys_": {}},
        {"codec": "deque", "size_": 2, "items_": [1, 2], "maxlen_": 1},
        {"codec": "memoryview", "format_": "d", "shape_": [2], "buffer": 0},
        {"codec": "memoryview", "format_": "B", "shape_": [-1], "buffer": 0},
        {"codec": "memoryview", "format_": "O", "shape_": [6250], "buffer": 0},
        {"codec": "memoryview", "format_": 5, "shape_": [1], "buffer": 0},
        {"codec": "memoryview", "format_": "B", "shape_": [2**62, 2**62], "buffer": 0},
        {"codec": "memoryview", "format_": "B", "shape_": [1] * 65 + [50000], "buffer": 0},
        {"codec": "zone", "kind_": "offset", "microseconds_": 10**15},
        {"codec": "zone", "kind_": "offset", "microseconds_": 0, "name_": 5},
        {"codec": "zone", "kind_": "pytz.offset", "minutes_": 10**15},
        {"codec": "zone", "kind_": "pytz", "key_": "Europe/Berlin", "period_": [1]},
        {"codec": "zone", "kind_": "dateutil", "key_": "/etc/passwd"},
        {"codec": "zone", "kind_": "dateutil.x", "key_": "UTC"},
    ],
    ids=lambda n: json.dumps(n)[:60],
)
def test_metadata_that_lies_is_a_typed_error(node):
    with pytest.raises(CorruptedException):
        decode("x", json.dumps({"version": 1, **node}), [bytes(50_000)], pickle=False)


def test_a_key_that_shares_its_parts_without_end_is_refused():
    inner = {"codec": "tuple", "size_": 1, "items_": [1], "id": 0}
    for i in range(1, 60):
        ref = {"codec": "ref", "id": i - 1}
        inner = {"codec": "tuple", "size_": 2, "items_": [inner, ref], "id": i}
    node = {"codec": "set", "version": 1, "size_": 1, "items_": [inner]}
    with pytest.raises(CorruptedException, match="parts"):
        decode("x", json.dumps(node), [], pickle=False)


EXAMPLES = [
    stored(encode(value, pickle=False))
    for value in (
        [Pair(1, 2), Colour.RED, Right(3), Plain(1), Slotted(x=2), Frozen((1,))],
        [datetime.datetime(2020, 1, 1, tzinfo=BERLIN), decimal.Decimal(1), pathlib.Path("a")],
        {
            "a": collections.deque([1], 5),
            "b": collections.defaultdict(list, a=1),
            "c": memoryview(b"abcdefgh").cast("i", (2, 1)),
            "d": (slice(1, 2), range(3), fractions.Fraction(1, 2), uuid.UUID(int=1)),
        },
    )
]


def places(node, path=()):
    yield path
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    floats.filter(lambda f: f - f == 0),
    integers.filter(lambda n: n.bit_length() < 200),
    st.sampled_from(["", "x", "list", "enum", "O", "B", "utc", [], {}, [0], {"codec": "ref"}]),
)


@given(st.data())
def test_a_changed_value_is_an_error_or_a_value(data):
    typename, metadata, buffers = data.draw(st.sampled_from(EXAMPLES))
    node = json.loads(metadata)
    path = data.draw(st.sampled_from([p for p in places(node) if p]))
    parent = node
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = data.draw(WRONG)
    try:
        value = decode(typename, json.dumps(node), buffers, pickle=False)
    except (VineyardException, ImportError):
        return
    try:
        repr(value)
    except AttributeError:
        pass  # a dataclass may lack a field, as if somebody had deleted it
