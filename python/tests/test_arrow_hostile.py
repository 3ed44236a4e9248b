# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow metadata and buffers that lie give a typed error, and nothing is read outside of a buffer."""

import copy
import json
import struct

import pyarrow as pa
import pytest
from arrow_strategies import arrays, has
from hypothesis import given
from hypothesis import strategies as st
from same_arrow import picture
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, UnknownLayoutException, VineyardException


def array(t, length, buffers=(), **more):
    indexes = [None if b is None else i for i, b in enumerate(buffers)]
    node = {"codec": "arrow.array", "version": 1, "type_": t, "length_": length}
    return {**node, "buffers_": indexes, **more}, [b or b"" for b in buffers]


def ints(*numbers):
    return struct.pack(f"{len(numbers)}i", *numbers)


def longs(*numbers):
    return struct.pack(f"{len(numbers)}q", *numbers)


def view(length, buffer, offset):
    return struct.pack("iiii", length, 0, buffer, offset)


LIST = {"format_": "+l", "children_": [{"name_": "item", "type_": "c"}]}
VIEW = {**LIST, "format_": "+vl"}
FIXED = {**LIST, "format_": "+w:2"}
STRUCT = {**LIST, "format_": "+s"}
SPARSE = {**LIST, "format_": "+us:5"}
DENSE = {**LIST, "format_": "+ud:5"}
WORDS = {"format_": "c", "dictionary_": "u"}
ENDS = {"name_": "run_ends", "type_": "s", "nullable_": False}
RUNS = {"format_": "+r", "children_": [ENDS, {"name_": "values", "type_": "c"}]}
PAIR = {
    "format_": "+s",
    "children_": [
        {"name_": "key", "type_": "c", "nullable_": False},
        {"name_": "value", "type_": "c"},
    ],
}
MAP = {"format_": "+m", "children_": [{"name_": "entries", "type_": PAIR, "nullable_": False}]}


def child(length, buffer=None, **more):
    return {"length_": length, "buffers_": [None, buffer], **more}


NO_PAIRS = {"length_": 0, "buffers_": [None], "children_": [child(0), child(0)]}

