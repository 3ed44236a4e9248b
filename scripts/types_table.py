#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Writes docs/guides/types.md: which values come back the same, by which codec, and without a copy.

Every line is made by running its case: the value is encoded and decoded with pickle refused, and
compared in all its parts; then once more with pickle allowed, if the first was refused. "No copy" is
what was measured: decoding a value of megabytes took less than a tenth of its bytes in new memory.

Usage: types_table.py [--check]
"""

from __future__ import annotations

import array
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import sys
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs/guides/types.md"
sys.path[:0] = [str(REPOSITORY / "python"), str(REPOSITORY / "python/tests")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
import polars.testing  # noqa: E402
import pyarrow as pa  # noqa: E402
import scipy.sparse as sp  # noqa: E402
from same_arrow import assert_same_arrow  # noqa: E402
from same_python import assert_identical  # noqa: E402
from same_value import assert_same, stored  # noqa: E402
from vineyard.codecs import decode, encode  # noqa: E402
from vineyard.codecs.tree import loads  # noqa: E402
from vineyard.errors import TypeErrorException  # noqa: E402

#: Elements of the large values.
LARGE = 400_000

HEAD = """\
# Types

What `put` takes and `get` gives back. This page is written by `scripts/types_table.py`, which runs every case; a
test compares the page with what it finds.

