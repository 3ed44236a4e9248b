# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Frames, series and indexes of pandas come back the same, block by block, without a store and without pickle."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import pandas as hpd
from same_pandas import layout
from same_value import assert_kept, round_trip, stored
from vineyard.codecs import decode, encode

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    PERIODS_OF_BUSINESS_DAYS = pd.period_range("2020-01-01", periods=3, freq="B").array

COLUMNS = {
    "int": [1, 2, 3],
    "int8": np.array([1, 2, 3], "i1"),
    "float": [1.5, np.nan, -0.0],
    "float32": np.array([1.5, np.nan, 3], "f4"),
    "complex": [1j, 2, 3],
    "bool": [True, False, True],
    "text": ["x", None, "zé\U0001f600"],
    "string": pd.array(["a", None, "c"], dtype="string"),
    "string_python": pd.array(["a", None, "c"], dtype="string[python]"),
    "category": pd.Categorical(["u", None, "u"], categories=["w", "u"]),
    "ordered": pd.Categorical([3, 1, 3], categories=[3, 2, 1], ordered=True),
    "dates": pd.Categorical(pd.to_datetime(["2020-01-01", "2020-01-02", None])),
    "naive": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
    "seconds": np.array(["2020-01-01", "NaT", "1969-01-01"], "M8[s]"),
    "zone": pd.date_range("2020-03-28", periods=3, tz="Europe/Berlin"),
    "utc": pd.date_range("2020-03-28", periods=3, tz="UTC").as_unit("ns"),
    "offset": pd.date_range(
        "2020", periods=3, tz=datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    ),
    "delta": pd.to_timedelta(["1D", None, "3h"]),
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "nullable_u8": pd.array([1, None, 3], dtype="UInt8"),
    "nullable_float": pd.array([1.5, None, np.nan], dtype="Float32"),
    "nullable_bool": pd.array([True, None, False], dtype="boolean"),
    "period": pd.period_range("2020", periods=3, freq="M"),
    "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3], closed="left"),
    "arrow": pd.array([1, None, 3], dtype="int64[pyarrow]"),
    "arrow_text": pd.array(["a", None, "c"], dtype="string[pyarrow]"),
    "arrow_decimal": pd.array(["1.50", None, "-2"], dtype=pd.ArrowDtype(pa.decimal128(9, 2))),
    "arrow_list": pd.array([[1, 2], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "arrow_struct": pd.array(
        [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
        dtype=pd.ArrowDtype(pa.struct({"a": pa.int8(), "b": pa.string()})),
    ),
    "arrow_dictionary": pd.array(
        ["a", "b", "a"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))
    ),
    "arrow_stamp": pd.array(
        [datetime.datetime(2020, 1, 1), None, datetime.datetime(1960, 1, 1)],
        dtype=pd.ArrowDtype(pa.timestamp("us", "Europe/Berlin")),
    ),
    "arrow_bool": pd.array([True, None, False], dtype=pd.ArrowDtype(pa.bool_())),
    "sparse": pd.arrays.SparseArray([0, 0, 7]),
    "sparse_float": pd.arrays.SparseArray([1.5, np.nan, np.nan]),
    "sparse_filled": pd.arrays.SparseArray([1.5, -1.0, np.nan], fill_value=-1.0),
    "sparse_blocks": pd.arrays.SparseArray([0, 3, 4], kind="block"),
    "sparse_bool": pd.arrays.SparseArray([True, False, False]),
    "sparse_dates": pd.arrays.SparseArray(pd.to_datetime(["2020", None, None])),
    "sparse_text": pd.arrays.SparseArray(np.array(["a", None, "a"], object), fill_value="a"),
    "big_endian": np.array([1, 2, 3], ">i4"),
    "bytes": np.array([b"a", b"", b"cc"]),
    "half": np.array([1.5, np.nan, 3], "f2"),
    "long": np.array([1.5, np.nan, 3], "g"),
    "complex64": np.array([1j, 2, 3], "c8"),
    "category_unused": pd.Categorical([None] * 3, categories=["a", "b"]),
    "category_empty": pd.Categorical([None] * 3, categories=[]),
    "category_range": pd.Categorical([1, 2, 1], categories=pd.RangeIndex(3)),
    "category_nullable": pd.Categorical(pd.array([1, None, 2], dtype="Int8")),
    "category_many": pd.Categorical([299, 5, 0], categories=range(300)),
    "period_business": PERIODS_OF_BUSINESS_DAYS,
    "interval_dates": pd.interval_range(pd.Timestamp("2020", tz="UTC"), periods=3).array,
    "interval_missing": pd.arrays.IntervalArray.from_tuples([(0.5, 1), np.nan, (1, 2)], "both"),
    "hidden": pd.arrays.IntegerArray(np.array([7, 8, 9]), np.array([True, False, True])),
    "nan_and_na": pd.arrays.FloatingArray(
        np.array([np.nan, 1.0, np.nan]), np.array([False, False, True])
    ),
    "object": [1, "a", None],
    "objects": [[1, 2], {"a": 1.5}, pd.Timestamp("2020", tz="UTC")],
    "mixed_missing": np.array([None, np.nan, pd.NA], object),
}
if hasattr(pd.StringDtype(), "na_value") and pd.__version__ >= "2.3":
    COLUMNS["str_python"] = pd.array(
        ["a", None, "c"], dtype=pd.StringDtype("python", na_value=np.nan)
    )


def everything():
    return pd.DataFrame(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
def test_series_of_every_dtype_is_kept(name):
    series = pd.Series(COLUMNS[name], name=name)
    assert_kept(series)
    assert_kept(series.iloc[:0])
    assert_kept(series.iloc[::-1])
    assert_kept(series.iloc[1:])
    assert_kept(series.to_frame())
    assert_kept(series.array)
    if not isinstance(series.dtype, np.dtype):
        assert_kept(series.dtype)


def test_frame_of_all_dtypes_is_kept():
    assert_kept(everything())
    assert_kept(pd.concat([everything()] * 2, axis=1))  # duplicate labels
    assert_kept(everything().iloc[1:])
    assert_kept(everything().iloc[:0])


@pytest.mark.skipif(pd.__version__ >= "3", reason="copy-on-write is all there is")
@pytest.mark.parametrize("mode", [True, "warn"])
def test_frames_are_kept_in_every_mode_of_copy_on_write(mode):
    with warnings.catch_warnings(), pd.option_context("mode.copy_on_write", mode):
        warnings.simplefilter("error")
        assert_kept(everything())
        assert_kept(everything()["float"])
        back = round_trip(everything())
        back["new"] = back["float"] + 1
        back.loc[0, "new"] = 7.0  # a column of its own
        assert back["new"].tolist()[0] == 7.0


def test_a_changed_frame_leaves_the_stored_one_as_it_is():
    typename, metadata, buffers = stored(encode(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})))
    frame = decode(typename, metadata, buffers)
    frame["a"] = 5
    frame["c"] = frame["b"] + "!"
    frame.loc[len(frame)] = [6, "z", "z!"]
    assert decode(typename, metadata, buffers)["a"].tolist() == [1, 2]


def test_pandas_finds_what_comes_back_equal():
    frame = everything().set_index(["int", "zone"])
    pd.testing.assert_frame_equal(frame, round_trip(frame), check_exact=True, check_freq=True)
    for column in frame:
        series = frame[column]
        pd.testing.assert_series_equal(series, round_trip(series), check_exact=True)


LABELS = {
    "texts": ["a", "b"],
    "integers": [1, 2],
    "mixed": [1, "a"],
    "missing": [None, "a"],
    "tuples": pd.Index([(1, 2), (3, 4)], tupleize_cols=False),
    "multi": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", ("y", 3)]),
    "stamps": pd.DatetimeIndex(["2020", "2021"], name="when"),
    "categories": pd.CategoricalIndex(["a", "b"], ordered=True),
    "duplicates": ["a", "a"],
    "floats": [0.5, np.nan],
    "bools": [True, False],
    "named": pd.Index(["a", "b"], name="n"),
    "range": pd.RangeIndex(5, 9, 2, name=("r", 1)),
    "periods": pd.period_range("2020", periods=2, freq="Q"),
    "intervals": pd.interval_range(0, 2),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_every_kind_are_kept(name):
    labels = LABELS[name]
    data = np.arange(4.0).reshape(2, 2)
    assert_kept(pd.DataFrame(data, columns=labels))
    assert_kept(pd.DataFrame(data, index=labels))
    assert_kept(pd.Series([1, 2], index=labels))
    if isinstance(labels, pd.Index):
        assert_kept(labels)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(0),
        pd.RangeIndex(10, 0, -3),
        pd.Index([], dtype=object),
        pd.Index([], dtype="i8"),
        pd.Index([1, "a", None, 2.5], dtype=object),
        pd.Index([1, 2], dtype="Int64"),
        pd.Index([1.5], dtype="f4"),
        pd.Index(np.array([1, 2], "u2")),
        pd.Index([1j]),
        pd.date_range("2020", periods=4, freq="B"),
        pd.date_range("2020", periods=4, freq="3h", tz="America/New_York", name="t"),
        pd.date_range("2020", periods=4).as_unit("s"),
        pd.DatetimeIndex(["2020", None]),
        pd.timedelta_range(0, periods=4, freq="2h"),
        pd.period_range("2020", periods=3, freq="W-SUN"),
        pd.interval_range(0.0, 2.0, closed="both"),
        pd.MultiIndex.from_product([["a", None], [1, 2]], names=[None, "x"]),
        pd.MultiIndex.from_arrays([[], []], names=["a", "b"]),
        pd.MultiIndex.from_tuples([(pd.Timestamp("2020"), 1.5), (pd.NaT, np.nan)]),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]])[[0, 3]],
        pd.MultiIndex([[3, 1], ["a"]], [[0, -1, 1], [0, 0, 0]], names=["x", "x"]),
        pd.MultiIndex.from_arrays([[1, 2]], names=["alone"]),
        pd.MultiIndex([[1, 2], ["a", "b"]], [[0, 0, 1], [0, 1, 0]], sortorder=2),
        pd.MultiIndex.from_product(
            [
                pd.period_range("2020", periods=2, freq="M"),
                pd.CategoricalIndex(["b", "a"], ordered=True),
                pd.interval_range(0, 2),
                pd.Index(["x", None], dtype="string"),
            ]
        ),
        pd.MultiIndex.from_product([range(200), range(3)]).sortlevel(0)[0],
        pd.date_range("2020", periods=4)[::-1],
        pd.date_range("2020", periods=6)[::2],
        pd.date_range("2020", periods=1, freq="W"),
        pd.date_range("2020", periods=0, freq="MS", tz="UTC"),
        pd.date_range("2020-03-01", periods=5, freq="MS", tz="Europe/Berlin").tz_convert("UTC"),
        pd.date_range("2020", periods=3, freq=pd.DateOffset(days=1, hours=3)),
        pd.date_range(
            "2020", periods=3, freq=pd.offsets.CustomBusinessDay(holidays=["2020-01-02"])
        ),
        pd.timedelta_range("1D", periods=3, freq="-1h"),
        pd.timedelta_range("1D", periods=3).as_unit("s"),
        pd.CategoricalIndex(["a", None, "a"], categories=["b", "a"], name=("x", 1)),
        pd.IntervalIndex.from_breaks(np.array([0, 1, 2], "f4"), closed="neither"),
        pd.IntervalIndex.from_breaks(pd.to_timedelta([0, 1, 2])),
        pd.Index(pd.arrays.SparseArray([0, 0, 1])),
        pd.Index(np.array([1, 2], ">i4")),
        pd.RangeIndex(0, 2**65, 2**64),
        pd.Index([(1, 2), (3,)], tupleize_cols=False),
        pd.Index([pd.Timestamp("2020"), pd.Timestamp("2021")], dtype=object),
    ],
    ids=lambda i: f"{type(i).__name__} {i.dtype} {len(i)}",
)
def test_index_is_kept(index):
    assert_kept(index)
    assert_kept(pd.DataFrame(index=index))
    assert_kept(pd.DataFrame({"a": range(len(index))}, index=index))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a"]),
        pd.DataFrame({"a": []}),
        pd.DataFrame(np.zeros((3, 40)))[[*range(0, 40, 3), 1, 0]],
        pd.DataFrame(np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        pd.DataFrame(np.arange(6.0).reshape(2, 3)),
        pd.DataFrame(np.arange(60.0).reshape(6, 10)).iloc[::2, ::3],
        pd.DataFrame({"a": [1], "b": [2.5], "c": [2]}),
        pd.DataFrame({1: [1], "a": [2], None: [3], (1, 2): [4], 2.5: [5]}),
        pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
        pd.DataFrame(columns=pd.MultiIndex.from_arrays([[], []], names=["a", None])),
        pd.DataFrame(np.zeros((0, 3))),
        pd.DataFrame({"a": pd.array([], dtype="Int64"), "b": pd.Categorical([])}),
        pd.DataFrame({"a": pd.to_timedelta([1, 2], unit="s"), "b": pd.to_timedelta([3, None])}),
        pd.DataFrame({"t": pd.date_range("2020", periods=2), "u": pd.to_datetime(["1960", None])}),
        pd.DataFrame([[1, "a"], [None, 2.5]], dtype=object),
        pd.DataFrame(np.zeros((2, 3), order="F")).T,
        pd.DataFrame(
            [[1, 2]],
            columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=[("x", 1), None]),
            index=pd.Index(["r"], name=("row", 1)),
        ),
    ],
    ids=lambda f: f"{f.shape}",
)
def test_frame_is_kept(frame):
    assert_kept(frame)


