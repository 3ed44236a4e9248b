# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Frames of pandas that Python puts are tables to C++, as far as Arrow expresses them."""

import datetime
import zoneinfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bridge import BridgeError
from hypothesis import given
from pandas_strategies import frames


def _frame():
    rows = 50
    numbers = np.arange(rows)
    times = pd.Series(numbers).astype("M8[us]")
    times[3] = pd.NaT
    texts = [None if i % 7 == 0 else f"é{i}" for i in numbers]
    return pd.DataFrame(
        {
            "f": numbers / 2,
            "i": numbers,
            "small": numbers.astype("u1"),
            "half": numbers.astype("f2"),
            "flag": numbers % 3 == 0,
            "time": times,
            "berlin": times.dt.tz_localize("Europe/Berlin"),
            "offset": times.dt.tz_localize(datetime.timezone(datetime.timedelta(hours=-1))),
            "utc": times.dt.tz_localize("UTC"),
            "span": times - times[0],
            "text": pd.Series(texts, dtype="str"),
            "python": pd.Series(texts, dtype=pd.StringDtype("python")),
            "arrow": pd.Series([[1], None] * 25, dtype=pd.ArrowDtype(pa.list_(pa.int8()))),
            "nullable": pd.Series([1, None] * 25, dtype="Int16"),
            "maybe": pd.Series([True, None] * 25, dtype="boolean"),
            "category": pd.Series(["a", "b", None, "a", "c"] * 10, dtype="category"),
            "ordered": pd.Categorical([2, 1] * 25, ordered=True),
            "f2": numbers * 3.0,
        }
    )


def _items(column):
    return [None if x is pd.NaT or x is pd.NA else x for x in column.to_pylist()]


def test_every_column_that_arrow_expresses_is_what_pyarrow_makes_of_it(client, bridge):
    frame = _frame()
    got = bridge.get("table", client.put(frame))
    expected = pa.Table.from_pandas(frame, preserve_index=False)
    assert got.column_names == expected.column_names
    got.validate(full=True)
    for name in got.column_names:
        a, b = expected[name], got[name]
        if name in ("text", "python"):  # pyarrow's choice of offsets differs with pandas' version
            a, b = (x.cast(pa.large_string()) for x in (a, b))
        if name == "category":
            assert b.type.index_type == pa.int8()
            a, b = (x.cast(pa.large_string()) for x in (a, b))
        if name == "offset":
            assert b.type.tz == "-01:00"
        assert a.type == b.type, name
        assert a.to_pylist() == b.to_pylist(), name
    assert got["ordered"].type.ordered


def test_columns_of_numbers_are_the_stored_pages(client, bridge):
    frame = pd.DataFrame({"a": np.arange(100_000.0), "b": np.arange(100_000.0)})
    id = client.put(frame)
    used = client.status.memory_usage
    again = bridge.put_again("table", id)
    assert client.status.memory_usage - used < 100_000
    assert client.get(again).to_pandas().equals(frame)
    for i in (id, again):
        client.delete(i)


def test_frames_that_lie_row_by_row_are_gathered(client, bridge):
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "b", "c"], copy=False)
    got = bridge.get("table", client.put(frame))
    assert got.to_pydict() == frame.to_dict("list")


def test_an_index_is_a_column_and_one_that_counts_rows_is_none(client, bridge):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key"))
    assert bridge.get("table", client.put(frame)).to_pydict() == {"a": [1, 2], "key": ["x", "y"]}
    frame = pd.DataFrame({"a": [1, 2]}, index=[7, 8])
    got = bridge.get("table", client.put(frame)).to_pydict()
    assert got == {"a": [1, 2], "__index_level_0__": [7, 8]}
    assert bridge.get("table", client.put(frame.reset_index(drop=True))).to_pydict() == {
        "a": [1, 2]
    }


def test_labels_that_are_numbers_are_written_out(client, bridge):
    for columns in ([0, 1], [7, -3], range(3, 1, -1), [f"label {i}" for i in range(40)]):
        frame = pd.DataFrame([range(len(columns))] * 2, columns=columns)
        got = bridge.get("table", client.put(frame))
        assert got.column_names == [str(c) for c in columns]
        assert got.num_rows == 2