LIES = {
    "numbers beyond the buffer": array("g", 3, [None, bytes(16)]),
    "a length that overflows": array("g", 2**61, [None, bytes(16)]),
    "a length that is no number": array("g", "2", [None, bytes(16)]),
    "a negative length": array("g", -1, [None, bytes(16)]),
    "no buffer of values": array("g", 1, [None, None]),
    "a buffer that is not there": array("g", 1, [None], buffers_=[None, 9]),
    "a buffer before the first": array("g", 1, [None, bytes(8)], buffers_=[None, -1]),
    "a buffer that is no number": array("g", 1, [None], buffers_=[None, "0"]),
    "too few buffers": array("g", 1, [None]),
    "too many buffers": array("g", 1, [None, bytes(8), bytes(8)]),
    "a bitmap that is too short": array("c", 9, [bytes(1), bytes(9)], null_count_=1),
    "nulls without a bitmap": array("c", 1, [None, bytes(1)], null_count_=1),
    "more nulls than items": array("c", 1, [bytes(1), bytes(1)], null_count_=2),
    "a bitmap without a count": array("c", 1, [bytes(1), bytes(1)]),
    "offsets beyond the bytes": array("u", 1, [None, ints(0, 5), b"abc"]),
    "too few offsets": array("u", 2, [None, ints(0, 1), b"abc"]),
    "no offsets": array("u", 2, [None, None, b"abc"]),
    "offsets that begin below 0": array("u", 1, [None, ints(-9, 1), b"abc"]),
    "large offsets beyond the bytes": array("U", 1, [None, longs(0, 2**40), b"abc"]),
    "views beyond their buffer": array("vu", 1, [None, bytes(8)]),
    "list offsets beyond the child": array(
        LIST, 1, [None, ints(0, 4), bytes(3)], buffers_=[None, 1], children_=[child(3, 2)]
    ),
    "a list without a child": array(LIST, 1, [None, ints(0, 1)]),
    "a list with two children": array(
        LIST, 1, [None, ints(0, 1), b"a"], buffers_=[None, 1], children_=[child(1, 2)] * 2
    ),
    "a child that is no object": array(LIST, 1, [None, ints(0, 1)], children_=[7]),
    "a short child of a fixed list": array(
        FIXED, 2, [None, bytes(3)], buffers_=[None], children_=[child(3, 1)]
    ),
    "a short child of a struct": array(
        STRUCT, 4, [None, bytes(3)], buffers_=[None], children_=[child(3, 1)]
    ),
    "a short child of a union": array(
        SPARSE, 4, [bytes([5] * 4), bytes(3)], buffers_=[0], children_=[child(3, 1)]
    ),
    "run ends that end too soon": array(
        RUNS,
        9,
        [None, struct.pack("h", 4), b"a"],
        buffers_=[],
        children_=[child(1, 1), child(1, 2)],
    ),
    "run ends without values": array(
        RUNS, 1, [None, struct.pack("h", 4)], buffers_=[], children_=[child(1, 1), child(0)]
    ),
    "a dictionary that is missing": array(WORDS, 1, [None, b"\0"]),
    "codes beyond the buffer": array(
        WORDS, 9, [None, b"\0"], dictionary_={"length_": 0, "buffers_": [None] * 3}
    ),
    "a map whose entries may be null": array(
        {**MAP, "children_": [{"name_": "entries", "type_": PAIR}]},
        0,
        [None, None],
        children_=[NO_PAIRS],
    ),
    "a map of no pairs": array({**MAP, "children_": LIST["children_"]}, 0, [None, None]),
    "a list of nothing": array({"format_": "+l", "children_": []}, 0, [None, None]),
    "a list of two things": array({**LIST, "children_": LIST["children_"] * 2}, 0, [None, None]),
    "a type that is no type": array(7, 1, [None, bytes(8)]),
    "a type without a format": array({}, 1, [None, bytes(8)]),
    "a field without a name": array({**STRUCT, "children_": [{"type_": "c"}]}, 0, [None]),
    "a width that overflows": array("w:9999999999", 1, [None, bytes(8)]),
    "a wide item": array("w:2147483647", 2**40, [None, bytes(8)]),
    "a precision out of range": array("d:99,2", 1, [None, bytes(16)]),
    "a small decimal of large precision": array("d:10,2,32", 1, [None, bytes(16)]),
    "union codes that stand twice": array(
        {**SPARSE, "format_": "+us:5,5", "children_": LIST["children_"] * 2},
        0,
        [None],
        children_=[child(0)] * 2,
    ),
    "union codes out of range": array({**SPARSE, "format_": "+us:128"}, 0, [None]),
    "too few union codes": array({**SPARSE, "format_": "+us:"}, 0, [None]),
    "run ends that are no integers": array(
        {**RUNS, "children_": [{"name_": "", "type_": "g"}] * 2}, 0, [None]
    ),
    "codes that are no integers": array({"format_": "g", "dictionary_": "u"}, 0, [None]),
    "metadata that are no pairs": array(
        {**STRUCT, "children_": [{"name_": "", "type_": "c", "metadata_": [["a"]]}]}, 0, [None]
    ),
    "metadata that are no text": array(
        {**STRUCT, "children_": [{"name_": "", "type_": "c", "metadata_": [["a", 1]]}]}, 0, [None]
    ),
    "an extension without storage": array({"extension_": "arrow.uuid"}, 0, [None, None]),
    "a tensor of another shape": array(
        {
            "extension_": "arrow.fixed_shape_tensor",
            "storage_": FIXED,
            "serialized_": '{"shape":[9]}',
        },
        0,
        [None],
    ),
}
if hasattr(pa, "uuid"):  # else it is no extension type: its storage comes back
    LIES |= {
        "an extension of other storage": array(
            {"extension_": "arrow.uuid", "storage_": "c"}, 0, [None, None]
        ),
    }
