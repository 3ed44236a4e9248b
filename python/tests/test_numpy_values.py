# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays, scalars and dtypes of numpy come back the same, without a store and without pickle."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy_dtypes import ALIGNED, GAPS, NESTED, OBJECTS, TITLES, TOLD, UNION
from same_python import copied, kept
from same_value import stored
from value_strategies import bit_patterns, dtypes, laid_out, texts
from vineyard.codecs import decode, encode
from vineyard.errors import (
    CorruptedException,
    NotAvailableHereException,
    PickleRefusedException,
    TypeErrorException,
)

UNITS = ["", "Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"]
NUMPY_1 = not hasattr(np.dtypes, "StringDType")  # there, aligned structures need a field
STRINGS = pytest.mark.skipif(NUMPY_1, reason="numpy 2 brought it")


@st.composite
def struct_dtypes(draw, depth=2):
    """Nested, aligned, with gaps, titles and subarrays."""
    inner = dtypes if depth == 0 else st.one_of(dtypes, struct_dtypes(depth - 1))
    fields = draw(st.lists(inner, min_size=NUMPY_1, max_size=3))
    names = [f"f{i}" for i in range(len(fields))]
    fields = [
        np.dtype((f, draw(hnp.array_shapes(max_dims=2, max_side=2)))) if draw(st.booleans()) else f
        for f in fields
    ]
    if draw(st.booleans()):
        return np.dtype(list(zip(names, fields, strict=True)), align=draw(st.booleans()))
    gaps = [draw(st.integers(0, 5)) for _ in fields]
    offsets, end = [], 0
    for field, gap in zip(fields, gaps, strict=True):
        offsets.append(end + gap)
        end += gap + field.itemsize
    return np.dtype(
        {
            "names": names,
            "formats": fields,
            "offsets": offsets,
            "titles": [f"title {i}" if draw(st.booleans()) else None for i in range(len(fields))],
            "itemsize": end + draw(st.integers(0, 5)),
        }
    )


@st.composite
def structured(draw):
    dtype = draw(struct_dtypes())
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    array = np.zeros(shape, dtype)
    if dtype.itemsize and array.size:
        array.reshape(-1).view(np.uint8)[:] = draw(st.integers(0, 1))
    return laid_out(draw, array)


@st.composite
def masked(draw):
    array = np.asarray(draw(st.one_of(bit_patterns(), structured())))
    if draw(st.booleans()):
        made = np.ma.array(array)
    else:
        mask = draw(
            hnp.arrays(bool, array.shape, elements=st.booleans(), fill=st.nothing()),
        )
        made = np.ma.array(array, mask=mask if array.dtype.names is None else np.ma.nomask)
    if draw(st.booleans()):
        made.harden_mask()
    return made


@given(bit_patterns())
def test_arrays_are_kept(array):
    kept(np.asarray(array))


@given(structured())
def test_structured_arrays_are_kept(array):
    array = np.asarray(array)
    kept(array)
    kept(array.dtype)
    for item in array.ravel()[:2]:
        kept(item)


@pytest.mark.filterwarnings("ignore:overflow")
@given(masked())
def test_masked_arrays_are_kept(array):
    kept(array)


@STRINGS
@given(
    st.lists(st.one_of(texts, st.none()), max_size=20),
    st.sampled_from(["nothing", None, float("nan"), "?"]),
    st.booleans(),
    st.data(),
)
def test_arrays_of_variable_texts_are_kept(items, na, coerce, data):
    items = [i if i is None else i.encode("utf-8", "ignore").decode() for i in items]
    options = {} if na == "nothing" else {"na_object": na}
    items = [("" if na == "nothing" else na) if i is None else i for i in items]
    array = np.array(items, np.dtypes.StringDType(coerce=coerce, **options))
    kept(laid_out(data.draw, array))
    kept(array.dtype)


@given(dtypes)
def test_dtypes_are_kept(dtype):
    kept(dtype)
    kept([dtype, {dtype: dtype}])


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_of_time_is_kept(unit):
    for letter in "mM":
        for count in ("", "7"):
            if not unit and count:
                continue
            dtype = np.dtype(f">{letter}8[{count}{unit}]" if unit else f"{letter}8")
            array = np.array([0, 1, -1, 2**62, np.iinfo("i8").min], "i8").astype(">i8").view(dtype)
            kept(array)
            kept(dtype)
            for item in array:
                kept(item)


def test_types_of_c_that_share_a_size_stay_apart():
    for letter in "bhilqBHILQpPc":
        dtype = np.dtype(letter)
        array = np.zeros(3, dtype)
        assert kept(array).dtype.char == dtype.char
        kept(array[0])
        kept(dtype)
        kept(dtype.newbyteorder())
    for _ in range(2):  # whichever was met first
        kept([np.arange(3, dtype="l"), np.arange(3, dtype="q"), np.arange(3, dtype="l")])


