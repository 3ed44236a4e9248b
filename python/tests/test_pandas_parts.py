# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Scalars, arrays, dtypes and offsets of pandas come back the same."""

import datetime
import warnings
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from same_value import assert_kept, round_trip
from vineyard.codecs import encode
from vineyard.codecs.pandas_arrays import checked_for_put

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    PERIODS_OF_BUSINESS_DAYS = pd.period_range("2020-01-01", periods=3, freq="B").array


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
        pd.arrays.NumpyExtensionArray(np.array([1, 2], ">i4")),
        pd.arrays.NumpyExtensionArray(np.array(["a", "bc"])),
        pd.arrays.NumpyExtensionArray(np.array([1, "a"], object)),
        pd.date_range("2020", periods=3, freq="B").array,
        pd.timedelta_range(0, periods=3, freq="2h").array,
        PERIODS_OF_BUSINESS_DAYS[0],
        pd.Period("2020-01-05", "2W-SUN"),
        pd.Interval(1.5, 2.5, "neither"),
        pd.Timestamp("2020", tz=datetime.timezone(datetime.timedelta(hours=-3), "X")),
        pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"),
        pd.Timedelta("1D").as_unit("s"),
        pd.Timestamp.max,
        pd.Timestamp.min,
        pd.Timedelta.min,
    ],
    ids=repr,
)
def test_pandas_scalars_and_arrays_are_kept(value):
    assert_kept(value)
    assert_kept([value, {"a": value}])


@pytest.mark.parametrize(
    "offset",
    [
        *(
            getattr(pd.offsets, name)(2)
            for name in pd.offsets.__all__
            if name not in ("BaseOffset", "Tick")
        ),
        pd.DateOffset(months=2, days=-1),
        pd.DateOffset(hour=3, nanoseconds=5),
        pd.offsets.Week(weekday=3),
        pd.offsets.MonthEnd(-3, normalize=True),
        pd.offsets.BusinessDay(offset=datetime.timedelta(hours=2)),
        pd.offsets.BusinessHour(start=["09:00", "14:30"], end=["12:00", "18:00"]),
        pd.offsets.FY5253(weekday=4, startingMonth=12, variation="last"),
        pd.offsets.CustomBusinessDay(holidays=["2020-01-01"], weekmask="Sun Mon Tue"),
        pd.offsets.CustomBusinessDay(calendar=np.busdaycalendar(holidays=["2020-01-01"])),
    ],
    ids=repr,
)
def test_offsets_are_kept(offset):
    assert_kept(offset)


@pytest.mark.parametrize(
    ("value", "typename"),
    [
        (pd.DataFrame({"a": [1]}), "vineyard::DataFrame"),
        (pd.Series([1]), "vineyard::Series"),
        (pd.RangeIndex(3), "vineyard::Index"),
        (pd.MultiIndex.from_arrays([[1], [2]]), "vineyard::Index"),
        (pd.period_range("2020", periods=2, freq="M"), "vineyard::Index"),
        (pd.arrays.SparseArray([0.0, 1.0]), "vineyard::SparseArray<float64>"),
        (pd.Categorical(["a"]), "vineyard::pandas.categorical"),
    ],
)
def test_typenames_are_those_of_v6d_where_it_had_one(value, typename):
    assert encode(value)[0] == typename


def test_offsets_that_their_words_do_not_make_are_refused():
    calendar = np.busdaycalendar(weekmask="Sun Mon")  # pandas itself forgets such a weekmask
    with pytest.raises(TypeError, match="CustomBusinessDay"):
        encode(pd.offsets.CustomBusinessDay(calendar=calendar), pickle=False)


@pytest.mark.parametrize(
    "dtype",
    [
        pd.CategoricalDtype(),
        pd.CategoricalDtype(ordered=True),
        pd.CategoricalDtype(["a"], ordered=None),
        pd.IntervalDtype(),
        pd.IntervalDtype("i8"),
        pd.IntervalDtype("datetime64[ns, UTC]"),
        pd.IntervalDtype(None, "left"),
    ],
    ids=repr,
)
def test_dtypes_with_something_open_are_kept(dtype):
    assert_kept(dtype)


def test_frames_of_other_classes_are_refused_without_pickle():
    class Mine(pd.DataFrame):
        pass

    with pytest.raises(TypeError, match="Mine"):
        encode(Mine({"a": [1]}), pickle=False)


def test_what_pandas_can_not_use_is_refused():
    for dtype in ("U1", "i4,i4", "M8[D]", ">M8[s]", "m8[2s]"):
        with pytest.raises(TypeError, match="pandas holds no"):
            checked_for_put(np.zeros(1, dtype))


def test_the_second_of_two_equal_hours_stays_the_second():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    first = pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert(zone)
    second = pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert(zone)
    assert round_trip(first) != round_trip(second)