#: What a library would follow outside of its buffers, and is only looked for in data of strangers.
FOLLOWED = {
    "offsets that go astray in between": array("u", 3, [None, ints(0, 99, -99, 3), b"abc"]),
    "text that is no UTF-8": array("u", 1, [None, ints(0, 1), b"\xff"]),
    "views of a buffer that is not there": array("vz", 1, [None, view(20, 0, 0)]),
    "views beyond their data": array("vz", 1, [None, view(20, 0, 1), bytes(20)]),
    "views before their data": array("vz", 1, [None, view(20, 0, -1), bytes(20)]),
    "views of negative length": array("vz", 1, [None, view(-1, 0, 0), bytes(20)]),
    "list offsets that go astray in between": array(
        LIST, 3, [None, ints(0, 99, -99, 3), bytes(3)], buffers_=[None, 1], children_=[child(3, 2)]
    ),
    "map offsets that go astray in between": array(
        MAP,
        3,
        [None, ints(0, 99, -99, 0), bytes(3)],
        buffers_=[None, 1],
        children_=[NO_PAIRS],
    ),
    "list views beyond the child": array(
        VIEW, 1, [None, ints(1), ints(3), bytes(3)], buffers_=[None, 1, 2], children_=[child(3, 3)]
    ),
    "list views of negative size": array(
        VIEW, 1, [None, ints(1), ints(-1), bytes(3)], buffers_=[None, 1, 2], children_=[child(3, 3)]
    ),
    "codes beyond the dictionary": array(
        WORDS, 2, [None, b"\0\7"], dictionary_={"length_": 0, "buffers_": [None] * 3}
    ),
    "negative codes": array(
        WORDS, 1, [None, b"\xff"], dictionary_={"length_": 0, "buffers_": [None] * 3}
    ),
    "unknown union codes": array(
        SPARSE, 1, [b"\6", bytes(3)], buffers_=[0], children_=[child(3, 1)]
    ),
    "union offsets beyond the child": array(
        DENSE, 1, [b"\5", ints(3), bytes(3)], buffers_=[0, 1], children_=[child(3, 2)]
    ),
    "run ends that fall": array(
        RUNS,
        4,
        [None, struct.pack("3h", 3, 2, 4), b"abc"],
        buffers_=[],
        children_=[child(3, 1), child(3, 2)],
    ),
}


@pytest.mark.parametrize("lie", [*LIES, *FOLLOWED])
def test_an_array_that_lies_is_a_typed_error(lie):
    node, buffers = {**LIES, **FOLLOWED}[lie]
    with pytest.raises(VineyardException) as caught:
        decode("", json.dumps(node), buffers, pickle=False)
    assert isinstance(caught.value, (CorruptedException, UnknownLayoutException))
    if lie in LIES:
        with pytest.raises(VineyardException):
            decode("", json.dumps(node), buffers, pickle=True)


@pytest.mark.skipif(not has("string_view"), reason="this pyarrow has no views")
def test_views_of_nulls_that_lead_outside_are_emptied_and_no_others():
    good = view(20, 0, 0)
    for astray in (view(20, 0, 1), view(20, 1, 0), view(20, 0, -1), view(-1, 0, 0)):
        node, buffers = array(
            "vz", 3, [b"\5", good + astray + good, bytes(20)], null_count_=1, buffers_=[0, 1, 2]
        )
        back = decode("", json.dumps(node), buffers, pickle=False)
        assert back.to_pylist() == [bytes(20), None, bytes(20)]
        assert back.buffers()[1].to_pybytes() == good + bytes(16) + good


def _table(**changes):
    schema = {"fields_": [{"name_": "a", "type_": "c"}]}
    node = {"codec": "arrow.table", "version": 1, "schema_": schema, "num_rows_": 1}
    return {**node, "columns_": [[child(1, 0)]], **changes}