* **kept**: the value comes back equal, of the same type and dtype, in all its parts and bits, with pickle
  refused (`connect(pickle=False)`). *by pickle*: only where pickle is [allowed](configuration.md#pickle), as it is by
  default outside of Kubernetes. *refused*: `put` raises `TypeErrorException`, and nothing is stored.
* **no copy**: what a `get` of a large one gives are views of the stored pages. A dash: such values have no
  large memory of their own, or it is built anew.
* **codec**: what the metadata of the stored object names.

Tried with the newest and with the oldest supported libraries: numpy 1.26, pandas 2.2, pyarrow 14.0.1, scipy 1.11,
polars 1.44 (with pyarrow 19). Arrow's views of strings and bytes take pyarrow 19, and coordinates of other than
two dimensions scipy 1.15: a value that the installed release can't make gives an error that says so.

torch's tensors are held too; they are tried by `make test-torch`, which has torch.
"""


class Colour(enum.Enum):
    RED = 1


class Rights(enum.IntFlag):
    READ = 1
    WRITE = 2


Point = collections.namedtuple("Point", "x y")


class Place(ctypes.Structure):
    _fields_ = [("row", ctypes.c_int), ("column", ctypes.c_double)]


@dataclasses.dataclass(frozen=True)
class Measured:
    name: str
    values: Any


class Unknown:
    """A class of a program's own."""

    def __init__(self) -> None:
        self.numbers = np.arange(LARGE)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and np.array_equal(self.numbers, other.numbers)

    __hash__ = None  # type: ignore[assignment]


Case = tuple[str, Callable[[], Any]]


def python_cases() -> Iterator[Case]:
    yield "`None`, `...`, `NotImplemented`", lambda: [None, ..., NotImplemented]
    yield "`bool`, `int` of any size", lambda: [True, 0, -(2**63), 2**5000]
    yield "`float`, every bit pattern", lambda: [0.1, -0.0, float("nan"), float("-inf"), 5e-324]
    yield "`complex`", lambda: complex(-0.0, float("nan"))
    yield "`str`, with lone surrogates and NUL", lambda: "é\ud800\0"
    yield "`bytes`", lambda: bytes(LARGE * 8)
    yield "`bytearray`", lambda: bytearray(LARGE * 8)
    yield "`memoryview`", lambda: memoryview(np.zeros((LARGE, 2)))
    yield (
        "`list`, `tuple`, `dict`, `set`, `frozenset`",
        lambda: [(1,), {(1, 2): {3}}, frozenset({4})],
    )
    yield "containers nested to any depth", lambda: functools.reduce(lambda v, i: [v], range(100))
    yield "arrays inside containers", lambda: {"a": [np.zeros(LARGE)], "b": (np.ones(LARGE),)}
    yield (
        "`OrderedDict`, `defaultdict`, `Counter`, `deque`",
        lambda: [
            collections.OrderedDict(a=1),
            collections.defaultdict(list, a=[1]),
            collections.Counter("aab"),
            collections.deque([1, 2], maxlen=5),
        ],
    )
    yield "`namedtuple`", lambda: Point(1, 2.5)
    yield "`Enum`, `Flag`", lambda: [Colour.RED, Rights.READ | Rights.WRITE]
    yield "`dataclass`", lambda: Measured("x", np.zeros(LARGE))
    yield (
        "`datetime`, `date`, `time`, `timedelta`",
        lambda: [
            datetime.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
            datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            datetime.date(1, 1, 1),
            datetime.time(1, 2, 3, 4),
            datetime.timedelta.min,
        ],
    )
    yield "`Decimal`, `Fraction`", lambda: [decimal.Decimal("1.10"), fractions.Fraction(1, 3)]
    yield "`UUID`, `Path`", lambda: [uuid.UUID(int=7), pathlib.PurePosixPath("/a/b")]
    yield "`slice`, `range`", lambda: [slice(1, None, 2), range(5, 0, -1)]
    yield "`array.array`", lambda: array.array("d", bytes(LARGE * 8))
    yield "numbers and arrays of ctypes", lambda: (ctypes.c_double * LARGE)()
    yield "structures and unions of ctypes, arrays of them", lambda: (Place * LARGE)()
    yield "pointers of ctypes, and what holds them", lambda: (ctypes.c_void_p * 2)()
    yield "a class of your own", Unknown
    yield "a function", lambda: lambda: 1


def numpy_cases() -> Iterator[Case]:
    yield "`bool`, integers, floats, complex", lambda: np.arange(LARGE, dtype="f8")
    yield "`float16`", lambda: np.ones(LARGE, "f2")
    yield "`longdouble`", lambda: np.ones(LARGE, "longdouble")
    yield "`datetime64`, `timedelta64`, every unit", lambda: np.zeros(LARGE, "M8[25s]")
    yield "`S`, `U`", lambda: np.full(LARGE, "ab", "U4")
    yield "`StringDType`", lambda: np.full(LARGE, "some text", np.dtypes.StringDType())
    yield (
        "structured, nested, aligned",
        lambda: np.zeros(LARGE, np.dtype([("a", "i1"), ("b", [("c", "f8", (2,))])], align=True)),
    )
    yield "big-endian", lambda: np.arange(LARGE, dtype=">f8")
    yield "`object`", lambda: np.array([1, "a", None], object)
    yield "Fortran, transposed", lambda: np.zeros((LARGE, 3, 2)).transpose(1, 2, 0)
    yield "strided, negative strides", lambda: np.arange(2 * LARGE)[::-2]
    yield "broadcast (stored once)", lambda: np.broadcast_to(np.arange(10.0), (LARGE, 10))
    yield "0-d, empty", lambda: [np.array(1.5), np.zeros((0, 5))]
    yield "masked", lambda: np.ma.masked_less(np.arange(LARGE), 5)
    yield "`recarray`, `matrix`", lambda: np.asmatrix(np.zeros((LARGE, 2)))
    yield "scalars", lambda: [np.float32(0.1), np.datetime64("NaT"), np.str_("a\0")]
    yield "dtypes", lambda: np.dtype([("a", "<i4")])


def pandas_cases() -> Iterator[Case]:
    n = range(LARGE)
    yield "`DataFrame` of numbers", lambda: pd.DataFrame(np.zeros((LARGE, 4)))
    yield "`str`", lambda: pd.Series(["some text"] * LARGE)
    yield "`string[python]`", lambda: pd.Series(["a", None] * 5, dtype="string[python]")
    yield "`Int64`, `Float64`, `boolean`", lambda: pd.Series(n, dtype="Int64")
    yield "`ArrowDtype`", lambda: pd.Series(n, dtype=pd.ArrowDtype(pa.int64()))
    yield "`category`", lambda: pd.Series(pd.Categorical(["a", "b"] * LARGE, ordered=True))
    yield (
        "`datetime64`, with a time zone",
        lambda: pd.Series(pd.date_range("2026", periods=LARGE, freq="s", tz="Asia/Tokyo")),
    )
    yield "`timedelta64`", lambda: pd.Series(pd.timedelta_range(0, periods=LARGE, freq="s"))
    yield "`period`", lambda: pd.Series(pd.period_range("2000", periods=LARGE, freq="min"))
    yield "`interval`", lambda: pd.Series(pd.interval_range(0, LARGE))
    yield "`Sparse`", lambda: pd.Series(pd.arrays.SparseArray([0.0] * 9 + [1.0]))
    yield "`object`", lambda: pd.Series([1, "a", None], dtype=object)
    yield "`RangeIndex`, `Index`", lambda: [pd.RangeIndex(3, 9, 2, name="r"), pd.Index([1.5])]
    yield (
        "`MultiIndex`, rows and columns",
        lambda: pd.DataFrame(
            [[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])
        ),
    )
    yield "`DatetimeIndex` with `freq`", lambda: pd.date_range("2026", periods=9, freq="MS")
    yield (
        "labels: duplicate, mixed, Timestamps",
        lambda: pd.DataFrame([[1, 2, 3]], columns=["a", "a", pd.Timestamp("2026")]),
    )
    yield "`attrs`, `flags`", _frame_with_attrs
    yield (
        "`Timestamp`, `Timedelta`, `Period`, `Interval`, `NaT`, `NA`",
        lambda: [
            pd.Timestamp("2026", tz="UTC"),
            pd.Timedelta("1s"),
            pd.Period("2026-01"),
            pd.Interval(1, 2),
            pd.NaT,
            pd.NA,
        ],
    )


def _frame_with_attrs() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs["unit"] = "m"
    return frame


def arrow_cases() -> Iterator[Case]:
    n = pa.array(np.arange(LARGE))
    texts = pa.array(["some text"] * LARGE)
    yield "numbers", lambda: n
    yield "a slice (only its bytes are stored)", lambda: n.slice(5, LARGE // 2)
    yield "`bool`, `null`", lambda: pa.array([True, None] * LARGE)
    yield "`string`, `binary`, large ones", lambda: texts
    yield "`string_view`, `binary_view`", lambda: pa.array(["a" * 40] * LARGE, pa.string_view())
    yield "`decimal`", lambda: pa.array([decimal.Decimal("1.5")] * 9, pa.decimal128(9, 2))
    yield (
        "dates, times, durations, intervals",
        lambda: pa.array([datetime.datetime(2026, 1, 1)] * 9, pa.timestamp("us", "Europe/Paris")),
    )
    yield "`list`, `struct`, `map`, nested", lambda: pa.array([[{"a": [1, None]}], None] * 9)
    yield "`dictionary`", lambda: texts.dictionary_encode()
    yield "`run_end_encoded`", lambda: pa.RunEndEncodedArray.from_arrays([2, 5], [1.5, None])
    yield (
        "`union`",
        lambda: pa.UnionArray.from_sparse(
            pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]
        ),
    )
    yield "extension types", lambda: pa.array([b"0" * 16] * 3, pa.uuid())
    yield "`ChunkedArray`", lambda: pa.chunked_array([n, n])
    yield "`RecordBatch`", lambda: pa.record_batch({"a": n, "b": texts})
    yield "`Table`", lambda: pa.table({"a": n, "b": texts})
    yield (
        "`Schema`, `Field`, `DataType`",
        lambda: [
            pa.schema([pa.field("a", pa.int8(), False, {"k": "v"})], {"m": "n"}),
            pa.field("b", pa.list_(pa.string())),
            pa.timestamp("ns", "UTC"),
        ],
    )
    yield "`Scalar`", lambda: [pa.scalar(1.5), pa.scalar(None, pa.string())]
    yield "`Buffer`", lambda: pa.py_buffer(bytes(LARGE * 8))
    yield "`Tensor`", lambda: pa.Tensor.from_numpy(np.zeros((LARGE, 2)), ["row", "column"])
    yield "sparse tensors", lambda: pa.SparseCOOTensor.from_dense_numpy(np.eye(3))


def polars_cases() -> Iterator[Case]:
    yield "`DataFrame`", lambda: pl.DataFrame({"a": np.arange(LARGE), "b": ["text"] * LARGE})
    yield "`Series`", lambda: pl.Series("a", np.arange(LARGE))
    yield "`Categorical`, `Enum`", lambda: pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"]))
    yield "`Datetime`, `Duration`, `Decimal`", lambda: pl.Series([datetime.datetime(2026, 1, 1)])
    yield "`Int128`, `UInt128`", lambda: pl.Series([2**127 - 1, None], dtype=pl.Int128)
    yield "`Int128` in lists and structs", lambda: pl.Series([[1]], dtype=pl.List(pl.Int128))
    yield "`List`, `Array`, `Struct`", lambda: pl.Series([[1, None], []])
    yield "`LazyFrame`", lambda: pl.LazyFrame({"a": [1]})


def sparse_cases() -> Iterator[Case]:
    for kind in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil"):
        size = 50 if kind in ("dok", "lil") else LARGE
        for form in ("array", "matrix"):
            made = getattr(sp, f"{kind}_{form}")(sp.eye_array(size, format="coo"))
            yield f"`{kind}_{form}`", lambda made=made: made


def assert_same_python(a: Any, b: Any) -> None:
    if isinstance(a, ctypes.Array):
        assert type(a) is type(b)
        assert bytes(a) == bytes(b)
    else:
        assert_identical(a, b)


def assert_same_polars(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, pl.DataFrame):
        polars.testing.assert_frame_equal(a, b)
    else:
        polars.testing.assert_series_equal(a, b)


Compare = Callable[[Any, Any], None]
FAMILIES: dict[str, tuple[Callable[[], Iterator[Case]], Compare]] = {
    "Python": (python_cases, assert_same_python),
    "numpy": (numpy_cases, assert_identical),
    "pandas": (pandas_cases, assert_same),
    "pyarrow": (arrow_cases, assert_same_arrow),
    "polars": (polars_cases, assert_same_polars),
    "scipy.sparse": (sparse_cases, assert_identical),
}


def codecs_of(value: Any, metadata: str) -> str:
    """What the metadata names; of a list of cases, what the metadata of each names."""
    if type(value) is list:
        each = [codecs_of(v, encode(v, pickle=False)[1]) for v in value]
        return ", ".join(dict.fromkeys(each))
    node = loads(metadata)
    return f"`{node.get('of_') or node['codec']}`"


def copies(value: Any) -> str:
    """Whether decoding takes memory of its own, where there is enough to tell."""
    typename, metadata, buffers = stored(encode(value, pickle=False))
    total = sum(map(len, buffers))
    if total < 300_000:
        return "–"
    decode(typename, metadata, buffers, pickle=True)  # imports and caches are not the value's
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        kept = decode(typename, metadata, buffers, pickle=True)
        taken = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - arrow
    finally:
        tracemalloc.stop()
    del kept
    return "yes" if taken < total / 10 else "no"


def run(value: Any, compare: Compare) -> tuple[str, str, str]:
    """kept, no copy, codec."""
    for pickle in (False, True):
        try:
            encoded = encode(value, pickle=pickle)
        except TypeErrorException:
            continue
        typename, metadata, buffers = stored(encoded)
        back = decode(typename, metadata, buffers, pickle=pickle)
        if type(value) is list and type(back) is list:
            for a, b in zip(value, back, strict=True):
                compare(a, b)
        else:
            compare(value, back)
        if pickle:
            return "by pickle", "–", codecs_of(value, metadata)
        return "yes", copies(value), codecs_of(value, metadata)
    return "refused", "–", "–"


def page() -> str:
    lines = [HEAD]
    for family, (cases, compare) in FAMILIES.items():
        lines += [f"\n## {family}\n", "| value | kept | no copy | codec |", "|---|---|---|---|"]
        for name, make in cases():
            try:
                said = run(make(), compare)
            except Exception as error:
                raise SystemExit(f"types_table: {family}, {name}: {error!r}") from error
            lines.append(f"| {name} | {' | '.join(said)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(
        f"types_table: {PAGE.relative_to(REPOSITORY)} is not what is found: run this without --check"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
