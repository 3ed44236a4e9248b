# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Stored values of pandas that lie give a typed error, or a value that can be used."""

import contextlib
import copy
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_value import stored
from vineyard.codecs import NotEncoded, decode, encode
from vineyard.errors import CorruptedException, VineyardException

VALUES = {
    "frame": pd.DataFrame({"a": [1, 2], "b": [1.5, 2], "c": [3, 4]}, index=["x", "y"]),
    "flags": pd.Series([1, 2], index=[1, 2]).set_flags(allows_duplicate_labels=False),
    "attrs": pd.Series([1], name=("a", 1)),
    "range": pd.RangeIndex(5, name="r"),
    "multi": pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("a", 2)], names=["x", "y"]),
    "datetimes": pd.date_range("2020", periods=3, freq="2h", tz="Europe/Berlin"),
    "timedeltas": pd.timedelta_range(0, periods=3, freq="h"),
    "periods": pd.period_range("2020", periods=3, freq="M"),
    "categories": pd.Categorical(["a", "b", None], ordered=True),
    "masked": pd.array([1, None, 3], dtype="Int16"),
    "booleans": pd.array([True, None], dtype="boolean"),
    "intervals": pd.arrays.IntervalArray.from_breaks([0.0, 1, 2]),
    "strings": pd.array(["a", None], dtype="string[python]"),
    "texts": pd.array(["a", None], dtype="string[pyarrow]"),
    "arrow": pd.array([1, None], dtype="int64[pyarrow]"),
    "numpy": pd.arrays.NumpyExtensionArray(np.arange(3)),
    "sparse": pd.arrays.SparseArray([0, 0, 5, 6]),
    "sparse blocks": pd.arrays.SparseArray([0, 4, 5, 0, 6], kind="block"),
    "timestamp": pd.Timestamp("2020", tz="Europe/Berlin"),
    "timedelta": pd.Timedelta(5),
    "period": pd.Period("2020", "M"),
    "interval": pd.Interval(0, 1),
    "offset": pd.offsets.Week(2, weekday=3),
    "custom": pd.offsets.CustomBusinessDay(holidays=["2020-01-01"]),
    "dtype": pd.CategoricalDtype(["a"]),
    "open dtype": pd.IntervalDtype("i8"),
}
STORED = {name: stored(encode(value, pickle=False)) for name, value in VALUES.items()}
assert all(len(metadata) < 16_000 for _, metadata, _ in STORED.values())

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.sampled_from([2**31, 2**62, -(2**62), 2**63 - 1, -(2**63), 2**80, 1.5, [], {}, [0, 0, 0]]),
    st.sampled_from(["", "x", "pandas.index", "tensor", "C", "<i4", "<i8", "<M8[ns]", "|S3", "B"]),
    st.sampled_from([json.loads(metadata) for _, metadata, _ in STORED.values()]).map(
        lambda node: {k: v for k, v in node.items() if k != "version"}
    ),
)


def places(node, path=()):
    if path:
        yield path
    inside = node.items() if isinstance(node, dict) else ()
    if isinstance(node, list):
        inside = enumerate(node)
    for key, value in inside:
        yield from places(value, (*path, key))


@pytest.mark.parametrize("name", STORED)
@given(data=st.data())
def test_changed_metadata_is_an_error_or_a_value(name, data):
    typename, metadata, buffers = STORED[name]
    node = json.loads(metadata)
    path = data.draw(st.sampled_from(list(places(node))))
    parent = node
    for key in path[:-1]:
        parent = parent[key]
    if isinstance(parent, dict) and data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = data.draw(WRONG)
    _decode_and_use(typename, json.dumps(node), buffers)


@pytest.mark.parametrize("name", [name for name in STORED if STORED[name][2]])
@given(data=st.data())
def test_changed_buffers_are_an_error_or_a_value(name, data):
    typename, metadata, buffers = STORED[name]
    index = data.draw(st.integers(0, len(buffers) - 1))
    size = len(buffers[index]) + data.draw(st.sampled_from([0, 0, 0, -1, 1, 8]))
    changed = data.draw(st.binary(min_size=max(size, 0), max_size=max(size, 0)))
    _decode_and_use(typename, metadata, [*buffers[:index], changed, *buffers[index + 1 :]])


