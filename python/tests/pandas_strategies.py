# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays, indexes, series and frames of pandas for property tests: every dtype, and every bit."""

import datetime
import string
import zoneinfo

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

UNITS = ["s", "ms", "us", "ns"]
ZONES = [
    None,
    datetime.UTC,
    zoneinfo.ZoneInfo("Europe/Berlin"),
    zoneinfo.ZoneInfo("America/New_York"),
    datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
]
FREQS = ["D", "h", "M", "Q-NOV", "Y", "W-TUE", "s", "2h", "ns"]

int64s = st.integers(-(2**63), 2**63 - 1)
floats = st.floats() | st.sampled_from([np.nan, -0.0, 5e-324])
texts = st.text(max_size=6)
#: Moments that every unit holds, in nanoseconds.
moments = st.integers(-(2**62), 2**62)


def _bits(dtype, size):
    """An array of `size` items of a numpy dtype, of any bits."""
    dtype = np.dtype(dtype)
    count = size * dtype.itemsize
    made = st.binary(min_size=count, max_size=count)
    if dtype.kind == "b":
        made = made.map(lambda data: bytes(b & 1 for b in data))
    return made.map(lambda data: np.frombuffer(data, dtype).copy())


def _listed(items, size):
    return st.lists(items, min_size=size, max_size=size)


def _missing(size):
    return hnp.arrays(bool, size)


NUMBERS = [
    "?",
    "i1",
    "i2",
    "i4",
    "i8",
    "u1",
    "u2",
    "u4",
    "u8",
    "f4",
    "f8",
    "c8",
    "c16",
    ">i4",
    ">f8",
    "f2",
    "g",
]


def numpy_arrays(size):
    """What numpy's arrays become in a column."""
    return st.one_of(
        st.sampled_from(NUMBERS).flatmap(lambda d: _bits(d, size)),
        st.sampled_from(UNITS).flatmap(lambda u: _bits(f"M8[{u}]", size)),
        st.sampled_from(UNITS).flatmap(lambda u: _bits(f"m8[{u}]", size)),
    )


def object_arrays(size):
    """Arrays of Python objects of several types."""
    items = st.one_of(
        st.none(),
        st.booleans(),
        int64s,
        floats,
        texts,
        st.sampled_from([pd.NA, pd.NaT, pd.Timestamp("2020"), (1, "a"), [1.5], {"k": None}]),
    )

    def array(values):
        made = np.empty(len(values), object)
        made[:] = values
        return made

    return _listed(items, size).map(array)


def masked_arrays(size):
    """Nullable integers, floats and booleans, with anything under what is missing."""
    classes = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}

    def array(parts):
        values, mask = parts
        return classes.get(values.dtype.kind, pd.arrays.IntegerArray)(values, mask)

    dtypes = st.sampled_from(["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
    return dtypes.flatmap(lambda d: st.tuples(_bits(d, size), _missing(size))).map(array)


def string_arrays(size):
    """Strings of every storage, and of both missing values where this pandas has both."""
    dtypes = [pd.StringDtype("python"), pd.StringDtype("pyarrow")]
    try:
        dtypes += [pd.StringDtype(s, na_value=np.nan) for s in ("python", "pyarrow")]
    except TypeError:
        dtypes.append(pd.StringDtype("pyarrow_numpy"))
    return st.tuples(_listed(st.none() | texts, size), st.sampled_from(dtypes)).map(
        lambda parts: pd.array(np.array([*parts[0], None], object)[:-1], dtype=parts[1])
    )


def datetime_arrays(size):
    """Datetimes of every unit, with and without a time zone."""

    def array(parts):
        values, unit, zone, missing = parts
        stamps = np.array(values, "M8[ns]").astype(f"M8[{unit}]")
        stamps[missing] = np.datetime64("NaT")
        index = pd.DatetimeIndex(stamps)
        return (index if zone is None else index.tz_localize("UTC").tz_convert(zone)).array

    return st.tuples(
        _listed(moments, size), st.sampled_from(UNITS), st.sampled_from(ZONES), _missing(size)
    ).map(array)


def period_arrays(size):
    """Periods of many frequencies."""
    return st.tuples(_listed(st.integers(-1000, 1000), size), st.sampled_from(FREQS)).map(
        lambda parts: pd.arrays.PeriodArray(
            np.array(parts[0], np.int64), dtype=pd.PeriodDtype(parts[1])
        )
    )


def categorical_arrays(size):
    """Categories of several types, also unused ones, and none at all."""
    categories = st.one_of(
        st.lists(texts, unique=True, max_size=5),
        st.lists(int64s, unique=True, max_size=5),
        st.integers(0, 200).map(pd.RangeIndex),
        st.integers(0, 4).map(lambda n: pd.date_range("2020", periods=n, tz="UTC")),
        st.integers(0, 4).map(lambda n: pd.interval_range(0, n)),
    )

    @st.composite
    def array(draw):
        made = pd.Index(draw(categories))
        codes = draw(hnp.arrays(np.int64, size, elements=st.integers(-1, len(made) - 1)))
        dtype = pd.CategoricalDtype(made, draw(st.booleans()))
        return pd.Categorical.from_codes(codes, dtype=dtype)

    return array()


def interval_arrays(size):
    """Intervals of numbers and of datetimes, every end closed, some missing."""

    def array(parts):
        values, dtype, closed, missing = parts
        left = pd.Index(np.array(values, "f8" if missing.any() and dtype != "M8[ns]" else dtype))
        right = left + (pd.Timedelta(1, "D") if dtype == "M8[ns]" else 1)
        if missing.any():
            left, right = left.where(~missing), right.where(~missing)
        return pd.arrays.IntervalArray.from_arrays(left, right, closed)

    return st.tuples(
        _listed(st.integers(-(2**31), 2**31), size),
        st.sampled_from(["i8", "f8", "M8[ns]"]),
        st.sampled_from(["left", "right", "both", "neither"]),
        _missing(size),
    ).map(array)


def sparse_arrays(size):
    """Sparse numbers and booleans, of both kinds, whatever fills them."""

    def array(parts):
        values, kind, fill = parts
        made = np.array(values, type(fill))
        return pd.arrays.SparseArray(made, kind=kind, fill_value=fill)

    kinds = st.sampled_from(["integer", "block"])
    numbers = st.sampled_from([0, 0, 0, 1, -7, 2**40])
    reals = st.sampled_from([0.0, np.nan, np.nan, 1.5])
    return st.one_of(
        st.tuples(_listed(numbers, size), kinds, st.sampled_from([0, 1])),
        st.tuples(_listed(reals, size), kinds, st.sampled_from([0.0, np.nan])),
        st.tuples(_listed(st.booleans(), size), kinds, st.booleans()),
    ).map(array)


ARROW_ITEMS = [
    (pa.int64(), int64s),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), texts),
    (pa.large_string(), texts),
    (pa.binary(), st.binary(max_size=5)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(datetime.UTC))),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
    (pa.list_(pa.int8()), st.lists(st.none() | st.integers(-128, 127), max_size=3)),
    (
        pa.struct({"a": pa.int8(), "b": pa.string()}),
        st.fixed_dictionaries({"a": st.none() | st.integers(-9, 9), "b": st.none() | texts}),
    ),
]


