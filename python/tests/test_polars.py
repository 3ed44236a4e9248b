# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of polars come back the same, without a store and without pickle."""

import datetime
import json
import struct
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_arrow import assert_same_arrow
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import CorruptedException, TypeErrorException

pl = pytest.importorskip("polars")
dataframes = pytest.importorskip("polars.testing.parametric").dataframes


def assert_polars_kept(value):
    encoded = stored(encode(value, pickle=False))
    for pickle in (True, False):
        back = decode(*encoded, pickle=pickle)
        assert type(back) is type(value)
        a, b = (x if isinstance(x, pl.DataFrame) else x.to_frame() for x in (value, back))
        assert a.schema == b.schema
        assert a.shape == b.shape
        assert a.flags == b.flags
        assert a.equals(b, null_equal=True)
        for x, y in zip(pa.table(a).columns, pa.table(b).columns, strict=True):
            assert_same_arrow(x.type, y.type)
            if "dictionary" in str(x.type):  # polars may number the categories otherwise
                assert repr(x.to_pylist()) == repr(y.to_pylist())  # NaN too
            else:
                assert_same_arrow(_joined(x), _joined(y))
    return back


def _joined(column):
    """One array of all chunks; polars may cut them otherwise."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else column


INTEGERS = pl.Series("x", [1, None, -3, 7])
DAY = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
SERIES = {
    "Boolean": pl.Series("x", [True, None, False] * 5),
    **{
        str(t): INTEGERS.abs().cast(t)
        for t in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
    },
    "Float32": pl.Series("x", [float("nan"), -0.0, None, float("inf")], pl.Float32),
    "Float64": pl.Series("x", [float("nan"), -0.0, None, float("inf")]),
    "Decimal": pl.Series("x", [Decimal("1.23"), None, Decimal("-99999.99")]),
    "String": pl.Series("x", ["", "short", None, "é" * 50]),
    "Binary": pl.Series("x", [b"", b"short", None, b"\xff" * 50]),
    "Date": pl.Series("x", [DAY.date(), None]),
    "Time": pl.Series("x", [DAY.time(), None]),
    **{
        f"Datetime {u}": pl.Series("x", [DAY, None]).dt.cast_time_unit(u)
        for u in ("ms", "us", "ns")
    },
    "Datetime with zone": pl.Series("x", [DAY, None]).dt.replace_time_zone("Europe/Berlin"),
    **{
        f"Duration {u}": pl.Series("x", [datetime.timedelta(1, 2), None]).dt.cast_time_unit(u)
        for u in ("ms", "us", "ns")
    },
    "Null": pl.Series("x", [None, None]),
    "Categorical": pl.Series("x", ["b", "a", None, "b"], pl.Categorical),
    "Enum": pl.Series("x", ["b", "a", None, "b"], pl.Enum(["never", "b", "a"])),
    "List": pl.Series("x", [[1], None, [], [None, 2]]),
    "Array": pl.Series("x", [[1, 2], None, [3, None]], pl.Array(pl.Int16, 2)),
    "Struct": pl.Series("x", [{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    "List of lists": pl.Series("x", [[["a"], None], [], None]),
    "List of Categorical": pl.Series("x", [["a", "b"], None], pl.List(pl.Categorical)),
    "List of Enum": pl.Series("x", [["a"], None], pl.List(pl.Enum(["b", "a"]))),
    "Struct of everything": pl.Series(
        "x",
        [{"l": [{"e": "b"}], "t": DAY}],
        pl.Struct({"l": pl.List(pl.Struct({"e": pl.Enum("ab")})), "t": pl.Datetime("ms")}),
    ),
    "no name": pl.Series([1, 2]),
}
if hasattr(pl, "Categories"):  # newer releases of polars give them names
    SERIES["Categorical of a name"] = pl.Series(
        "x", ["b", "a", None], pl.Categorical(pl.Categories("name", "space", pl.UInt8))
    )


@pytest.mark.parametrize("name", SERIES)
def test_series_of_every_dtype_are_kept_whole_and_sliced(name):
    series = SERIES[name]
    assert_polars_kept(series)
    assert_polars_kept(series.clear())
    assert_polars_kept(pl.concat([series] * 9).slice(3, 11))
    assert_polars_kept(series.slice(1))
    assert_polars_kept(series.alias(""))


@given(
    dataframes(
        excluded_dtypes=[pl.Object, pl.Int128] + ([pl.UInt128] if hasattr(pl, "UInt128") else []),
        allow_chunks=True,
        max_cols=4,
        max_size=9,
        allow_time_zones=True,
    )
)
def test_frames_are_kept_or_refused(frame):
    try:
        encode(frame, pickle=False)
    except TypeErrorException as error:
        assert any(why in str(error) for why in ("width 0", "NUL"))
    else:
        assert_polars_kept(frame)


def test_frames_without_rows_or_columns_are_kept():
    for frame in (
        pl.DataFrame(),
        pl.DataFrame(height=5),
        pl.DataFrame(schema={"a": pl.Int8, "b": pl.List(pl.Enum(["x"]))}),
        pl.DataFrame({"": [1], "a\né": ["x"]}),
    ):
        assert_polars_kept(frame)


def test_large_frames_keep_their_chunks():
    half = pl.DataFrame({"a": np.arange(100_000), "s": ["x" * 20] * 100_000})
    frame = half.clone().vstack(half)
    back = assert_polars_kept(frame)
    assert back.n_chunks() == frame.n_chunks()


def test_flags_of_sorted_columns_are_kept():
    frame = pl.DataFrame({"a": [1, 2, None], "b": [3, 2, 1], "c": [1, 3, 2]})
    frame = frame.with_columns(
        pl.col("a").sort(nulls_last=True),
        pl.col("b").set_sorted(descending=True),
    )
    assert frame["b"].flags["SORTED_DESC"]
    assert_polars_kept(frame)
    assert_polars_kept(frame["b"])


def test_a_flag_that_lies_is_found_out():
    typename, metadata, buffers = stored(encode(pl.Series("a", [1, 3, 2])))
    for flags in ({"0": "ascending"}, {"1": "ascending"}, {"0": "up"}, {"x": "ascending"}, [1], 7):
        node = {**json.loads(metadata), "sorted_": flags}
        with pytest.raises(CorruptedException):
            decode(typename, json.dumps(node), buffers, pickle=False)


def test_a_series_of_several_columns_is_found_out():
    typename, metadata, buffers = stored(encode(pl.DataFrame({"a": [1], "b": [2]})))
    node = {**json.loads(metadata), "codec": "polars.series"}
    with pytest.raises(CorruptedException, match="columns"):
        decode(typename, json.dumps(node), buffers)


def test_nothing_is_copied_at_put_and_at_get():
    frame = pl.DataFrame({"a": np.arange(1000.0), "b": np.arange(1000)})
    _, metadata, buffers, _ = encode(frame, pickle=False)
    handed = [np.frombuffer(b, np.uint8).ctypes.data for b in buffers]
    assert handed == [frame[c].to_numpy().ctypes.data for c in "ab"]
    kept = [bytes(memoryview(b)) for b in buffers]
    back = decode("", metadata, kept, pickle=False)
    views = [np.frombuffer(b, np.uint8).ctypes.data for b in kept]
    assert views == [back[c].to_numpy().ctypes.data for c in "ab"]


def test_of_a_slice_only_its_own_bytes_are_stored():
    frame = pl.DataFrame({"a": range(10_000), "s": [f"{i:>50}" for i in range(10_000)]})
    part = frame.slice(5000, 100)
    assert sum(len(b) for b in stored(encode(part))[2]) < 100 * (8 + 16 + 50) + 500
    few = frame.filter(pl.col("a") % 1000 == 0)
    assert sum(len(b) for b in stored(encode(few))[2]) < 2000
    assert_polars_kept(part)
    assert_polars_kept(few)


def test_what_would_not_come_back_is_refused():
    for value, why in (
        (pl.DataFrame({"a": [1]}).lazy(), "collect"),
        (pl.Series("x", [object()], pl.Object), "objects"),
        (pl.Series("x", [[[1]]], pl.List(pl.Array(pl.Int128, 1))), "128"),
        (pl.Series("x", [[]], pl.Array(pl.Int8, 0)), "width 0"),
        (pl.Series("a\0b", [1]), "NUL"),
        (pl.Series("x", [[{"a\0b": 1}]]), "NUL"),
        (pl.DataFrame({"a": [{"b": 1}]}, schema={"a": pl.Struct({"b": pl.Int128})}), "128"),
    ):
        for pickle in (True, False):
            with pytest.raises(TypeErrorException, match=why):
                encode(value, pickle=pickle)


def test_frames_inside_of_others_are_kept():
    frame = pl.DataFrame({"a": [1, 2]})
    back = decode(*stored(encode({"x": [frame, frame]}, pickle=False)), pickle=False)
    assert back["x"][0] is back["x"][1]
    assert back["x"][0].equals(frame)


@pytest.mark.parametrize("said", ["9;b", "-1;b", "9" * 30 + ";b", "x", "1;a1;a"])
def test_categories_that_lie_are_a_typed_error(said, capfd):
    typename, metadata, buffers = stored(encode(SERIES["Enum"]))
    node = json.loads(metadata)
    node["schema_"]["fields_"][0]["metadata_"] = [["_PL_ENUM_VALUES2", said]]
    with pytest.raises(CorruptedException, match="polars says"):
        decode(typename, json.dumps(node), buffers, pickle=False)
    capfd.readouterr()  # polars has said more


@given(st.binary(max_size=3), st.integers(0, 40))
def test_damaged_buffers_give_a_typed_error_or_a_frame(some, at):
    frame = pl.DataFrame({"e": SERIES["Enum"], "s": SERIES["String"]})
    typename, metadata, buffers = stored(encode(frame))
    for i, buffer in enumerate(buffers):
        changed = [*buffers]
        changed[i] = buffer[:at] + some + buffer[at + len(some) :]
        try:
            decode(typename, metadata, changed, pickle=False).rows()
        except CorruptedException:
            pass


@pytest.mark.parametrize(
    ("module", "change", "why"),
    [
        ("polars", "polars.__version__ = '1.43.2'", "polars 1.44 or later"),
        ("pyarrow", "pa.DataType = object", "pyarrow 19 or later"),
    ],
)
def test_a_release_that_is_too_old_says_which_is_needed(python, module, change, why):
    done = python(
        f"""
        import polars, pyarrow as pa
        from vineyard.codecs import decode, encode
        frame = polars.DataFrame({{"a": [1]}})
        {change}
        node = '{{"codec": "polars.frame", "version": 1}}'
        for ask in (lambda: encode(frame), lambda: decode("", node, [])):
            try:
                ask()
            except ImportError as error:
                assert error.name == {module!r}, error
                print(error)
        """
    )
    assert done.stdout.count(why) == 2


# ---- integers of 128 bits, which Arrow does not have

RANGES = {"Int128": (-(2**127), 2**127 - 1)}
if hasattr(pl, "UInt128"):
    RANGES["UInt128"] = (0, 2**128 - 1)


def wide_series(name, dtype="Int128"):
    return st.lists(st.none() | st.integers(*RANGES[dtype]), max_size=20).map(
        lambda values: pl.Series(name, values, getattr(pl, dtype))
    )


@given(st.data())
def test_integers_of_128_bits_are_kept(data):
    dtype = data.draw(st.sampled_from(sorted(RANGES)))
    series = data.draw(wide_series(data.draw(st.sampled_from(["", "x", "high"])), dtype))
    if data.draw(st.booleans()):
        series = series.sort(descending=data.draw(st.booleans()))
    frame = series.to_frame().with_columns(pl.Series("other", ["a"] * len(series), pl.String))
    for value in (series, frame, frame.select("other", series.name)):
        back = decode(*stored(encode(value, pickle=False)), pickle=False)
        assert type(back) is type(value)
        assert back.equals(value, null_equal=True)
        columns = [v.to_frame() if isinstance(v, pl.Series) else v for v in (value, back)]
        assert columns[0].schema == columns[1].schema
        assert columns[0].flags == columns[1].flags


@pytest.mark.parametrize("dtype", sorted(RANGES))
def test_the_ends_of_their_range_are_kept(dtype):
    low, high = RANGES[dtype]
    edges = [2**64 - 1, 2**64, 2**63, 2**63 - 1, 0, 1, None]
    values = [low, low + 1, high, high - 1, *edges, *[-v for v in edges if v and low < 0]]
    back = decode(*stored(encode(pl.Series("x", values, getattr(pl, dtype)))))
    assert back.to_list() == values
    assert back.dtype == getattr(pl, dtype)


@pytest.mark.parametrize(
    "change",
    [
        {"wide_": {"0": "Int64"}},
        {"wide_": {"7": "Int128"}},
        {"wide_": {"x": "Int128"}},
        {"wide_": {"1": "Int128"}},
        {"wide_": {"0": 5}},
        {"wide_": ["0"]},
    ],
)
def test_lies_about_wide_integers_are_typed_errors(change):
    frame = pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128), "b": [1]})
    typename, metadata, buffers = stored(encode(frame))
    with pytest.raises(CorruptedException):
        decode(typename, json.dumps({**json.loads(metadata), **change}), buffers)


@pytest.mark.skipif(not hasattr(pl, "Float16"), reason="a newer polars has them")
def test_half_floats_are_kept():
    assert_polars_kept(pl.Series("x", [1.5, None, float("nan"), -0.0], pl.Float16))


@pytest.mark.parametrize("dtype", [pl.String, pl.Binary])
def test_views_of_nulls_lead_nowhere(dtype):
    """polars compares what they lead to; in data of strangers that may be anywhere."""
    astray = struct.pack("<i4sii", 100_000, b"abcd", 0, 2**30)
    buffers = [b"\1", struct.pack("<i12s", 1, b"x") + astray * 3, b"y" * 20]
    array = {"length_": 4, "null_count_": 3, "buffers_": [0, 1, 2]}
    field = {"name_": "x", "type_": "vu" if dtype is pl.String else "vz"}
    node = {"codec": "polars.series", "version": 1, "num_rows_": 4, "columns_": [[array]]}
    node["schema_"] = {"fields_": [field]}
    back = decode("", json.dumps(node), buffers, pickle=False)
    assert (back == back).to_list() == [True, None, None, None]
    assert back.eq_missing(back).all()
    buffers[0] = b"\3"
    with pytest.raises(CorruptedException):
        decode("", json.dumps(node), buffers, pickle=False)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("bits", [32, 64, 256])
def test_decimals_that_polars_does_not_have_are_refused(bits, wrapped):
    """Compared with one another, polars would read behind the end of those of 32 and 64 bits."""
    if not hasattr(pa, f"decimal{bits}"):
        pytest.skip("this pyarrow does not have them either")
    column = pa.array([1, None], getattr(pa, f"decimal{bits}")(9, 2))
    if wrapped:
        column = pa.StructArray.from_arrays([column], ["inner"])
    _, metadata, buffers = stored(encode(pa.table({"x": column})))
    node = {**json.loads(metadata), "codec": "polars.frame", "from_polars": True}
    with pytest.raises(CorruptedException, match=f"decimals of {bits} bits"):
        decode("vineyard::polars.frame", json.dumps(node), buffers, pickle=False)