def _decode_and_use(typename, metadata, buffers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = decode(typename, metadata, buffers, pickle=False)
        except (VineyardException, NotEncoded):
            return
        # What is damaged may be of no use to pandas; it must not end the process.
        for use in (repr, copy.copy, copy.deepcopy, np.asarray, pd.isna):
            with contextlib.suppress(Exception):
                use(value)
        if isinstance(value, (pd.Index, pd.api.extensions.ExtensionArray)):
            with contextlib.suppress(Exception):
                value.take([-1, 0])
            with contextlib.suppress(Exception):
                value.unique()


def changed(name, buffers=None, **keys):
    """A stored value with other keys at the top, and other buffers where they are given."""
    typename, metadata, found = STORED[name]
    return typename, json.dumps({**json.loads(metadata), **keys}), buffers or found


def buffer_of(array):
    return np.asarray(array).tobytes()


def tensor(index, size, dtype="<i4"):
    return {
        "codec": "tensor",
        "value_type_meta_": dtype,
        "shape_": [size],
        "order_": "C",
        "buffer": index,
    }


PLACES = {"values_": tensor(0, 2, "<i8"), "indices_": tensor(1, 2)}
BLOCKS = {"values_": tensor(0, 2, "<i8"), "starts_": tensor(1, 2), "lengths_": tensor(2, 2)}
TWO = buffer_of([5, 6])


def ints(*values):
    return buffer_of(np.array(values, "<i4"))


LIES = {
    "fewer sparse values than places": changed(
        "sparse", [TWO, ints(1, 2, 3)], values_=PLACES["values_"], indices_=tensor(1, 3)
    ),
    "sparse places outside": changed("sparse", [TWO, ints(1, 4)], **PLACES),
    "sparse places before the start": changed("sparse", [TWO, ints(-1, 2)], **PLACES),
    "sparse places not in order": changed("sparse", [TWO, ints(2, 1)], **PLACES),
    "a sparse place twice": changed("sparse", [TWO, ints(1, 1)], **PLACES),
    "sparse blocks outside": changed("sparse blocks", [TWO, ints(1, 4), ints(1, 2)], **BLOCKS),
    "a sparse block before the start": changed(
        "sparse blocks", [TWO, ints(-1, 4), ints(1, 1)], **BLOCKS
    ),
    "sparse blocks of negative length": changed(
        "sparse blocks", [TWO, ints(0, 2), ints(-1, 3)], **BLOCKS
    ),
    "sparse blocks that overlap": changed("sparse blocks", [TWO, ints(0, 0), ints(1, 1)], **BLOCKS),
    "sparse places of a wrong size": changed(
        "sparse", [TWO, buffer_of([1, 2])], values_=PLACES["values_"], indices_=tensor(1, 2, "<i8")
    ),
    "a sparse array shorter than its places": changed("sparse", size_=2),
    "a fill that no sparse dtype can have": changed(
        "sparse", fill_={"codec": "list", "size_": 0, "items_": []}
    ),
    "a class that is no offset": changed("offset", class_="BaseOffset"),
    "an offset of pandas' package": changed("offset", class_="__doc__"),
    "a keyword that the offset has not": changed("offset", keywords_={"month": 3}),
    "an offset of half": changed("offset", n_=0.5),
    "a frequency of no text": changed("datetimes", freq_=5),
    "a frequency nobody knows": changed("datetimes", freq_="parsec"),
    "ends of intervals of two types": changed("intervals", left_=tensor(0, 2, "<i8")),
    "intervals of unlike ends": changed("intervals", [TWO, TWO + TWO[:8]]),
    "intervals that end before they start": changed(
        "intervals", [buffer_of([9.0, 9.0]), buffer_of([1.0, 2.0])]
    ),
    "intervals closed at an unknown end": changed("intervals", closed_="up"),
    "intervals of texts": changed(
        "intervals", left_=tensor(0, 3, "|S1"), right_=tensor(0, 3, "|S1")
    ),
    "a step of zero": changed("range", step_=0),
    "a range of halves": changed("range", stop_=1.5),
    "ordered by a number": changed("categories", ordered_=1),
    "a dtype of an array of numpy": changed("dtype", empty_={"codec": "pandas.missing"}),
    "a unit that pandas has not": changed("timestamp", unit_="D"),
    "periods of no frequency": changed("periods", values_={"codec": "pandas.missing"}),
    "booleans in a mask of another length": changed("masked", mask_=tensor(0, 3, "|b1")),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_a_typed_error(name):
    with pytest.raises(CorruptedException):
        decode(*LIES[name], pickle=False)


@pytest.mark.parametrize("code", [-2, 2, 127])
def test_codes_outside_of_the_categories_are_found(code):
    typename, metadata, buffers = STORED["categories"]
    codes = next(i for i, b in enumerate(buffers) if b == buffer_of(np.array([0, 1, -1], "i1")))
    buffers = [*buffers]
    buffers[codes] = buffer_of(np.array([0, code, 1], "i1"))
    with pytest.raises(CorruptedException):
        decode(typename, metadata, buffers, pickle=False)


@pytest.mark.parametrize("code", [-2, 2, 127])
def test_codes_outside_of_the_levels_are_found(code):
    typename, metadata, buffers = STORED["multi"]
    codes = next(i for i, b in enumerate(buffers) if b == buffer_of(np.array([0, 1, 0], "i1")))
    buffers = [*buffers]
    buffers[codes] = buffer_of(np.array([0, code, 1], "i1"))
    with pytest.raises(CorruptedException):
        decode(typename, metadata, buffers, pickle=False)
