# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of Python and its standard library come back the same, without a store or pickle."""

import collections
import datetime
import decimal
import fractions
import json
import pathlib
import uuid
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from program_classes import (
    Frozen,
    Pair,
    Plain,
    changed,
)
from same_python import copied, kept
from same_value import stored
from value_strategies import python_values, standard_values
from vineyard.codecs import decode, encode
from vineyard.errors import (
    NotAvailableHereException,
    TypeErrorException,
)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@given(standard_values)
def test_values_of_the_standard_library_are_kept(value):
    kept(value)
    kept([value, {"a": (value,)}])


@given(python_values)
def test_nested_values_are_kept(value):
    kept(value)


# ---- the standard library


@pytest.mark.parametrize(
    "value",
    [
        NotImplemented,
        slice(None),
        slice(1, 2**80, "x"),
        range(0),
        range(-5, 2**90, 3),
        datetime.date.min,
        datetime.datetime.max,
        datetime.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN),
        datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
        datetime.datetime(1, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0, 1, 5), "X")),
        datetime.time(1, 2, 3, 4, fold=1),
        datetime.time(1, tzinfo=datetime.UTC),
        datetime.timedelta.min,
        datetime.timedelta.max,
        datetime.UTC,
        datetime.timezone(-datetime.timedelta(microseconds=1)),
        BERLIN,
        decimal.Decimal("-0"),
        decimal.Decimal("1.500"),
        decimal.Decimal("-NaN123"),
        decimal.Decimal("sNaN0007"),
        decimal.Decimal("-Infinity"),
        decimal.Decimal("1E+999999999999999999"),
        decimal.Decimal("9" * 5000),
        fractions.Fraction(-1, 3),
        fractions.Fraction(2**9000, 3**5000),
        uuid.UUID(int=5),
        uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe),
        pathlib.Path("/a/../b"),
        pathlib.PurePosixPath("//x/y\udcff"),
        pathlib.PureWindowsPath("c:/x"),
        pathlib.PureWindowsPath(r"\\host\share\x"),
        pathlib.Path(),
        collections.OrderedDict([("b", 1), ("a", [])]),
        collections.defaultdict(list, {1: [2]}),
        collections.defaultdict(None, {1: [2]}),
        collections.defaultdict(collections.Counter),
        collections.Counter("abca"),
        collections.Counter({"a": -1, "b": 1.5}),
        collections.deque([1, [2]]),
        collections.deque(range(50), maxlen=60),
        collections.deque(maxlen=0),
        frozenset({fractions.Fraction(1, 2), BERLIN, Pair(1, 2)}),
        b"\0" * 100_000,
        bytearray(b"abc"),
    ],
    ids=lambda v: f"{type(v).__name__} {v!r}"[:40],
)
def test_value_of_the_standard_library_is_kept(value):
    kept(value)
    kept([value, {"a": (value, value)}])


def test_context_of_decimals_does_not_matter():
    for value in (decimal.Decimal("1.23456789E+30"), decimal.Decimal("sNaN")):
        with decimal.localcontext(prec=2, capitals=0, Emax=3, traps=[]):
            encoded = stored(encode(value))
        with decimal.localcontext(prec=1, traps=[decimal.Inexact, decimal.InvalidOperation]):
            back = decode(*encoded, pickle=False)
        assert back.as_tuple() == value.as_tuple()


def test_collections_keep_their_attributes():
    for value in (collections.OrderedDict(a=1), collections.Counter("a")):
        back = kept(changed(value, beside=[2]))
        assert back.beside == [2]


def test_an_ambiguous_path_is_refused():
    path = pathlib.PureWindowsPath("./c:x")
    if pathlib.PureWindowsPath(str(path)) == path:
        kept(path)
    else:
        with pytest.raises(TypeErrorException, match="path"):
            encode(path)


def test_a_huge_fraction_is_refused():
    with pytest.raises(TypeErrorException, match="bits"):
        encode(fractions.Fraction(1, 3 << 2**18))


# ---- time zones


def test_zones_of_pytz_keep_their_period():
    pytz = pytest.importorskip("pytz")
    berlin = pytz.timezone("Europe/Berlin")
    summer = berlin.localize(datetime.datetime(2020, 7, 1))
    winter = berlin.localize(datetime.datetime(2020, 12, 1))
    back = kept([summer, winter, berlin, pytz.UTC, pytz.FixedOffset(90), pytz.timezone("EST")])
    assert back[0].utcoffset() == datetime.timedelta(hours=2)
    assert back[0].tzinfo is summer.tzinfo
    assert back[2] is berlin


def test_zones_of_dateutil_are_kept():
    tz = pytest.importorskip("dateutil.tz")
    for zone in (tz.tzutc(), tz.tzlocal(), tz.gettz("Europe/Berlin"), tz.tzoffset("X", 3600)):
        back = copied([zone, datetime.datetime(2020, 7, 1, tzinfo=zone)])
        assert type(back[0]) is type(zone)
        assert back[0] == zone
        assert back[1].tzinfo is back[0]
    assert copied(tz.tzoffset(None, -60)) == tz.tzoffset(None, -60)