@pytest.mark.parametrize(
    "dtype",
    [
        NESTED,
        ALIGNED,
        GAPS,
        TITLES,
        UNION,
        OBJECTS,
        TOLD,
        np.dtype([("a", TOLD)]),
        np.dtype([("a", [])]),
        np.dtype([]),
        np.dtype({"names": [], "formats": [], "itemsize": 5}),
        np.dtype([("s", "S0"), ("u", "U0"), ("v", "V0")]),
        np.dtype((np.record, ALIGNED)),
        np.dtype([("r", (np.record, TITLES))]),
        np.dtype("V"),
        np.dtype("V7"),
        np.dtype("S"),
        np.dtype("U"),
        np.dtype("O"),
        np.dtype("O", metadata={"vlen": 1}),
        np.dtype(("<i4", (2, 3))),
        np.dtype("g"),
        np.dtype(">G"),
        np.dtype([("g", "g"), ("q", "q")]),
        np.dtype([("\u00e9 \U0001f600", "i4")]),
    ],
    ids=str,
)
def test_dtype_is_kept_alone_and_with_its_arrays(dtype):
    kept(dtype)
    kept([dtype, {"a": dtype}])
    for shape in ((), (0,), (3,), (2, 3)):
        array = np.zeros(shape, dtype)
        kept(array)
        kept(np.asfortranarray(array) if array.ndim > 1 else array[..., None])
        kept(np.broadcast_to(array, (2, *array.shape)))
    if dtype.subdtype is None and dtype.itemsize:
        item = np.zeros(1, dtype)[0]
        if isinstance(item, np.generic):
            kept(item)


def test_structures_with_objects_are_kept():
    array = np.zeros((2, 3), OBJECTS)
    array["o"] = [["a", None, 1], [1.5, [1], {"x": np.arange(2)}]]
    array["n"]["p"] = 5
    array["n"]["q"] = np.nan
    kept(array)
    kept(array.T)
    kept(array[:, ::-1])
    kept(array[1, 2])
    back = copied(array)
    with pytest.raises(ValueError, match="read-only"):
        back["a"] = 1


def test_bytes_between_fields_are_stored_as_zeros():
    for dtype in (ALIGNED, GAPS, np.dtype([("x", GAPS, 2), ("y", "i1")])):
        array = np.frombuffer(b"\x01" * dtype.itemsize * 4, dtype)
        named = np.zeros(4, dtype)
        _copy(array, named)
        for value in (array, array[::-1], array[::2], array.reshape(2, 2).T):
            stored_bytes = b"".join(stored(encode(value))[2])
            assert 0 in stored_bytes
            kept(value)
        assert stored(encode(array))[2][0] == named.tobytes()


def _copy(source, target):
    if source.dtype.names is None:
        target[...] = source
    for name in source.dtype.names or ():
        _copy(source[name], target[name])


@pytest.mark.parametrize(
    "dtype", [NESTED, UNION, "V5", "g", "q", "M8[3h]", ">f4", "U3", TOLD], ids=str
)
def test_arrays_without_gaps_are_not_copied(dtype):
    array = np.zeros((4, 5), dtype)
    for value in (array, array.T, array[::-1], array[1:3]):
        (buffer,) = encode(value)[2]
        assert np.shares_memory(np.asarray(buffer), array)
        typename, metadata, buffers = stored(encode(value))
        back = decode(typename, metadata, buffers, pickle=False)
        assert np.shares_memory(back, np.frombuffer(buffers[0], np.uint8))
    assert np.asarray(encode(np.broadcast_to(array, (50, 4, 5)))[2][0]).nbytes == array.nbytes
    assert np.asarray(encode(array[1:2])[2][0]).nbytes == array[1:2].nbytes


def test_broadcast_arrays_of_objects_are_stored_once():
    array = np.broadcast_to(np.array([[1], "a", None], object), (1000, 3))
    back = kept(array)
    assert back[0, 0] is back[999, 0]
    assert sum(map(len, stored(encode(array))[2])) + len(encode(array)[1]) < 1000


def test_arrays_can_be_written_to_where_the_buffers_can():
    values = [np.arange(3), np.zeros(3, OBJECTS), np.array([b"x", None, "a" * 2000], object)]
    if not NUMPY_1:
        values.append(np.array(["a", "b"], np.dtypes.StringDType()))
    for value in values:
        typename, metadata, buffers = stored(encode(value))
        back = decode(typename, metadata, [bytearray(b) for b in buffers], pickle=False)
        back[0] = back[1]
        assert type(back[0]) is type(value[1])
        if value.dtype == object:
            assert decode(typename, metadata, buffers, writable=True).flags.writeable
    view = memoryview(np.arange(3, dtype=">i4"))
    typename, metadata, buffers = stored(encode(view))
    assert not decode(typename, metadata, [bytearray(b) for b in buffers]).readonly


# ---- subclasses