@pytest.mark.parametrize(
    "node",
    [
        _table(num_rows_=2),
        _table(num_rows_=-1),
        _table(num_rows_=None),
        _table(columns_=[]),
        _table(columns_=[[], []]),
        _table(columns_=[child(1, 0)]),
        _table(columns_=None),
        _table(schema_=None),
        _table(schema_={}),
        _table(schema_={"fields_": [7]}),
        _table(schema_={"fields_": [], "metadata_": 7}),
        _table(codec="arrow.batch"),
        _table(codec="arrow.batch", columns_=[child(1, 0)], num_rows_=3),
        {"codec": "arrow.scalar", "version": 1, "type_": "c", **child(2, 0)},
        {"codec": "arrow.scalar", "version": 1, "type_": "c", **child(0)},
        {"codec": "arrow.chunked", "version": 1, "type_": "c", "chunks_": {}},
        {"codec": "arrow.buffer", "version": 1, "buffer": 7},
        {"codec": "arrow.metadata", "version": 1, "metadata_": ["ab"]},
        {
            "codec": "arrow.field",
            "version": 1,
            "field_": {"name_": "a", "type_": "c", "nullable_": 1},
        },
        {"codec": "arrow.type", "version": 1, "type_": ["c"]},
    ],
    ids=lambda n: json.dumps(n)[:70],
)
def test_tables_and_others_that_lie_are_a_typed_error(node):
    for pickle in (True, False):
        with pytest.raises(CorruptedException):
            decode("", json.dumps(node), [bytes(8)], pickle=pickle)


def test_types_of_the_future_say_that_a_newer_release_may_know_them():
    for t in ("q", "tsx:", {"format_": "+q", "children_": []}):
        with pytest.raises(UnknownLayoutException, match="newer"):
            decode("", json.dumps({"codec": "arrow.type", "version": 1, "type_": t}), [])


def test_deep_nesting_is_a_typed_error():
    head = '{"format_":"+l","children_":[{"name_":"","type_":'
    text = head * 50_000 + '"c"' + "}]}" * 50_000
    with pytest.raises(CorruptedException):
        decode("", f'{{"codec":"arrow.type","version":1,"type_":{text}}}', [])


def test_many_rows_of_nothing_cost_nothing():
    node, buffers = array("n", 2**61, [], null_count_=2**61)
    assert len(decode("", json.dumps(node), buffers, pickle=False)) == 2**61
    node = _table(schema_={"fields_": []}, columns_=[], num_rows_=2**61)
    assert decode("", json.dumps(node), [], pickle=False).num_rows == 2**61


@given(arrays(max_size=6), st.data())
def test_no_change_of_a_stored_array_reads_outside_of_it(value, data):
    _, metadata, buffers = stored(encode(value, pickle=False))
    node = json.loads(metadata)
    changed = copy.deepcopy(node)
    number = 0
    if data.draw(st.booleans()):
        number = _change_a_number(data, changed)
    elif buffers:
        which = data.draw(st.integers(0, len(buffers) - 1))
        some = data.draw(st.binary(max_size=12))
        at = data.draw(st.integers(0, len(buffers[which])))
        buffers[which] = buffers[which][:at] + some + buffers[which][at + len(some) :]
    try:
        back = decode("", json.dumps(changed), buffers, pickle=False)
    except VineyardException:
        return
    back.validate()
    if number is None or number < 1000:
        _walk(back)


def _walk(array):
    """Follows all that an array says."""
    try:
        picture(array)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        pass  # pyarrow found it by itself


def _change_a_number(data, node):
    numbers = []

    def find(part):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if type(value) is int:
                numbers.append((part, key))
            elif isinstance(value, (dict, list)):
                find(value)

    find(node)
    part, key = data.draw(st.sampled_from(numbers))
    part[key] = data.draw(st.sampled_from([-1, 0, 1, 2, 7, 8, 9, 2**31, 2**62, None]))
    return part[key]
