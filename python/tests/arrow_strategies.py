# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow types and arrays for property tests: every type, nested, every bit pattern, sliced anywhere."""

import struct

import pyarrow as pa
from hypothesis import strategies as st
from same_arrow import is_view

names = st.text(max_size=5)
metadata = st.none() | st.dictionaries(st.binary(max_size=4), st.binary(max_size=4), max_size=2)
units = st.sampled_from(["s", "ms", "us", "ns"])
index_types = st.sampled_from(
    [getattr(pa, f"{u}int{n}")() for n in (8, 16, 32, 64) for u in ("", "u")]
)


def has(*names):
    """Whether this pyarrow has all of some functions: older ones lack the newer types."""
    return all(hasattr(pa, name) for name in names)


extensions = st.sampled_from(
    ([pa.uuid()] if has("uuid") else [])
    + ([pa.bool8()] if has("bool8") else [])
    + ([pa.json_(), pa.json_(pa.large_string())] if has("json_") else [])
    + ([pa.opaque(pa.int16(), "a", "b")] if has("opaque") else [])
    + [
        pa.fixed_shape_tensor(pa.int16(), [1, 2]),
        pa.fixed_shape_tensor(pa.float64(), [2], dim_names=["é"], permutation=[0]),
    ]
)

fixed = st.one_of(
    index_types,
    st.sampled_from([pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64()]),
    st.sampled_from([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
    units.map(pa.duration),
    st.builds(pa.timestamp, units, st.none() | st.sampled_from(["UTC", "Europe/Berlin", "+01:30"])),
    st.just(pa.month_day_nano_interval()),
    *(
        [
            st.builds(pa.decimal32, st.integers(1, 9), st.integers(-9, 9)),
            st.builds(pa.decimal64, st.integers(1, 18), st.integers(-9, 18)),
        ]
        if has("decimal32")
        else []
    ),
    st.builds(pa.decimal128, st.integers(1, 38), st.integers(-9, 38)),
    st.builds(pa.decimal256, st.integers(1, 76), st.integers(-9, 76)),
    st.integers(0, 20).map(pa.binary),
)
binaries = st.sampled_from(
    [f() for f in (pa.string, pa.large_string, pa.binary, pa.large_binary)]
    + ([pa.string_view(), pa.binary_view()] if has("string_view") else [])
)
flat = st.one_of(fixed, binaries, st.sampled_from([pa.bool_(), pa.null()]), extensions)


def fields(inner):
    """Fields; pyarrow makes none of nulls alone that is not nullable."""
    return st.builds(
        lambda name, t, nullable, pairs: pa.field(name, t, nullable or pa.types.is_null(t), pairs),
        names,
        inner,
        st.booleans(),
        metadata,
    )


def nested(inner):
    """Types made of other types."""
    field = fields(inner)
    some = st.lists(field, max_size=3)
    one = st.lists(field, min_size=1, max_size=3)
    codes = st.lists(st.integers(0, 127), min_size=3, max_size=3, unique=True)
    return st.one_of(
        field.map(pa.list_),
        field.map(pa.large_list),
        *([field.map(pa.list_view), field.map(pa.large_list_view)] if has("list_view") else []),
        st.builds(pa.list_, field, st.integers(0, 3)),
        some.map(pa.struct),
        st.builds(pa.map_, inner.filter(lambda t: not pa.types.is_null(t)), field, st.booleans()),
        st.builds(lambda f, c: pa.sparse_union(f, c[: len(f)]), one, codes),
        st.builds(lambda f, c: pa.dense_union(f, c[: len(f)]), one, codes),
        st.builds(pa.dictionary, index_types, inner, st.booleans()),
        st.builds(pa.run_end_encoded, st.sampled_from([pa.int16(), pa.int32(), pa.int64()]), inner),
    )


types = st.recursive(flat, nested, max_leaves=4)


@st.composite
def arrays(draw, kind=types, max_size=12):
    """An array of some type, which may be a slice of a larger one."""
    t = draw(kind)
    return array_of(draw, t, draw(st.integers(0, max_size)))


def array_of(draw, t, length, nullable=True):
    """An array of so many items; it, and each of its parts, may be a slice of a larger one."""
    before = draw(st.sampled_from([0, 0, 1, 3, 8, 9]))
    after = draw(st.sampled_from([0, 0, 1, 5]))
    return _whole(draw, t, before + length + after, nullable).slice(before, length)


def _whole(draw, t, n, nullable):
    if isinstance(t, pa.BaseExtensionType):
        return t.wrap_array(_whole(draw, t.storage_type, n, nullable))
    if pa.types.is_null(t):
        return pa.nulls(n)
    if pa.types.is_run_end_encoded(t):
        return _run_ends(draw, t, n)
    if pa.types.is_union(t):
        return _union(draw, t, n)
    valid = [True] * n
    if nullable and draw(st.booleans()):
        valid = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    if pa.types.is_dictionary(t):
        return _dictionary(draw, t, n, valid)
    buffers = [_bits(valid)]
    if pa.types.is_boolean(t):
        data = draw(st.binary(min_size=n // 8 + 1, max_size=n // 8 + 1))
        return pa.Array.from_buffers(t, n, [*buffers, pa.py_buffer(data)])
    if pa.types.is_struct(t):
        children = [array_of(draw, t.field(i).type, n) for i in range(t.num_fields)]
        return pa.Array.from_buffers(t, n, buffers, children=children)
    if pa.types.is_map(t):
        sizes = _sizes(draw, n)
        pair = t.field(0).type
        columns = [
            array_of(draw, pair.field(0).type, sum(sizes), nullable=False),
            array_of(draw, pair.field(1).type, sum(sizes)),
        ]
        entries = pa.Array.from_buffers(pair, sum(sizes), [None], children=columns)
        return pa.Array.from_buffers(t, n, [*buffers, _offsets(sizes, "i")], children=[entries])
    if pa.types.is_fixed_size_list(t):
        child = array_of(draw, t.value_type, n * t.list_size)
        return pa.Array.from_buffers(t, n, buffers, children=[child])
    if hasattr(t, "value_field"):
        return _list(draw, t, n, buffers)
    if pa.types.is_fixed_size_binary(t) or (t.num_buffers == 2 and not is_view(t)):
        size = n * t.bit_width // 8
        data = draw(st.binary(min_size=size, max_size=size))
        return pa.Array.from_buffers(t, n, [*buffers, pa.py_buffer(data)])
    return _binary(draw, t, n, valid)


def _binary(draw, t, n, valid):
    text = t in (pa.string(), pa.large_string()) or (is_view(t) and t == pa.string_view())
    items = st.text(max_size=20) if text else st.binary(max_size=20)
    values = draw(st.lists(items, min_size=n, max_size=n))
    values = [v if ok else None for v, ok in zip(values, valid, strict=True)]
    parts = [pa.array(values, t)]
    if n and draw(st.booleans()):  # of views: several buffers
        parts = [pa.array(values[: n // 2], t), pa.array(values[n // 2 :], t)]
    return pa.concat_arrays(parts)


def _list(draw, t, n, buffers):
    large = "large" in str(t)[:5]
    letter = "q" if large else "i"
    if t.id in (pa.lib.Type_LIST, pa.lib.Type_LARGE_LIST):
        sizes = _sizes(draw, n)
        first = draw(st.integers(0, 2))
        child = array_of(draw, t.value_type, first + sum(sizes))
        return pa.Array.from_buffers(
            t, n, [*buffers, _offsets(sizes, letter, first)], children=[child]
        )
    count = draw(st.integers(0, 8))
    starts = draw(st.lists(st.integers(0, count), min_size=n, max_size=n))
    sizes = [draw(st.integers(0, count - start)) for start in starts]
    parts = [pa.py_buffer(struct.pack(f"{n}{letter}", *x)) for x in (starts, sizes)]
    child = array_of(draw, t.value_type, count)
    return pa.Array.from_buffers(t, n, [*buffers, *parts], children=[child])


def _dictionary(draw, t, n, valid):
    count = draw(st.integers(0, 4))
    if not all(valid) or n == 0:
        pass
    elif count == 0:
        count = 1
    dictionary = array_of(draw, t.value_type, count)
    codes = draw(st.lists(st.integers(0, max(count - 1, 0)), min_size=n, max_size=n))
    if count == 0:
        valid = [False] * n
    width = t.index_type.bit_width // 8
    data = b"".join(code.to_bytes(width, "little") for code in codes)
    return pa.DictionaryArray.from_buffers(t, n, [_bits(valid), pa.py_buffer(data)], dictionary)


def _union(draw, t, n):
    which = draw(st.lists(st.integers(0, t.num_fields - 1), min_size=n, max_size=n))
    codes = pa.py_buffer(bytes(t.type_codes[w] for w in which))
    if t.mode == "sparse":
        children = [array_of(draw, t.field(i).type, n) for i in range(t.num_fields)]
        return pa.Array.from_buffers(t, n, [None, codes], 0, children=children)
    first = [draw(st.integers(0, 2)) for _ in range(t.num_fields)]
    starts = [first[w] + which[:i].count(w) for i, w in enumerate(which)]
    children = [
        array_of(draw, t.field(i).type, first[i] + which.count(i)) for i in range(t.num_fields)
    ]
    offsets = pa.py_buffer(struct.pack(f"{n}i", *starts))
    return pa.Array.from_buffers(t, n, [None, codes, offsets], 0, children=children)


def _run_ends(draw, t, n):
    lengths = []
    while sum(lengths) < n:
        lengths.append(draw(st.integers(1, 5)))
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    values = array_of(draw, t.value_type, len(ends))
    children = [pa.array(ends, t.run_end_type), values]
    return pa.Array.from_buffers(t, n, [None], 0, children=children)


def _bits(valid):
    if all(valid):
        return None
    number = sum(1 << i for i, ok in enumerate(valid) if ok)
    return pa.py_buffer(number.to_bytes(len(valid) // 8 + 1, "little"))


def _sizes(draw, n):
    return draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))


def _offsets(sizes, letter, first=0):
    offsets = [first]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    return pa.py_buffer(struct.pack(f"{len(offsets)}{letter}", *offsets))


@st.composite
def chunked_arrays(draw):
    t = draw(types)
    sizes = draw(st.lists(st.integers(0, 6), max_size=3))
    return pa.chunked_array([array_of(draw, t, n) for n in sizes], t)


@st.composite
def batches(draw):
    rows = draw(st.integers(0, 6))
    schema = draw(schemas)
    if len(schema) == 0:
        return pa.RecordBatch.from_arrays([pa.nulls(rows)], [""]).select([])
    return pa.RecordBatch.from_arrays(
        [array_of(draw, t, rows) for t in schema.types], schema=schema
    )


@st.composite
def tables(draw):
    schema = draw(schemas)
    sizes = [draw(st.integers(0, 4)) for _ in range(3)]
    columns = []
    for t in schema.types:
        cut = draw(st.sampled_from([sizes, [sum(sizes)], [0, *sizes[::-1]]]))
        columns.append(pa.chunked_array([array_of(draw, t, n) for n in cut], t))
    return pa.Table.from_arrays(columns, schema=schema)


schemas = st.builds(pa.schema, st.lists(fields(types), max_size=3), metadata)