def test_frames_without_columns_or_rows_are_tables(client, bridge):
    assert bridge.get("table", client.put(pd.DataFrame())).shape == (0, 0)
    assert bridge.get("table", client.put(pd.DataFrame({"a": np.empty(0)}))).shape == (0, 1)


def test_a_series_is_a_chunked_array(client, bridge):
    frame = _frame()
    for name in frame:
        got = bridge.get("chunked", client.put(frame[name]))
        assert len(got) == len(frame)
    assert got.to_pylist() == frame["f2"].tolist()


BYTES = pd.ArrowDtype(pa.binary())


@pytest.mark.parametrize(
    "frame, why",
    [
        (pd.DataFrame({"good": [1], "bad": [object]}), None),
        (pd.DataFrame({"bad": pd.Series([1, "a"], dtype=object)}), "column 'bad'.*Python objects"),
        (pd.DataFrame({"bad": np.arange(2) + 1j}), "column 'bad'.*complex|column 'bad'.*'<c16'"),
        (pd.DataFrame({"bad": np.arange(2, dtype=">i4")}), "column 'bad'.*'>i4'"),
        (pd.DataFrame({"bad": pd.period_range("2020", periods=2)}), "column 'bad'.*pandas.period"),
        (pd.DataFrame({"bad": pd.arrays.SparseArray([0, 1])}), "column 'bad'.*pandas.sparse"),
        (
            pd.DataFrame({"bad": pd.interval_range(0, 2)}),
            "column 'bad'.*pandas.interval",
        ),
        (
            pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(1, 2)])),
            "reset_index",
        ),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([(1, 2)])), "one text"),
        (pd.DataFrame([[1]], columns=[1.5]), "labels"),
        (pd.DataFrame([[1]], columns=[b"a"]), "items"),
        (pd.DataFrame([[1]], columns=pd.Index([b"\x80"], dtype=BYTES)), "labels of type 'z'"),
    ],
    ids=[
        *("pickled", "object", "complex", "big-endian", "period", "sparse", "interval"),
        *("multiindex", "multicolumns", "floats", "bytes", "arrow-bytes"),
    ],
)
def test_what_arrow_does_not_express_is_refused_and_named(client, bridge, frame, why):
    id = client.put(frame)
    with pytest.raises(BridgeError, match=why):
        bridge.get("table", id)


def test_zones_of_other_kinds(client, bridge):
    times = pd.Series(pd.date_range("2020", periods=2, tz=zoneinfo.ZoneInfo("Asia/Tokyo")))
    assert bridge.get("chunked", client.put(times)).type.tz == "Asia/Tokyo"
    zone = datetime.timezone(datetime.timedelta(seconds=1))
    with pytest.raises(BridgeError, match="off by seconds"):
        bridge.get("chunked", client.put(times.dt.tz_convert(zone)))


@given(frames())
def test_any_frame_is_a_table_or_a_typed_error(client, bridge, frame):
    try:
        id = client.put(frame)
    except TypeError:
        return
    try:
        got = bridge.get("table", id)
    except BridgeError as error:
        assert str(error).startswith(("not supported: ", "limit exceeded: ")), error
        return
    got.validate(full=True)
    assert got.num_rows == len(frame)
    for i, label in enumerate(frame.columns):
        assert got.column_names[i] == str(label)
        _assert_same_items(frame.iloc[:, i], got.column(i))


def _assert_same_items(series, column):
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        assert column.null_count == 0  # in a column of floats, NaN is a number
        items = column.to_numpy(zero_copy_only=False)
        assert items.tobytes() == series.to_numpy().tobytes()
    elif not isinstance(series.dtype, (pd.ArrowDtype, pd.CategoricalDtype)):
        assert column.is_null().to_pylist() == list(series.isna())
    if isinstance(series.dtype, pd.ArrowDtype):
        # pa.array(series) asks each item, and a list that is missing has no length.
        items = pa.chunked_array([series.array.__arrow_array__()])
        assert column.equals(items.cast(column.type))
    elif series.dtype.kind in "mM":
        items = column.cast(pa.int64(), safe=False)
        assert items.fill_null(-(2**63)).to_pylist() == _integers(series)


def _integers(series):
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert(None)
    return series.to_numpy().view("i8").tolist()
