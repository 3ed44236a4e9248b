# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What "comes back the same" means for values of pyarrow.

Arrays are compared by a picture of them: every bit of every item, whatever layout holds it. pyarrow's
own comparison takes one NaN for unequal to itself, and 0.0 for equal to -0.0.
"""

import struct
from typing import Any

import pyarrow as pa
from same_value import stored
from vineyard.codecs import decode, encode


def assert_arrow_kept(value: Any) -> Any:
    """Fails unless the value comes back the same, trusted or not; gives what came back."""
    encoded = stored(encode(value, pickle=False))
    assert_same_arrow(value, decode(*encoded, pickle=True))
    back = decode(*encoded, pickle=False)
    assert_same_arrow(value, back)
    return back


def assert_same_arrow(a: Any, b: Any) -> None:
    """Fails unless two values of pyarrow are equal, of the same types, in all their parts and bits."""
    assert type(a) is type(b), (type(a), type(b))
    if isinstance(a, pa.Table):
        assert_same_arrow(a.schema, b.schema)
        assert a.shape == b.shape
        for x, y in zip(a.columns, b.columns, strict=True):
            assert_same_arrow(x, y)
        b.validate()
    elif isinstance(a, pa.RecordBatch):
        assert_same_arrow(a.schema, b.schema)
        assert a.num_rows == b.num_rows
        for x, y in zip(a.columns, b.columns, strict=True):
            assert_same_arrow(x, y)
        b.validate()
    elif isinstance(a, pa.Tensor):
        assert (a.type, a.shape, a.dim_names) == (b.type, b.shape, b.dim_names)
        assert a.to_numpy().tobytes() == b.to_numpy().tobytes()
    elif isinstance(a, pa.ChunkedArray):
        assert_same_arrow(a.type, b.type)
        assert [len(c) for c in a.chunks] == [len(c) for c in b.chunks]
        for x, y in zip(a.chunks, b.chunks, strict=True):
            assert_same_arrow(x, y)
    elif isinstance(a, pa.Array):
        assert_same_arrow(a.type, b.type)
        assert b.offset == 0
        b.validate()
        assert a.null_count == b.null_count
        assert picture(a) == picture(b)
    elif isinstance(a, pa.Scalar):
        assert_same_arrow(a.type, b.type)
        assert a.is_valid == b.is_valid
        if isinstance(a, pa.ExtensionScalar):
            assert (a.value is None) is (b.value is None)
            if a.value is not None:
                assert_same_arrow(a.value, b.value)
        elif a.is_valid:
            assert_same_arrow(pa.repeat(a, 1), pa.repeat(b, 1))
    elif isinstance(a, (pa.Schema, pa.Field)):
        assert a.equals(b, check_metadata=True)
        assert a.metadata == b.metadata
        if isinstance(a, pa.Schema):
            for x, y in zip(a, b, strict=True):
                assert_same_arrow(x, y)
        else:
            assert_same_arrow(a.type, b.type)
    elif isinstance(a, pa.DataType):
        assert a.equals(b, check_metadata=True)
        assert str(a) == str(b)
        if isinstance(a, pa.DictionaryType):
            assert a.ordered == b.ordered
        for i in range(a.num_fields):
            assert_same_arrow(a.field(i), b.field(i))
    elif isinstance(a, pa.KeyValueMetadata):
        assert list(a.items()) == list(b.items())
    else:
        assert isinstance(a, pa.Buffer)
        assert a.equals(b)


def picture(array: pa.Array) -> Any:
    """All that an array says, as plain Python."""
    t = array.type
    if isinstance(t, pa.BaseExtensionType):
        return picture(array.storage)
    if pa.types.is_null(t):
        return len(array)
    if pa.types.is_union(t):
        return _union(array)
    if pa.types.is_run_end_encoded(t):
        start, count = array.find_physical_offset(), array.find_physical_length()
        ends = [e - array.offset for e in array.run_ends.to_pylist()[start : start + count]]
        return [min(e, len(array)) for e in ends], picture(array.values.slice(start, count))
    valid = _valid(array)
    if pa.types.is_dictionary(t):
        return _items(array, t.index_type.bit_width // 8, valid), picture(array.dictionary)
    if pa.types.is_struct(t):
        return valid, [picture(array.field(i)) for i in range(t.num_fields)]
    if hasattr(t, "value_field") or pa.types.is_map(t):
        return [picture(array[i].values) if ok else None for i, ok in enumerate(valid)]
    if pa.types.is_boolean(t):
        return array.to_pylist()
    if pa.types.is_fixed_size_binary(t) or (t.num_buffers == 2 and not is_view(t)):
        return _items(array, t.bit_width // 8, valid)
    return array.cast(pa.large_binary()).to_pylist()


def is_view(t: pa.DataType) -> bool:
    return getattr(t, "has_variadic_buffers", False)  # older releases of pyarrow have no views


def _valid(array: pa.Array) -> list[bool]:
    """What the bitmap says; array.is_valid() reads astray where a dictionary consists of nulls."""
    bitmap = array.buffers()[0]
    if bitmap is None:
        return [True] * len(array)
    data = bitmap.to_pybytes()
    places = range(array.offset, array.offset + len(array))
    return [bool(data[i // 8] >> i % 8 & 1) for i in places]


def _items(array: pa.Array, width: int, valid: list[bool]) -> list[bytes | None]:
    data = array.buffers()[1]
    data = b"" if data is None else data.to_pybytes()
    starts = range(array.offset * width, (array.offset + len(array)) * width, width or 1)
    if width == 0:
        return [b"" if ok else None for ok in valid]
    return [data[s : s + width] if ok else None for s, ok in zip(starts, valid, strict=True)]


def _union(array: pa.Array) -> list[Any]:
    dense = array.type.mode == "dense"
    buffers, first = array.buffers(), array.offset  # array.type_codes does not know of slices
    said = []
    for i in range(len(array)):
        code = buffers[1].to_pybytes()[first + i]
        at = struct.unpack_from("i", buffers[2], 4 * (first + i))[0] if dense else i
        said.append((code, picture(array.field(array.type.type_codes.index(code)).slice(at, 1))))
    return said
