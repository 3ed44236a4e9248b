# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of every family, on both sides of what is sent along with a put, through a real instance.

Below ``inline_max`` a value's buffers are copied into an arena, and copied out again; above it they lie
in an extent of their own, and come back as views. The generated values of the other tests are small:
here they are repeated, or put beside padding, until the buffers come to about that size, or to far more.
"""

import functools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import vineyard
from arrow_strategies import array_of, fields, types
from hypothesis import assume, given
from hypothesis import strategies as st
from pandas_strategies import frames, indexes, series
from same_python import assert_identical
from same_value import assert_same, stored
from value_strategies import dtypes, laid_out, python_values
from vineyard.codecs import encode

INLINE_MAX = 256 * 1024

#: How many bytes a value's buffers should come to: nothing, about the limit, and far more.
sizes = st.one_of(
    st.just(0),
    st.integers(INLINE_MAX - 200, INLINE_MAX + 200),
    st.sampled_from([INLINE_MAX, INLINE_MAX + 1, 3 * INLINE_MAX, 2**21 + 1]),
)
options = st.sampled_from([{}, {}, {"copy": True}, {"writable": True}])


@functools.cache
def _client(socket):
    return vineyard.connect(socket, pickle=False)


def through_store(socket, value, how):
    """What a get gives for a put of the value, and how many bytes the put stored."""
    client = _client(socket)
    ref = client.put(value)
    try:
        return client.get(ref, **how), client.get_meta(ref).nbytes
    finally:
        client.delete(ref)


def encoded(value):
    """All that would be stored of a value: metadata with the buffers' bytes where they are named."""
    typename, metadata, buffers = stored(encode(value, pickle=False))
    return typename, _filled(json.loads(metadata), buffers)


def _filled(node, buffers):
    if isinstance(node, list):
        return [_filled(part, buffers) for part in node]
    if not isinstance(node, dict):
        return node
    made = {key: _filled(part, buffers) for key, part in node.items()}
    if type(node.get("buffer")) is int:
        made["buffer"] = buffers[node["buffer"]]
    if "buffers_" in node:
        made["buffers_"] = [None if i is None else buffers[i] for i in node["buffers_"]]
    return made


