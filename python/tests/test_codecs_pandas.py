# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of pandas come back the same, block by block, without a store and without pickle."""

import datetime
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import pandas as hpd
from same_value import assert_kept, layout, round_trip, stored
from vineyard.codecs import decode, encode

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


def test_frame_of_all_dtypes_is_kept():
    assert_kept(everything())
    assert_kept(pd.concat([everything()] * 2, axis=1))  # duplicate labels
    assert_kept(everything().iloc[1:])
    assert_kept(everything().iloc[:0])


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


@pytest.mark.parametrize(
    "value",
    [
        pd.NaT,
        pd.NA,
        pd.Timestamp("2020-01-01 12:00:00.123456789"),
        pd.Timestamp("2020-10-25 04:30", tz="Europe/Berlin"),
        pd.Timestamp("1500-01-01").as_unit("s"),
        pd.Timestamp("2020", tz=datetime.UTC),
        pd.Timedelta("1D 3h"),
        pd.Timedelta(-1, unit="ns"),
        pd.Period("2020-01", "M"),
        pd.Interval(1, 2, "left"),
        pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
        pd.array([1, None], dtype="Int8"),
        pd.array(["a", None], dtype="str"),
        pd.Categorical([1, 2]),
        pd.array(np.arange(3)),
    ],
    ids=repr,
)
def test_pandas_scalars_and_arrays_are_kept(value):
    assert_kept(value)
    assert_kept([value, {"a": value}])


def test_the_second_of_two_equal_hours_stays_the_second():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    first = pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert(zone)
    second = pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert(zone)
    assert round_trip(first) != round_trip(second)


def test_frames_inside_of_containers_are_kept():
    frame = everything()
    assert_kept({"train": (frame, frame["int"]), "test": [frame.iloc[:1]]})
    back = round_trip([frame, frame])
    assert back[0] is back[1]


def test_columns_are_views_of_the_buffers():
    n = 1000
    frame = pd.DataFrame(
        {
            "a": np.arange(n * 1.0),
            "b": np.arange(n * 1.0),
            "s": pd.array(["text"] * n, dtype="string[pyarrow]"),
            "t": pd.date_range("2020", periods=n, tz="UTC"),
            "c": pd.Categorical(["x"] * n),
            "i": pd.array([1] * n, dtype="Int64"),
        }
    )
    typename, metadata, buffers = stored(encode(frame, pickle=False))
    back = decode(typename, metadata, buffers)
    ranges = [
        (start := np.frombuffer(b, np.uint8).ctypes.data, start + len(b)) for b in buffers if b
    ]

    def inside(address):
        return any(low <= address < high for low, high in ranges)

    assert inside(back["a"].to_numpy().ctypes.data)
    assert back["a"].to_numpy().base is not None
    assert inside(back["t"].array._ndarray.ctypes.data)
    assert inside(back["c"].cat.codes.to_numpy().ctypes.data) or inside(
        back["c"].array._codes.ctypes.data
    )
    assert inside(back["i"].array._data.ctypes.data)
    for chunk in back["s"].array._pa_array.chunks:
        assert all(inside(b.address) for b in chunk.buffers() if b is not None)
    with pytest.raises(ValueError, match="read-only"):
        back["a"].to_numpy()[0] = 1


def test_slices_store_only_their_own_strings():
    series = pd.Series([f"text {i}" for i in range(10_000)])
    buffers = stored(encode(series.iloc[5000:5010]))[2]
    assert sum(map(len, buffers)) < 1000


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
