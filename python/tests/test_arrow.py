# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of pyarrow come back the same, without a store and without pickle."""

import datetime
import struct

import numpy as np
import pyarrow as pa
import pytest
from arrow_strategies import arrays, batches, chunked_arrays, fields, has, schemas, tables, types
from hypothesis import assume, given
from same_arrow import assert_arrow_kept, assert_same_arrow
from same_value import assert_same, stored
from vineyard.codecs import decode, encode
from vineyard.errors import TypeErrorException


@given(types)
def test_types_are_kept(t):
    assert_arrow_kept(t)


@given(fields(types))
def test_fields_are_kept(field):
    assert_arrow_kept(field)


@given(schemas)
def test_schemas_are_kept(schema):
    assert_arrow_kept(schema)


@given(arrays())
def test_arrays_of_every_type_and_slices_of_them_are_kept(array):
    assert_arrow_kept(array)


@given(chunked_arrays())
def test_chunked_arrays_keep_their_chunks(array):
    assert_arrow_kept(array)


@given(batches())
def test_record_batches_are_kept(batch):
    assert_arrow_kept(batch)


@given(tables())
def test_tables_keep_how_each_column_is_cut_into_chunks(table):
    assert_arrow_kept(table)


@given(arrays(max_size=2))
def test_scalars_are_kept_or_refused(array):
    if not has("string_view"):  # this pyarrow ends the process over items that hold some
        assume("run_end_encoded" not in str(array.type))
    for i in range(len(array)):
        try:
            encode(array[i], pickle=False)
        except TypeErrorException:  # pyarrow repeats no scalar that has such parts inside
            assert any(part in str(array.type) for part in ("run_end_encoded", "extension<"))
        else:
            assert_arrow_kept(array[i])


# ---- each type by name, with and without nulls, whole and cut


def _views(kind):
    one = pa.array(["", "short", "x" * 13, "é" * 40], pa.string()).cast(pa.binary())
    return pa.concat_arrays([one.cast(kind), one.cast(kind)])