def test_zones_without_a_name_are_refused(tmp_path):
    source = next(
        pathlib.Path(p, "Europe/Berlin")
        for p in zoneinfo.TZPATH
        if pathlib.Path(p, "Europe/Berlin").exists()
    )
    with source.open("rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file, key="Europe/London")
    with pytest.raises(TypeErrorException, match="file"):
        encode(datetime.datetime(2020, 1, 1, tzinfo=zone))


def test_a_zone_that_is_not_cached_is_another_one():
    zone = zoneinfo.ZoneInfo.no_cache("Europe/Berlin")
    back = copied([zone, zone, BERLIN])
    assert back[0] is back[1] is not BERLIN
    assert back[2] is BERLIN


@pytest.mark.parametrize("kind", ["zoneinfo", "pytz", "dateutil"])
def test_a_zone_that_is_unknown_here_says_so(kind):
    pytest.importorskip("pytz")
    pytest.importorskip("dateutil")
    node = {"codec": "zone", "version": 1, "kind_": kind, "key_": "Europe/Atlantis"}
    with pytest.raises(NotAvailableHereException, match="'Europe/Atlantis' is not known on this"):
        decode("x", json.dumps(node), [])


# ---- memoryviews


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b""),
        memoryview(b"abc"),
        memoryview(bytearray(b"abcd"))[::2],
        memoryview(b"abcdefgh")[::-1],
        memoryview(b"abcdefgh").cast("i"),
        memoryview(b"abcdefgh").cast("c", (2, 4)),
        memoryview(b"12345678").cast("P"),
        memoryview(b"1234").cast("i", []),
        memoryview(b"").cast("d"),
        memoryview(np.arange(6).reshape(2, 3)),
        memoryview(np.arange(6).reshape(2, 3).T),
        memoryview(np.zeros((0, 3), np.int32)),
        memoryview(np.arange(3, dtype=">i4")),
        memoryview(np.arange(3, dtype="f2")),
        memoryview(np.array([1 + 2j])),
        memoryview(np.array(["ab", "c"])),
        memoryview(np.array([b"ab", b"c"])),
        memoryview(np.array([(1, 2.5)], [("a", "i4"), ("b", "<f8")])),
        memoryview(np.longdouble([1.5])),
    ],
    ids=lambda v: f"{v.format}{v.shape}",
)
def test_memoryview_is_kept(view):
    back = kept(view)
    assert back.tolist() == view.tolist() if view.format in "BbcidPlq" else True
    kept([view, view])


def test_memoryviews_are_handed_over_and_come_back_without_a_copy():
    data = bytearray(b"x" * 8000)
    (buffer,) = encode(memoryview(data).cast("d"))[2]
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), np.frombuffer(data, np.uint8))
    typename, metadata, buffers = stored(encode([memoryview(data).cast("d")]))
    back = decode(typename, metadata, buffers)[0]
    assert np.shares_memory(np.frombuffer(back, np.uint8), np.frombuffer(buffers[0], np.uint8))


def test_memoryviews_of_objects_are_refused():
    for array in (np.array([1, "a"], object), np.zeros(2, [("a", "O")])):
        with pytest.raises(TypeErrorException, match="format"):
            encode(memoryview(array))


# ---- identity, keys, depth


def test_what_is_one_inside_of_a_value_stays_one():
    inner, zone = Plain([1]), zoneinfo.ZoneInfo.no_cache("UTC")
    value = {
        "a": inner,
        "b": Pair(inner, collections.deque([inner.x])),
        "t": [datetime.datetime(2020, 1, 1, tzinfo=zone)] * 2,
        "z": zone,
    }
    back = copied(value)
    assert back["a"] is back["b"].a
    assert back["b"].b[0] is back["a"].x
    assert back["t"][0] is back["t"][1]
    assert back["z"] is back["t"][0].tzinfo


def test_cycles_through_an_instance_need_pickle():
    parent = Plain([])
    parent.x.append(parent)
    with pytest.raises(TypeErrorException, match="contains itself"):
        encode(parent, pickle=False)
    back = copied(parent, pickle=True)
    assert back.x[0] is back


def test_two_nans_stay_two_keys():
    value = {float("nan"): 1, float("nan"): 2}
    assert len(copied(value)) == 2


# ---- what is stored by a builder


def test_parts_of_a_value_can_be_stored_by_other_means():
    import vineyard

    stored_parts = {}

    def custom(value):
        if type(value) is Plain:
            ref = vineyard.ObjectID(len(stored_parts) + 1)
            stored_parts[ref] = value
            return ref
        return None

    a, b = Plain(1), Plain(2)
    value = [a, {"x": (b, a)}, 5]
    typename, metadata, buffers, members = encode(value, pickle=False, custom=custom)
    assert list(members.values()) == list(stored_parts)
    back = decode(
        typename, metadata, buffers, pickle=False, member=lambda key: stored_parts[members[key]]
    )
    assert back[0] is back[1]["x"][1] is a
    assert back[1]["x"][0] is b
    with pytest.raises(TypeErrorException, match="ObjectID"):
        encode({(Plain(3),)}, custom=custom) if Plain.__hash__ else encode(
            {Frozen(1): 1},
            custom=lambda v: vineyard.ObjectID(1) if type(v) is Frozen else None,
        )


def test_an_id_is_no_key_even_when_it_was_met_before():
    import vineyard

    ref = vineyard.ObjectID(7)
    pair = (1, ref)
    for value in ({ref: 1}, [ref, {ref: 1}], [pair, {pair: 1}], [ref, {(ref,)}], [pair, {pair}]):
        with pytest.raises(TypeErrorException, match="ObjectID"):
            encode(value)
    encode([ref, pair, {(1, 2): ref}, {"a": pair}])


def test_a_zone_outside_of_the_database_is_refused_at_put(tmp_path):
    for directory in map(pathlib.Path, zoneinfo.TZPATH):
        if (directory / "Europe/Berlin").is_file():
            (tmp_path / "my zone").symlink_to(directory / "Europe/Berlin")
            break
    else:
        pytest.skip("the machine has no files of time zones")
    try:
        zoneinfo.reset_tzpath(to=[str(tmp_path)])
        with pytest.raises(TypeErrorException, match="no name of the tz database"):
            encode(zoneinfo.ZoneInfo("my zone"))
    finally:
        zoneinfo.reset_tzpath()