def test_masked_arrays_keep_all_their_parts():
    mask = np.array([[True, False], [False, False]])
    array = np.ma.array(np.arange(4.0).reshape(2, 2), mask=mask, fill_value=-1.5, hard_mask=True)
    kept(array)
    kept(array.T)
    kept(np.ma.array([1, 2]))
    kept(np.ma.array([1, 2], mask=False))
    kept(np.ma.array(5, mask=True))
    kept(np.ma.array(["a", "bc"], mask=[True, False], fill_value="xyz"))
    kept(np.ma.array([None, [1]], mask=[True, False], dtype=object))
    kept(np.ma.masked_all(3, ALIGNED))
    assert copied([np.ma.masked])[0] is np.ma.masked
    untouched = np.ma.array([1, 2], mask=[0, 1])
    assert copied(untouched)._fill_value is None
    assert copied(untouched).fill_value == untouched.fill_value


def test_masked_arrays_come_back_without_a_copy_and_read_only():
    array = np.ma.array(np.arange(100.0), mask=np.arange(100) % 2 == 0)
    data, mask = encode(array)[2]
    assert np.shares_memory(np.asarray(data), array.data)
    assert np.shares_memory(np.asarray(mask), array.mask)
    typename, metadata, buffers = stored(encode(array))
    back = decode(typename, metadata, buffers, pickle=False)
    assert np.shares_memory(back.data, np.frombuffer(buffers[0], np.uint8))
    assert np.shares_memory(back.mask, np.frombuffer(buffers[1], np.uint8))
    for change in (lambda: back.__setitem__(0, 1), lambda: back.__setitem__(1, np.ma.masked)):
        with pytest.raises(ValueError, match="read-only"):
            change()
    assert np.ma.allequal(back + 1, array + 1)
    assert back.sum() == array.sum()
    changed = back.copy()
    changed[1] = np.ma.masked
    assert changed.mask[1]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrix_and_recarray_are_kept():
    kept(np.matrix([[1, 2], [3, 4]]))
    kept(np.matrix([[1, 2], [3, 4]]).T)
    record = np.rec.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")])
    assert kept(record).b.tolist() == [2.5, 4.5]
    kept(record[0])
    kept(np.arange(3).view(np.recarray))
    kept(np.zeros(3, (np.record, ALIGNED)))


def test_a_memmap_comes_back_as_an_array(tmp_path):
    mapped = np.memmap(tmp_path / "file", np.int32, "w+", shape=(3, 4))
    mapped[:] = 7
    back = copied({"a": mapped, "b": mapped[::2]})
    assert type(back["a"]) is type(back["b"]) is np.ndarray
    assert np.array_equal(back["a"], mapped)
    assert np.array_equal(back["b"], mapped[::2])


class Own(np.ndarray):
    pass


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_other_subclasses_are_left_to_pickle():
    mine = np.arange(3).view(Own)
    with pytest.raises(PickleRefusedException, match="Own"):
        encode([mine], pickle=False)
    assert type(copied(mine, pickle=True)) is Own
    matrix = np.matrix([[1]])
    matrix.beside = 1
    strange = np.ma.array([1])
    strange.beside = 1
    for value in (matrix, strange, np.ma.array(np.matrix([[1]]))):
        with pytest.raises(PickleRefusedException, match="attributes"):
            encode(value, pickle=False)


def test_dtypes_that_are_not_of_numpy_are_refused():
    odd = np.dtype((np.int32, {"low": (np.int16, 0), "high": (np.int16, 2)}))
    for value in (odd, np.zeros(3, odd)):
        with pytest.raises(TypeErrorException, match="no codec"):
            encode(value)


def test_arrays_of_other_packages_dtypes_are_left_to_pickle():
    core = "numpy.core" if NUMPY_1 else "numpy._core"
    rational = importlib.import_module(f"{core}._rational_tests").rational
    array = np.array([[1, 2], [3, 4]], rational)
    for value in (array, array[:, ::-1], array.dtype, np.zeros(2, [("a", rational)])):
        with pytest.raises(PickleRefusedException, match="no codec"):
            encode([value], pickle=False)
    encode([array])


# ---- machines and releases that differ


def test_long_doubles_of_another_machine_say_so():
    for value in (np.longdouble(1), np.zeros(2, "g"), np.zeros(2, [("a", "G")]), np.dtype("g")):
        typename, metadata, buffers = stored(encode(value))
        mantissa = np.finfo(np.longdouble).nmant
        other = metadata.replace(f'"mantissa_":{mantissa}', '"mantissa_":112')
        assert other != metadata
        if mantissa != 112:
            with pytest.raises(NotAvailableHereException, match="112 bits"):
                decode(typename, other, buffers, pickle=False)
        with pytest.raises(CorruptedException):
            decode(
                typename, metadata.replace(f',"mantissa_":{mantissa}', ""), buffers, pickle=False
            )