def repeated(count, nbytes):
    """Indexes that repeat so many items until they come to that many, and rarely fewer than once."""
    times = max(1, nbytes // max(count, 1)) if count else 0
    return np.tile(np.arange(count), times)


@given(st.data(), sizes, options)
def test_arrays_of_every_size_are_kept(socket, data, nbytes, how):
    dtype = data.draw(dtypes)
    assume(dtype.itemsize)
    pattern = data.draw(st.binary(min_size=dtype.itemsize * 3, max_size=dtype.itemsize * 3))
    if dtype.kind == "b":
        pattern = bytes(b & 1 for b in pattern)
    if dtype.kind == "U":
        code = np.frombuffer(pattern, f"{dtype.str[0]}u4") % 0x110000
        pattern = code.astype(f"{dtype.str[0]}u4").tobytes()
    array = np.frombuffer(pattern, dtype)
    array = array[repeated(3, -(-nbytes // dtype.itemsize))].reshape(-1, 3)
    array = laid_out(data.draw, array)
    back, _ = through_store(socket, array, how)
    # What several places of a broadcast array share can't be written.
    assert back.flags.writeable is (bool(how) and 0 not in back.strides)
    back.flags.writeable = False
    assert_same(np.asarray(array), back)


@given(python_values, sizes, options)
def test_values_of_python_beside_any_number_of_bytes_are_kept(socket, value, nbytes, how):
    padding = bytes(nbytes)
    back, total = through_store(socket, [value, padding, value], how)
    assert total >= (nbytes if nbytes > 200 else 0)
    assert back[1] == padding
    if not how:
        assert_identical([value, value], [back[0], back[2]])


@given(st.one_of(series(), frames(), st.integers(0, 7).flatmap(indexes)), sizes)
def test_values_of_pandas_of_every_size_are_kept(socket, value, nbytes):
    width = value.shape[1] if value.ndim == 2 else 1
    where = repeated(len(value), min(nbytes // (8 * max(width, 1)), INLINE_MAX // 8 + 100))
    if len(where):
        try:
            value = value.take(where)
        except ValueError as error:  # of pandas, for numbers of the other byte order
            assert "Big-endian" in str(error)
            assume(False)
    back, _ = through_store(socket, value, {})
    assert_same(value, back)


@given(st.data(), sizes, options)
def test_arrays_of_arrow_of_every_size_are_kept(socket, data, nbytes, how):
    array = array_of(data.draw, data.draw(types), data.draw(st.integers(1, 9)))
    array = _grown(array, nbytes)
    back, _ = through_store(socket, array, how)
    assert back.type.equals(array.type)
    back.validate()
    assert encoded(back) == encoded(array)


@given(st.data(), st.lists(fields(types), min_size=1, max_size=3), sizes)
def test_tables_of_every_size_are_kept(socket, data, columns, nbytes):
    rows = data.draw(st.integers(1, 5))
    schema = pa.schema(columns, data.draw(st.none() | st.just({"k": "v"})))
    arrays = [array_of(data.draw, t, rows) for t in schema.types]
    grown = [_grown(a, nbytes // len(columns)) for a in arrays]
    if len({len(a) for a in grown}) == 1:
        arrays = grown
    try:
        table = pa.Table.from_arrays(arrays, schema=schema)
    except pa.ArrowNotImplementedError:  # pyarrow 14 takes some types for unequal to themselves
        assume(False)
    back, _ = through_store(socket, table, {})
    assert back.schema.equals(schema, check_metadata=True)
    back.validate()
    assert encoded(back) == encoded(table)


def _grown(array, nbytes):
    times = min(max(1, nbytes // (8 * len(array))), 20_000)
    try:
        return pa.concat_arrays([array] * times)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # offsets or run ends beyond their width
        return array


@given(st.data(), sizes)
def test_sparse_matrices_of_every_size_are_kept(socket, data, nbytes):
    sparse = pytest.importorskip("scipy.sparse")
    format = data.draw(st.sampled_from(["bsr", "coo", "csc", "csr", "dia"]))
    kind = data.draw(st.sampled_from(["array", "matrix"]))
    values = data.draw(st.lists(st.floats(1, 2), min_size=1, max_size=5))
    dense = np.diag(values)
    times = max(1, nbytes // (12 * len(values)))
    value = sparse.block_diag([dense] * min(times, 2000), format="csr")
    value = getattr(sparse, f"{format}_{kind}")(value)
    back, _ = through_store(socket, value, {})
    assert_identical(value, back)


@given(st.data(), sizes)
def test_frames_of_polars_of_every_size_are_kept(socket, data, nbytes):
    pl = pytest.importorskip("polars")
    parametric = pytest.importorskip("polars.testing.parametric")
    allowed = [pl.Int8, pl.UInt64, pl.Float64, pl.String, pl.Boolean, pl.Datetime("us"), pl.Binary]
    frame = data.draw(
        parametric.dataframes(allowed_dtypes=allowed, min_size=1, max_size=9, max_cols=4)
    )
    times = max(1, nbytes // (8 * max(frame.height, 1) * max(frame.width, 1)))
    frame = pl.concat([frame] * min(times, 20_000), rechunk=True)
    back, _ = through_store(socket, frame, {})
    assert back.schema == frame.schema
    assert back.equals(frame)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_limit_itself_divides_what_is_copied_from_what_is_mapped(client, more):
    value = np.arange(INLINE_MAX + more, dtype=np.uint8)
    ref = client.put(value)
    back = client.get(ref)
    assert np.array_equal(back, value)
    assert client.is_shared_memory(back) is (more > 0)
    assert client._core.inline_max == INLINE_MAX
    client.delete(ref)


def test_pandas_values_lie_on_both_sides(client):
    """The sizes above are really reached: else all of this would test one side only."""
    for rows, mapped in ((100, False), (INLINE_MAX // 8 + 1, True)):
        frame = pd.DataFrame({"a": np.arange(3.0)}).take(repeated(3, rows))
        ref = client.put(frame)
        assert client.is_shared_memory(client.get(ref)["a"].to_numpy()) is mapped
        client.delete(ref)
