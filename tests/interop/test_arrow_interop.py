# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow values cross between Python and C++, both ways, through a real store.

What the C data interface itself does not carry is not asked for: `through_c` makes of a value what
pyarrow makes of it by exporting and importing it.
"""

from itertools import accumulate

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from arrow_strategies import arrays, batches, chunked_arrays, schemas, tables
from bridge import BridgeError
from hypothesis import assume, given
from same_arrow import assert_same_arrow, picture
from test_arrow import ARRAYS
from vineyard import ObjectID


def through_c(value):
    """The value as the C data interface carries it."""
    if isinstance(value, pa.Schema):
        return pa.Schema._import_from_c_capsule(value.__arrow_c_schema__())
    if isinstance(value, pa.Array):
        return pa.Array._import_from_c_capsule(*value.__arrow_c_array__())
    t = pa.DataType._import_from_c_capsule(value.type.__arrow_c_schema__())
    chunks = [through_c(chunk) for chunk in value.chunks]
    return pa.chunked_array(chunks, t)


def assert_crossed(expected, got):
    """Fails unless two values say the same to the C data interface."""
    assert_same_arrow(through_c(expected), through_c(got))


def assert_same_columns(expected, got):
    """Fails unless two tables hold the same, however they are cut into chunks."""
    assert_crossed(expected.schema, got.schema)
    assert expected.shape == got.shape
    got.validate(full=False)
    for a, b in zip(expected.columns, got.columns, strict=True):
        ends = {*_ends(a), *_ends(b)} | {0}
        for start, end in zip(sorted(ends), sorted(ends)[1:], strict=False):
            (x,) = _chunks(a.slice(start, end - start))
            (y,) = _chunks(b.slice(start, end - start))
            assert picture(through_c(x)) == picture(y)


def _ends(column):
    return accumulate(len(chunk) for chunk in column.chunks)


def _chunks(column):
    return [chunk for chunk in column.chunks if len(chunk)]


def _has_nul(schema):
    return any("\0" in str(part) for part in _names(schema))


def _names(fields):
    for field in fields:
        yield field.name
        t = field.type
        while isinstance(t, (pa.BaseExtensionType, pa.DictionaryType)):
            t = t.storage_type if isinstance(t, pa.BaseExtensionType) else t.value_type
        yield from _names(t.field(i) for i in range(t.num_fields) if hasattr(t, "field"))


def _assume_carried(value):
    """C strings end at a NUL: names with one are refused (see below). pyarrow does not import some types."""
    schema = value if isinstance(value, pa.Schema) else pa.schema([pa.field("", value.type)])
    assume(not _has_nul(schema))
    try:
        through_c(schema)
    except pa.ArrowInvalid as error:
        assert "nested run-end encoded" in str(error)
        assume(False)


def _crosses(client, bridge, value):
    """Python to C++ to Python, and C++ to Python."""
    kind = "array" if isinstance(value, pa.Array) else "chunked"
    id = client.put(value)
    for trusted in (False, True):
        assert_crossed(value, bridge.get(kind, id, trusted))
    made = bridge.put(value)
    assert_crossed(value, client.get(made))
    assert_crossed(value, bridge.get(kind, made))
    assert_crossed(value, client.get(bridge.put_again(kind, id)))
    return id, made


@pytest.mark.parametrize("name", ARRAYS)
def test_every_type_crosses_whole_and_cut(client, bridge, name):
    array = ARRAYS[name]
    for part in (array, array[3:20], array[8:], array[:0], pa.concat_arrays([array, array])[37:44]):
        id, made = _crosses(client, bridge, part)
        sizes = [client.get_meta(i).nbytes for i in (id, made)]
        assert sizes[1] <= sizes[0] + 64  # of a slice, its own bytes


@given(arrays())
def test_any_array_crosses(client, bridge, array):
    _assume_carried(array)
    _crosses(client, bridge, array)


@given(chunked_arrays())
def test_any_chunked_array_crosses_with_its_chunks(client, bridge, array):
    _assume_carried(array)
    _crosses(client, bridge, array)


@given(schemas)
def test_any_schema_crosses(client, bridge, schema):
    _assume_carried(schema)
    id = client.put(schema)
    assert_crossed(schema, bridge.get("schema", id))
    assert_crossed(schema, client.get(bridge.put(schema)))
    assert_crossed(schema, client.get(bridge.put_again("schema", id)))


@given(batches())
def test_any_record_batch_crosses(client, bridge, batch):
    _assume_carried(batch.schema)
    table = pa.Table.from_batches([batch])
    id = client.put(batch)
    assert_same_columns(table, bridge.get("table", id))
    assert_same_columns(table, client.get(bridge.put(batch)))
    assert_same_columns(table, client.get(bridge.put_again("table", id)))


@given(tables())
def test_any_table_crosses(client, bridge, table):
    _assume_carried(table.schema)
    id = client.put(table)
    for trusted in (False, True):
        assert_same_columns(table, bridge.get("table", id, trusted))
    if table.num_columns:  # of none, pyarrow makes a stream that is empty
        assert_same_columns(table, client.get(bridge.put(table)))
    again = client.get(bridge.put_again("table", id))
    assert_same_columns(table, again)
    for a, b in zip(table.columns, again.columns, strict=True):
        assert [len(c) for c in a.chunks] == [len(c) for c in b.chunks]


def test_names_that_c_strings_would_cut_are_refused(client, bridge):
    for value, kind in (
        (pa.schema([("a\0b", "i4")]), "schema"),
        (pa.table({"a\0b": [1]}), "table"),
        (pa.array([{"a\0b": 1}]), "array"),
    ):
        with pytest.raises(BridgeError, match="NUL"):
            bridge.get(kind, client.put(value))


def test_large_columns_are_neither_copied_when_got_nor_when_put_again(client, bridge):
    table = pa.table({"x": np.arange(200_000.0), "s": [f"text {i}" for i in range(200_000)]})
    id = client.put(table)
    used = client.status.memory_usage
    again = bridge.put_again("table", id)
    assert client.status.memory_usage - used < 100_000
    client.delete(id)
    assert client.get(again) == table
    client.delete(again)


def test_what_was_got_outlives_object_and_client(client, interop_socket):
    from bridge import Bridge

    array = pa.array(np.arange(100_000))
    id = client.put(array)
    with Bridge(interop_socket) as other:
        got = other.get("array", id)
    client.delete(id)
    assert got == array


def test_a_tree_too_long_for_metadata_crosses(client, bridge):
    table = pa.table({f"a column of some length {i}": [i] for i in range(2000)})
    assert_same_columns(table, bridge.get("table", client.put(table)))
    assert_same_columns(table, client.get(bridge.put(table)))


def test_an_object_of_another_type_is_a_typed_error_that_says_which(client, bridge):
    with pytest.raises(BridgeError, match="type mismatch"):
        bridge.get("array", client.put("text"))
    with pytest.raises(BridgeError, match="ChunkedArray"):
        bridge.get("array", client.put(pa.chunked_array([[1]])))
    with pytest.raises(BridgeError, match="Table"):
        bridge.get("table", client.put(pa.array([1])))
    with pytest.raises(BridgeError, match="not found"):
        bridge.get("table", ObjectID(12345))


def test_a_frame_of_polars_is_a_table(client, bridge):
    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "s": ["a", "b" * 40, None],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "t": pl.Series([0, 1, 2], dtype=pl.Datetime("us", "UTC")),
            "l": [[1], [], None],
        }
    )
    got = bridge.get("table", client.put(frame))
    assert pl.DataFrame(got).equals(frame)
    series = bridge.get("chunked", client.put(frame["s"]))
    assert series.to_pylist() == frame["s"].to_list()