def test_blocks_stay_as_they_are():
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    frame["c"] = 3.0  # a block of its own
    assert len(layout(frame)) == 2
    assert_kept(frame)
    assert_kept(frame.copy())


def test_attrs_are_kept():
    frame = everything()
    frame.attrs = {"source": ["a", 1], "when": pd.Timestamp("2020")}
    assert_kept(frame)
    series = frame["int"]
    series.attrs["x"] = (1, 2)
    assert_kept(series)


def test_frames_inside_of_containers_are_kept():
    frame = everything()
    assert_kept({"train": (frame, frame["int"]), "test": [frame.iloc[:1]]})
    back = round_trip([frame, frame])
    assert back[0] is back[1]


frames = hpd.data_frames(
    [
        hpd.column("a", dtype=np.int64),
        hpd.column("b", dtype=np.float64),
        hpd.column("c", elements=st.one_of(st.none(), st.text(max_size=5)), dtype=object),
        hpd.column("d", dtype="M8[ns]"),
        hpd.column("e", dtype=bool),
        hpd.column("f", dtype=np.float64),
    ],
    index=hpd.range_indexes(max_size=8),
)


@given(frames, st.permutations("abcdef"), st.integers(0, 6), st.sampled_from([1, -1, 2]))
def test_frames_are_kept(frame, order, count, step):
    assert_kept(frame[list(order)[:count]].iloc[::step])


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=60),
    st.integers(0, 9),
    st.sampled_from(["str", "string", "string[python]", "object", "category"]),
)
def test_texts_are_kept(items, start, dtype):
    try:
        series = pd.Series(items, dtype=dtype)
    except UnicodeEncodeError:
        return
    assert_kept(series.iloc[start:])
    assert_kept(pd.concat([series, series]))
