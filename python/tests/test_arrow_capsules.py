# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values that exchange Arrow data by the PyCapsule interface come back as what they were, or not at all."""

import json

import numpy as np
import pyarrow as pa
import pytest
from same_arrow import assert_same_arrow
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, PickleRefusedException, UnknownLayoutException

arro3 = pytest.importorskip("arro3.core")
nanoarrow = pytest.importorskip("nanoarrow")

TABLE = pa.table(
    {"a": pa.chunked_array([[1], [2, None]]), "s": pa.chunked_array([["x"], ["y", None]])}
).replace_schema_metadata({"k": "v"})
BATCH = pa.RecordBatch.from_pydict({"a": [1.5, None]})


@pytest.mark.parametrize(
    ("value", "exports"),
    [
        (arro3.Table.from_arrow(TABLE), pa.table),
        (arro3.RecordBatch.from_arrow(BATCH), pa.record_batch),
        (arro3.Array.from_arrow(pa.array([1, None])), pa.array),
        (arro3.ChunkedArray.from_arrow(TABLE["s"]), pa.chunked_array),
        (arro3.Schema.from_arrow(TABLE.schema), pa.schema),
        (arro3.Field.from_arrow(pa.field("a", pa.int8(), False, {"k": "v"})), pa.field),
        (arro3.DataType.from_arrow(pa.timestamp("ms", "UTC")), pa.field),
        (nanoarrow.Array(pa.array(["a", None])), pa.chunked_array),
        (nanoarrow.Array(TABLE["a"]), pa.chunked_array),
        (nanoarrow.Schema(pa.field("a", pa.int8(), False)), pa.field),
    ],
    ids=lambda v: f"{type(v).__module__}.{type(v).__name__}",
)
def test_value_comes_back_with_its_type(value, exports):
    encoded = stored(encode(value, pickle=False))
    for pickle in (True, False):
        back = decode(*encoded, pickle=pickle)
        assert type(back) is type(value)
        assert_same_arrow(exports(value), exports(back))


def test_nothing_is_copied_at_put_and_at_get():
    value = arro3.Array.from_arrow(pa.array(np.arange(1000.0)))
    _, metadata, buffers, _ = encode(value, pickle=False)
    address = np.frombuffer(buffers[0], np.uint8).ctypes.data
    assert address == pa.array(value).buffers()[1].address
    kept = [bytes(memoryview(buffers[0]))]
    back = decode("", metadata, kept, pickle=False)
    assert pa.array(back).buffers()[1].address == np.frombuffer(kept[0], np.uint8).ctypes.data


class Query:
    """Exports Arrow data, and is more than that."""

    def __init__(self, text):
        self.text = text

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


def test_what_is_more_than_arrow_data_is_pickled_or_refused_with_what_to_do():
    with pytest.raises(PickleRefusedException, match=r"pyarrow\.table\(value\)"):
        encode(Query("select"), pickle=False)
    back = decode(*stored(encode(Query("select"))))
    assert type(back) is Query
    assert back.text == "select"


def test_a_type_that_nobody_holds_is_not_imported():
    _, metadata, buffers = stored(encode(arro3.Table.from_arrow(TABLE)))
    for name in ("os.system", "arro3.core.Buffer", "nanoarrow.ArrayStream"):
        with pytest.raises(UnknownLayoutException):
            decode("", json.dumps({**json.loads(metadata), "type_": name}), buffers)
    for value in (7, None, "x", {"codec": "list", "size_": 0, "items_": []}):
        with pytest.raises(CorruptedException):
            decode("", json.dumps({**json.loads(metadata), "value_": value}), buffers)
    with pytest.raises(CorruptedException):
        decode("", json.dumps({**json.loads(metadata), "type_": "arro3.core.Schema"}), buffers)


def test_what_others_export_is_not_taken_for_the_value_of_pyarrow():
    polars = pytest.importorskip("polars")
    _, metadata, _ = stored(encode(arro3.Table.from_arrow(TABLE)))
    _, frame, buffers = stored(encode(polars.DataFrame({"a": [1, 2]})))
    value = json.loads(frame)
    assert decode("", frame, buffers)["a"].to_list() == [1, 2]
    with pytest.raises(CorruptedException, match="made of a DataFrame"):
        decode("", json.dumps({**json.loads(metadata), "value_": value}), buffers)