EXTENSION = pa.fixed_shape_tensor(pa.int16(), [2])
TENSORS = EXTENSION.storage_type
INTEGERS = pa.array(range(40), pa.int16())
STRUCTS = pa.array([{"a": i, "b": "x" * i} for i in range(40)])
ARRAYS = {
    "null": pa.nulls(40),
    "bool": pa.array([i % 3 == 0 for i in range(40)]),
    "float64": pa.array([float("nan"), -0.0, 0.0, 5e-324, float("inf")] * 8),
    "float16": pa.array(np.arange(40, dtype="e")),
    "decimal128": pa.array(range(40), pa.decimal128(38, 2)),
    "decimal256": pa.array(range(40), pa.decimal256(76, 2)),
    "date32": INTEGERS.cast(pa.int32()).cast(pa.date32()),
    "date64": INTEGERS.cast(pa.int32()).cast(pa.date32()).cast(pa.date64()),
    "time32": INTEGERS.cast(pa.int32()).cast(pa.time32("s")),
    "time64": INTEGERS.cast(pa.int64()).cast(pa.time64("ns")),
    "timestamp": INTEGERS.cast(pa.int64()).cast(pa.timestamp("us", "America/New_York")),
    "duration": INTEGERS.cast(pa.int64()).cast(pa.duration("ns")),
    "interval": pa.array([(i, -i, i) for i in range(40)], pa.month_day_nano_interval()),
    "binary": pa.array([b"\0" * i for i in range(40)]),
    "string": pa.array(["é" * i for i in range(40)]),
    "large_string": pa.array(["é" * i for i in range(40)], pa.large_string()),
    "large_binary": pa.array([b"x" * i for i in range(40)], pa.large_binary()),
    "fixed_size_binary": pa.array([bytes([i]) * 3 for i in range(40)], pa.binary(3)),
    "list": pa.array([list(range(i % 5)) for i in range(40)]),
    "large_list": pa.array([["x"] * (i % 5) for i in range(40)], pa.large_list(pa.string())),
    "fixed_size_list": pa.array([[i, None] for i in range(40)], pa.list_(pa.int8(), 2)),
    "struct": STRUCTS,
    "map": pa.array([[(str(i), i)] * (i % 3) for i in range(40)], pa.map_(pa.string(), pa.int32())),
    "sparse_union": pa.UnionArray.from_sparse(
        pa.array([i % 2 for i in range(40)], pa.int8()), [INTEGERS, STRUCTS]
    ),
    "dense_union": pa.UnionArray.from_dense(
        pa.array([i % 2 for i in range(40)], pa.int8()),
        pa.array([i // 2 for i in range(40)], pa.int32()),
        [INTEGERS, STRUCTS],
    ),
    "dictionary": pa.array(["a", None, "b", "a"] * 10).dictionary_encode(),
    "ordered dictionary": pa.DictionaryArray.from_arrays(
        pa.array([1, 0, None, 1] * 10, pa.uint8()), ["z", "a", "never"], ordered=True
    ),
    "dictionary of structs": pa.DictionaryArray.from_arrays(
        pa.array([39, 0, None, 1] * 10, pa.int64()), STRUCTS
    ),
    "run_end_encoded": pa.RunEndEncodedArray.from_arrays([3, 10, 40], ["a", None, "b"]),
    "fixed_shape_tensor": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((40, 2, 3))),
}
# Newer releases of pyarrow have more types.
if has("string_view"):
    ARRAYS |= {
        "string_view": pa.concat_arrays([_views(pa.string_view())] * 5),
        "binary_view": pa.concat_arrays([_views(pa.binary_view())] * 5),
    }
if has("list_view"):
    ARRAYS |= {
        "list_view": pa.array([list(range(i % 5)) for i in range(40)], pa.list_view(pa.int8())),
        "large_list_view": pa.array(
            [[True] * (i % 5) for i in range(40)], pa.large_list_view(pa.bool_())
        ),
    }
if has("decimal32"):
    ARRAYS |= {
        "decimal32": pa.array(range(40), pa.decimal32(7, 2)),
        "decimal64": pa.array(range(40), pa.decimal64(9, 2)),
    }
if has("uuid", "bool8", "json_"):
    ARRAYS |= {
        "uuid": pa.array([bytes([i]) * 16 for i in range(40)], pa.uuid()),
        "bool8": pa.ExtensionArray.from_storage(pa.bool8(), INTEGERS.cast(pa.int8())),
        "json": pa.array(["{}"] * 40, pa.json_()),
        "extension in a list": pa.ListArray.from_arrays(
            list(range(41)), pa.array([bytes([i]) * 16 for i in range(40)], pa.uuid())
        ),
    }
SLICES = [(0, 40), (0, 0), (40, 0), (0, 7), (1, 9), (8, 16), (13, 27), (39, 1)]


@pytest.mark.parametrize("name", ARRAYS)
def test_array_is_kept_whole_and_sliced(name):
    array = ARRAYS[name]
    for start, length in SLICES:
        part = array.slice(start, length)
        assert_arrow_kept(part)
        assert_arrow_kept(part.slice(length // 3))
    assert_arrow_kept(pa.chunked_array([array.slice(0, 3), array.slice(3, 0), array.slice(3)]))
    assert_arrow_kept(array[5])
    assert_arrow_kept(array.type)


# All values of a dictionary are a part of each slice of its array.
@pytest.mark.parametrize("name", [n for n in ARRAYS if "dictionary" not in n])
def test_of_a_slice_only_its_own_bytes_are_stored(name):
    array = pa.concat_arrays([ARRAYS[name]] * 200)
    for start, length in [(0, 100), (4000, 100), (4001, 99), (7000, 1000)]:
        part = array.slice(start, length)
        size = sum(len(b) for b in stored(encode(part, pickle=False))[2])
        assert size <= array.get_total_buffer_size() * length / len(array) * 1.5 + 64


@pytest.mark.skipif(not has("string_view", "list_view"), reason="this pyarrow has no views")
def test_views_that_use_little_of_their_data_are_compacted():
    large = pa.array(["x" * 1000 + str(i) for i in range(1000)], pa.string_view())
    few = pa.concat_arrays([large.slice(i, 1) for i in (0, 500, 999)])
    assert_arrow_kept(few)
    assert sum(len(b) for b in stored(encode(few))[2]) < 4000
    lists = pa.array([[i] * 1000 for i in range(1000)], pa.list_view(pa.int64()))
    ends = pa.ListViewArray.from_arrays(
        pa.array([0, 998_999], pa.int32()), pa.array([1, 2], pa.int32()), lists.values
    )
    assert_arrow_kept(ends)
    assert sum(len(b) for b in stored(encode(ends))[2]) < 100


@pytest.mark.skipif(not has("string_view"), reason="this pyarrow has no views")
@pytest.mark.parametrize("unused", [0, 5, 500])
def test_views_of_nulls_may_say_anything(unused):
    astray = struct.pack("4i", 99, 7, 7, -1000)
    long = struct.pack("i4sii", 20, b"xxxx", 0, unused)
    views = pa.py_buffer(long + astray + long)
    data = pa.py_buffer(bytes(unused) + b"x" * 20)
    for t in (pa.string_view(), pa.binary_view()):
        array = pa.Array.from_buffers(t, 3, [pa.py_buffer(b"\5"), views, data])
        assert_arrow_kept(array)
        assert_arrow_kept(array.slice(1))


@pytest.mark.skipif(not has("string_view"), reason="this pyarrow has no views")
def test_views_of_nulls_are_stored_empty_where_the_bytes_that_they_lead_to_are_not_stored():
    used, unused = (struct.pack("i4sii", 20, b"xxxx", 0, start) for start in (500, 400))
    data = pa.py_buffer(b"x" * 520)
    views = pa.py_buffer(used + unused)
    array = pa.Array.from_buffers(pa.binary_view(), 2, [pa.py_buffer(b"\1"), views, data])
    back = decode(*stored(encode(array)))
    assert back.to_pylist() == [b"x" * 20, None]
    assert back.buffers()[1].to_pybytes() == struct.pack("i4sii", 20, b"xxxx", 0, 0) + bytes(16)
    assert back.buffers()[2].to_pybytes() == b"x" * 20


def test_a_buffer_that_several_columns_share_is_stored_once():
    column = pa.array(range(1000))
    words = pa.array(["a", "b"] * 500).dictionary_encode()
    table = pa.table(
        {
            "a": column,
            "b": column,
            "c": pa.chunked_array([words.slice(0, 600), words.slice(0, 400)]),
        }
    )
    assert len(encode(table)[2]) == 1 + 2 + 2  # numbers; codes of two lengths; bytes and offsets
    assert_arrow_kept(table)
    parts = [words.slice(0, 500), words.slice(500), table]
    assert len(encode(parts)[2]) == 5 + 2  # codes of two more slices


# ---- no copies


def _buffers(array):
    found = [b for b in array.buffers() if b is not None and b.size]
    return found + (_buffers(array.dictionary) if pa.types.is_dictionary(array.type) else [])


def _addresses(array):
    return {b.address for b in _buffers(array)}


@pytest.mark.parametrize("name", ARRAYS)
def test_nothing_is_copied_at_put_and_at_get(name):
    array = ARRAYS[name]
    given_ = _addresses(array)
    _, metadata, buffers, _ = encode(array, pickle=False)
    handed = {np.frombuffer(b, np.uint8).ctypes.data for b in buffers}
    assert handed <= given_
    kept = [bytes(memoryview(b).cast("B")) for b in buffers]
    back = decode("", metadata, kept, pickle=False)
    views = {np.frombuffer(b, np.uint8).ctypes.data for b in kept}
    assert _addresses(back) <= views


def test_a_table_that_was_got_lies_in_the_store(client):
    table = pa.table({f"c{i}": np.arange(50_000.0) for i in range(10)})
    words = pa.array(["word"] * 50_000)
    ref = client.put(table.append_column("words", words))
    back = client.get(ref)
    assert_same_arrow(table, back.select(range(10)))
    for column in back.columns:
        for buffer in _buffers(column.chunk(0)):
            assert client.is_shared_memory(buffer)
    client.delete(ref)


# ---- tables, and what stands beside arrays


def test_tables_without_batches_rows_or_columns_are_kept():
    schema = pa.schema(
        [pa.field("a", pa.int8(), False, {"k": b"\xff"}), ("a", pa.string())], {"m": "n"}
    )
    for table in (
        schema.empty_table(),
        pa.Table.from_batches([], schema),
        pa.table({}),
        pa.table({"a": [1, 2]}).select([]),
        pa.table({"a": [1, 2]}).replace_schema_metadata({"x": "y"}).select([]),
        pa.table({"a": pa.chunked_array([[1], [], [2, 3]]), "b": [1, 2, 3]}),
    ):
        assert_arrow_kept(table)
    for batch in (
        pa.RecordBatch.from_arrays([], schema=pa.schema([])),
        pa.RecordBatch.from_pydict({"a": [1, 2]}).select([]),
        pa.RecordBatch.from_pydict({"a": [1, 2]}).replace_schema_metadata({"x": "y"}).select([]),
        pa.RecordBatch.from_pylist([], schema),
    ):
        assert_arrow_kept(batch)


def test_metadata_of_pandas_are_kept():
    import pandas as pd

    frame = pd.DataFrame({"a": [1.5, 2.5]}, index=pd.Index(["x", "y"], name="i"))
    table = pa.Table.from_pandas(frame)
    back = assert_arrow_kept(table)
    pd.testing.assert_frame_equal(back.to_pandas(), frame)


def test_tables_larger_than_what_metadata_hold_are_kept():
    table = pa.table({f"column {i}": pa.chunked_array([[i], [i]]) for i in range(1000)})
    assert_arrow_kept(table)


def test_empty_and_absent_metadata_are_told_apart():
    for metadata in (None, {}, {"a": "b"}, {b"\xff\0": b"\0"}):
        for t in (pa.int8(), EXTENSION):
            assert_arrow_kept(pa.field("a", t, metadata=metadata))
        assert_arrow_kept(pa.schema([], metadata))


def test_unions_without_types_are_kept():
    for t in (pa.sparse_union([]), pa.dense_union([])):
        assert_arrow_kept(t)
        assert_arrow_kept(pa.chunked_array([], t))


def test_buffers_are_kept():
    for data in (b"", b"abc", bytes(100_000)):
        back = assert_arrow_kept(pa.py_buffer(data))
        assert not back.is_mutable
    assert_arrow_kept(pa.allocate_buffer(0))


def test_metadata_alone_keep_their_order_and_what_stands_twice():
    assert_arrow_kept(pa.KeyValueMetadata([("b", "1"), ("a", "2"), ("b", b"\xff")]))


def test_null_scalars_are_kept():
    for t in (pa.null(), pa.int8(), pa.string(), pa.list_(pa.int8())):
        assert_arrow_kept(pa.scalar(None, t))
    assert_arrow_kept(pa.ExtensionArray.from_storage(EXTENSION, pa.nulls(1, TENSORS))[0])


def test_values_that_arrow_calls_invalid_but_that_harm_nobody_are_kept():
    odd = pa.py_buffer(bytes([1, *bytes(7), *bytes([255] * 8)]))
    for t in (pa.date64(), pa.time64("us"), *([pa.decimal64(1, 0)] if has("decimal64") else [])):
        array = pa.Array.from_buffers(t, 2, [None, odd])
        assert_arrow_kept(array)
        assert_arrow_kept(pa.ListArray.from_arrays([0, 2], array))


def test_values_of_arrow_inside_of_others_are_kept():
    table = pa.table({"a": [1, 2]})
    value = [table, {"same": table}, (pa.scalar(1), pa.int8())]
    back = decode(*stored(encode(value, pickle=False)), pickle=False)
    assert back[0] is back[1]["same"]
    assert_same_arrow(table, back[0])
    assert_same(value[2], back[2])


# ---- extension types of the program's own


class Celsius(pa.ExtensionType):
    """An extension type with an array class of its own."""

    def __init__(self, decimals):
        self.decimals = decimals
        super().__init__(pa.float64(), "test.celsius")

    def __arrow_ext_serialize__(self):
        return bytes([self.decimals, 255])

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type, serialized):
        assert serialized[1] == 255
        return cls(serialized[0])

    def __arrow_ext_class__(self):
        return CelsiusArray

    def __arrow_ext_scalar_class__(self):
        return CelsiusScalar


class CelsiusArray(pa.ExtensionArray):
    pass


class CelsiusScalar(pa.ExtensionScalar):
    pass


def test_registered_extension_types_come_back_and_others_as_their_storage():
    t = Celsius(3)
    array = pa.ExtensionArray.from_storage(t, pa.array([1.5, None]))
    table = pa.table({"a": array}, pa.schema([pa.field("a", t, metadata={"k": "v"})]))
    pa.register_extension_type(t)
    try:
        back = assert_arrow_kept(table)
        assert back.schema.field(0).type.decimals == 3
        for value in (array, array[0], t, array.type):
            back = assert_arrow_kept(value)
        encoded = stored(encode([table, array], pickle=False))
    finally:
        pa.unregister_extension_type("test.celsius")
    table, array = decode(*encoded, pickle=False)
    assert array.equals(pa.array([1.5, None]))
    assert table.schema.field(0).type == pa.float64()
    assert table.schema.field(0).metadata[b"ARROW:extension:name"] == b"test.celsius"
    assert_arrow_kept(table)


def test_an_extension_type_that_is_not_registered_is_refused_at_put():
    t = Celsius(3)
    array = pa.ExtensionArray.from_storage(t, pa.array([1.5]))
    inner = pa.StructArray.from_arrays([array], ["a"])
    for value in (array, array[0], t, inner, pa.table({"a": array}), pa.chunked_array([array])):
        with pytest.raises(TypeErrorException, match=r"'test\.celsius' is not registered"):
            encode(value)
    assert_arrow_kept(array.storage)


# ---- refused


def test_what_can_be_read_only_once_is_refused():
    reader = pa.RecordBatchReader.from_batches(pa.schema([]), [])
    with pytest.raises(TypeErrorException, match="read_all"):
        encode(reader)


def test_a_buffer_that_can_grow_is_refused():
    with pytest.raises(TypeErrorException, match="slice"):
        encode(pa.allocate_buffer(3, resizable=True))


# ---- names


@pytest.mark.parametrize(
    ("value", "typename"),
    [
        (pa.table({"a": [1]}), "vineyard::Table"),
        (pa.RecordBatch.from_pydict({"a": [1]}), "vineyard::RecordBatch"),
        (pa.schema([]), "vineyard::SchemaProxy"),
        (pa.array([1.5]), "vineyard::NumericArray<double>"),
        (pa.array([1], pa.uint8()), "vineyard::NumericArray<uint8>"),
        (pa.array([True]), "vineyard::BooleanArray"),
        (pa.nulls(1), "vineyard::NullArray"),
        (pa.array(["a"], pa.large_string()), "vineyard::BaseBinaryArray<arrow::LargeStringArray>"),
        (pa.array([b"a"], pa.binary(1)), "vineyard::FixedSizeBinaryArray"),
        (pa.array([[1]], pa.large_list(pa.int8())), "vineyard::LargeListArray"),
        (pa.array([datetime.date(2020, 1, 1)]), "vineyard::ArrowArray"),
        (pa.array(["a"]).dictionary_encode(), "vineyard::ArrowArray"),
        (pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, 2))), "vineyard::ArrowArray"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_typenames_are_those_of_the_old_release_where_it_had_them(value, typename):
    assert encode(value)[0] == typename
