# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The values that are put and got. Each is named by a text, so that every process makes its own.

``bytes:100``, ``array:65536`` (float64, bytes in all), ``frame:10x1000000`` (columns, rows),
``objects:1000``, ``strings:1000``, ``table:1000``, ``columns:100``, ``members:100``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

Value = Any

_STEP = 4 << 20


@lru_cache(maxsize=1)
def make(name: str) -> Value:
    """Return the value of this name: equal whenever and wherever it is made.

    The last one is kept, and given again. Nobody changes it.
    """
    kind, _, size = name.partition(":")
    return _MAKERS[kind](*(int(part) for part in size.split("x")))


def _array(size: int) -> np.ndarray:
    return np.arange(0.5, max(size // 8, 1))


def _frame(columns: int, rows: int) -> Value:
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(2).random((columns, rows)).T)


def _mixed(rows: int) -> dict[str, Value]:
    """Return columns of int64, float64, category and datetimes with a time zone; and 20 letters each."""
    import pandas as pd

    random = np.random.default_rng(3)
    codes = random.integers(0, 50, rows)
    return {
        "number": random.integers(0, 2**60, rows),
        "price": random.random(rows),
        "kind": pd.Categorical.from_codes(codes, [f"kind {i}" for i in range(50)]),
        "at": pd.date_range("2026-01-01", periods=rows, freq="s", tz="Europe/Berlin"),
        "text": [f"text{i:016d}" for i in random.integers(0, 10**15, rows)],
    }


def _objects(rows: int) -> Value:
    """Strings as Python objects, which have to come back as such."""
    import pandas as pd

    columns = _mixed(rows)
    columns["text"] = np.array(columns["text"], object)
    return pd.DataFrame(columns).astype({"text": object})


def _strings(rows: int) -> Value:
    """Strings held by Arrow."""
    import pandas as pd

    columns = _mixed(rows)
    columns["text"] = pd.array(columns["text"], dtype="string[pyarrow]")
    return pd.DataFrame(columns)


def _table(rows: int) -> Value:
    import pyarrow as pa

    columns = _mixed(rows)
    return pa.table({"number": columns["number"], "text": pa.array(columns["text"])})


def _columns(count: int) -> Value:
    """Return a table of ten rows with many columns, every other one of integers."""
    import pandas as pd

    kinds = (np.float64, np.int64)
    return pd.DataFrame(
        {f"column {i}": np.arange(i, i + 10, dtype=kinds[i % 2]) for i in range(count)}
    )


def _members(count: int) -> Value:
    """Return many arrays of one number each."""
    return {f"member {i}": np.array([float(i)]) for i in range(count)}


_MAKERS: dict[str, Callable[..., Value]] = {
    "bytes": lambda size: bytes(i % 251 for i in range(size)),
    "array": _array,
    "frame": _frame,
    "objects": _objects,
    "strings": _strings,
    "table": _table,
    "columns": _columns,
    "members": _members,
}


def make_within(empty: Callable[..., np.ndarray], name: str) -> Value:
    """Return an ``array:`` or a ``frame:`` as `make` does, in memory that ``empty(shape, dtype)`` gives."""
    kind, _, size = name.partition(":")
    if kind == "frame":
        import pandas as pd

        columns, rows = map(int, size.split("x"))
        block = empty((columns, rows), np.float64)
        np.random.default_rng(2).random(out=block)
        return pd.DataFrame(block.T, copy=False)
    array = empty(int(size) // 8, np.float64)
    for first in range(0, len(array), _STEP):
        part = array[first : first + _STEP]
        part[:] = np.arange(first + 0.5, first + len(part))
    return array


def is_made(got: Value, name: str) -> bool:
    """Whether what came back is what ``make(name)`` gives; large arrays are never made whole."""
    kind, _, size = name.partition(":")
    if kind != "array" or int(size) <= 8 * _STEP:
        return same(got, make(name))
    if not isinstance(got, np.ndarray) or got.dtype != np.float64 or got.shape != (int(size) // 8,):
        return False
    return all(
        np.array_equal(got[i : i + _STEP], np.arange(i + 0.5, min(i + _STEP, len(got))))
        for i in range(0, len(got), _STEP)
    )


def same(got: Value, put: Value) -> bool:
    """Whether what came back is what was put: values, types of elements, shape, order.

    A read-only view for ``bytes`` is counted as the same; so is a subclass of a type.
    """
    if isinstance(put, bytes):
        return isinstance(got, bytes | bytearray | memoryview) and bytes(got) == put
    if isinstance(put, np.ndarray):
        return (
            isinstance(got, np.ndarray)
            and got.dtype == put.dtype
            and got.shape == put.shape
            and bool(np.array_equal(got, put))
        )
    if isinstance(put, dict):
        return isinstance(got, dict) and got.keys() == put.keys() and _all_same(got, put)
    if type(put).__module__.startswith("pandas"):
        return _same_frame(got, put)
    return isinstance(got, type(put)) and bool(put.equals(got))


def _all_same(got: dict[str, Value], put: dict[str, Value]) -> bool:
    return all(same(got[key], part) for key, part in put.items())


def _same_frame(got: Value, put: Value) -> bool:
    import pandas as pd

    try:
        pd.testing.assert_frame_equal(got, put, check_freq=False, rtol=0, atol=0)
    except AssertionError:
        return False
    return all(
        [type(x) for x in got[c].array[:10]] == [type(x) for x in put[c].array[:10]] for c in put
    )


def copies_of(value: Value) -> list[np.ndarray]:
    """Return the buffers of a value that is made of arrays alone, as arrays of bytes."""
    if isinstance(value, bytes):
        return [np.frombuffer(value, np.uint8)]
    if isinstance(value, np.ndarray):
        return [value.reshape(-1).view(np.uint8)]
    raise TypeError(type(value).__name__)
