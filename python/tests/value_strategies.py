# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values for property tests."""

import collections
import datetime
import pathlib
import struct
import zoneinfo

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

texts = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates too
floats = st.one_of(
    st.floats(),
    st.binary(min_size=8, max_size=8).map(lambda b: struct.unpack("<d", b)[0]),
)
integers = st.one_of(
    st.integers(),
    st.integers(-(2**63) - 2, -(2**63) + 2),
    st.integers(2**63 - 2, 2**63 + 2),
    st.integers(-(2**31) - 2, -(2**31) + 2),
    st.integers(2**31 - 2, 2**31 + 2),
    st.integers(0, 30_000).map(lambda n: (1 << n) - 1),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    texts,
    st.binary(max_size=300),
    st.builds(complex, floats, floats),
)

dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
    hnp.byte_string_dtypes(endianness="?", max_len=9),
    hnp.unicode_string_dtypes(endianness="?", max_len=9),
    st.sampled_from([np.dtype("g"), np.dtype("G")]),
)


@st.composite
def bit_patterns(draw, dtype=dtypes):
    """Arrays of every dtype, every bit pattern, and many layouts."""
    dt = draw(dtype)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    count = int(np.prod(shape, dtype=int))
    data = draw(st.binary(min_size=count * dt.itemsize, max_size=count * dt.itemsize))
    if dt.kind == "b":
        data = bytes(b & 1 for b in data)
    if dt.kind == "U":
        code = np.frombuffer(data, f"{dt.str[0]}u4") % 0x110000
        data = code.astype(f"{dt.str[0]}u4").tobytes()
    array = np.frombuffer(data, dt).reshape(shape)
    return laid_out(draw, array)


def laid_out(draw, array):
    """The array in some layout: transposed, strided, reversed, broadcast."""
    if array.ndim and draw(st.booleans()):
        array = array.transpose(draw(st.permutations(range(array.ndim))))
    if draw(st.booleans()):
        array = np.asarray(array, order=draw(st.sampled_from("CF")))
    steps = st.sampled_from(
        [slice(None), slice(None, None, -1), slice(None, None, 2), slice(1, None)]
    )
    array = array[tuple(draw(steps) for _ in range(array.ndim))]
    if draw(st.integers(0, 4)) == 0:
        array = np.broadcast_to(array, (draw(st.integers(1, 3)), *array.shape))
    return array


def _keys(values):
    return st.one_of(
        st.none(), st.booleans(), integers, texts, st.binary(max_size=9), st.tuples(integers, texts)
    )


values = st.recursive(
    st.one_of(scalars, bit_patterns()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=6).map(tuple),
        st.dictionaries(_keys(inner), inner, max_size=5),
        st.lists(st.one_of(st.none(), st.booleans(), integers, floats, texts), max_size=80),
    ),
    max_leaves=12,
)


# ---- the standard library

_zones = st.one_of(
    st.none(),
    st.timezones(),
    st.just(datetime.UTC),
    st.builds(
        datetime.timezone,
        st.timedeltas(
            datetime.timedelta(hours=-23, minutes=-59), datetime.timedelta(hours=23, minutes=59)
        ),
        texts,
    ),
)
_paths = st.builds(
    lambda kind, parts: kind(*parts),
    st.sampled_from([pathlib.PurePosixPath, pathlib.PosixPath]),
    st.lists(texts.map(lambda text: text.replace("\0", "")), max_size=4),
)
standard_values = st.one_of(
    st.dates(),
    st.datetimes(timezones=_zones),
    st.builds(lambda t, fold: t.replace(fold=fold), st.datetimes(), st.integers(0, 1)),
    st.times(timezones=st.one_of(st.none(), st.just(datetime.UTC))),
    st.timedeltas(),
    st.timezones().map(lambda zone: zoneinfo.ZoneInfo(str(zone))),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.slices(20),
    st.builds(range, integers, integers, integers.filter(bool)),
    _paths,
    st.binary(max_size=300).map(memoryview),
    st.binary(max_size=300).map(bytearray),
    st.just(NotImplemented),
)

_hashables = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        integers,
        texts,
        st.floats(allow_nan=False),
        st.dates(),
        st.uuids(),
        st.fractions(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=4,
)

python_values = st.recursive(
    st.one_of(scalars, standard_values),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=6).map(tuple),
        st.dictionaries(_hashables, inner, max_size=5),
        st.dictionaries(_hashables, inner, max_size=5).map(collections.OrderedDict),
        st.dictionaries(_hashables, inner, max_size=5).map(
            lambda d: collections.defaultdict(list, d)
        ),
        st.dictionaries(texts, inner, max_size=5).map(collections.Counter),
        st.lists(inner, max_size=6).map(lambda items: collections.deque(items, 9)),
        st.sets(_hashables, max_size=6),
        st.frozensets(_hashables, max_size=6),
    ),
    max_leaves=12,
)