def arrow_arrays(size):
    """Arrow-backed arrays, of plain and of nested types, with dictionaries, of several chunks."""

    @st.composite
    def array(draw):
        kind, items = draw(st.sampled_from(ARROW_ITEMS))
        values = pa.array(draw(_listed(st.none() | items, size)), kind)
        if kind == pa.string() and draw(st.booleans()):
            values = values.dictionary_encode()
        cut = draw(st.integers(0, size))
        chunks = [values.slice(0, cut), values.slice(cut)] if cut else [values]
        return pd.arrays.ArrowExtensionArray(pa.chunked_array(chunks, values.type))

    return array()


KINDS = [
    numpy_arrays,
    object_arrays,
    masked_arrays,
    string_arrays,
    datetime_arrays,
    period_arrays,
    categorical_arrays,
    interval_arrays,
    sparse_arrays,
    arrow_arrays,
]


def columns(size):
    """An array of any kind."""
    return st.sampled_from(KINDS).flatmap(lambda kind: kind(size))


names = st.one_of(
    st.none(), texts, int64s, st.tuples(texts, int64s), st.just(pd.Timestamp("2020")), floats
)


def _index_of(array, name):
    if isinstance(array, np.ndarray) and array.dtype == np.float16:
        array = array.astype("f4")  # pandas has no such index
    if isinstance(array, np.ndarray) and array.dtype.kind == "O":
        made = pd.Index(array, dtype=object, tupleize_cols=False)
    else:
        made = pd.Index(array)
    return made.rename(name)


@st.composite
def indexes(draw, size):
    """Every kind of index of that length."""
    kind = draw(st.sampled_from(["range", "array", "array", "multi", "freq"]))
    name = draw(names)
    if kind == "range":
        start, step = draw(st.integers(-99, 99)), draw(st.integers(-9, 9)) or 1
        return pd.RangeIndex(start, start + size * step, step, name=name)
    if kind == "multi":
        parts = draw(st.integers(1, 3).flatmap(lambda n: _listed(_levels(size), n)))
        labels = draw(_listed(names, len(parts)))
        made = pd.MultiIndex.from_arrays(parts, names=labels)
        return made[:: draw(st.sampled_from([1, -1]))]
    if kind == "freq":
        freq = draw(
            st.sampled_from(["D", "B", "2h", "MS", "W-TUE", pd.DateOffset(days=1, hours=3)])
        )
        zone = draw(st.sampled_from([None, "UTC", "Asia/Tokyo"]))
        return pd.date_range("2020-02-01", periods=size, freq=freq, tz=zone, name=name)
    return _index_of(draw(columns(size)), name)


def _levels(size):
    """Arrays whose items can be sorted and hashed."""
    kinds = [string_arrays, datetime_arrays, categorical_arrays, masked_arrays, interval_arrays]
    numbers = st.sampled_from(["i8", "u2", "f8"]).flatmap(lambda d: _bits(d, size))
    return st.one_of(numbers, *(kind(size) for kind in kinds))


attributes = st.dictionaries(st.sampled_from(string.ascii_lowercase), st.none() | texts, max_size=2)


@st.composite
def series(draw):
    """Series with any values, index, name, attributes."""
    size = draw(st.integers(0, 6))
    made = pd.Series(draw(columns(size)), index=draw(indexes(size)), copy=False)
    made.name = draw(names)
    made.attrs = draw(attributes)
    return made


@st.composite
def frames(draw):
    """Frames of any columns and labels; some columns lie together, some apart, some are views."""
    size, width = draw(st.integers(0, 5)), draw(st.integers(0, 6))
    parts = {i: pd.Series(draw(columns(size)), copy=False) for i in range(width)}
    made = pd.DataFrame(parts, index=range(size))
    if width and draw(st.booleans()):
        made = made.copy()
    if width and draw(st.booleans()):
        order = draw(st.permutations(range(width)))
        try:
            made = made[order]
        except ValueError:
            pass  # pandas 2.2 moves no big-endian columns
    made = made.iloc[:: draw(st.sampled_from([1, 1, -1, 2]))]
    made.columns = draw(indexes(width))
    made.index = draw(indexes(len(made)))
    made.attrs = draw(attributes)
    return made
