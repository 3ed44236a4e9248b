# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Uses a value as a program would, so that what points outside of its memory is followed.

What a library says about an odd value with an exception of its own is no finding: a crash is.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

#: What is longer is only looked at, never gone through.
MOST = 20_000
_FEW = 50


def touch(value: Any, depth: int = 0) -> None:
    """Follows all that a value points to, as far as it is short."""
    for use in (repr, _compare, _use):
        try:
            use(value)
        except MemoryError:
            raise
        except (Exception, pl.exceptions.PanicException):
            pass  # odd, and said so
    if depth < 4:
        for part in _parts(value):
            touch(part, depth + 1)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for pair in itertools.islice(value.items(), _FEW) for part in pair]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(itertools.islice(value, _FEW))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return list(vars(value).values())
    return []


def _compare(value: Any) -> None:
    if isinstance(value, np.ndarray):
        if value.size < MOST:
            _ = value == value, value.tolist(), np.sort(value, axis=None)
    elif isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        if value.size < MOST:
            value.equals(value)
    elif type(value).__module__.startswith("scipy.sparse"):
        _ = _is_small(value) and value != value  # which makes a dense one
    elif not isinstance(value, (range, memoryview)):
        _ = value == value


def _is_small(matrix: Any) -> bool:
    return bool(math.prod(matrix.shape) < MOST and matrix.nnz < MOST)


def _use(value: Any) -> None:
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        if value.size < MOST:
            value.to_numpy()
            value.copy()
            value.take(range(len(value)))
            value.isna()
            value.duplicated()
    elif isinstance(value, (pa.Array, pa.ChunkedArray, pa.RecordBatch, pa.Table)):
        value.validate(full=len(value) < MOST)
        if len(value) < MOST:
            str(value)
            value.to_pylist()
            value.to_pandas()
    elif isinstance(value, (pl.DataFrame, pl.Series)):
        if len(value) < MOST:
            value.to_list() if isinstance(value, pl.Series) else value.rows()
            value.unique()
    elif isinstance(value, (memoryview, bytes, bytearray, str)):
        if len(value) < MOST:
            bytes(value) if not isinstance(value, str) else value.encode("utf-8", "replace")
    elif type(value).__module__.startswith("scipy.sparse"):
        if _is_small(value):
            value.toarray()
            value.tocsr().sum()
            value @ np.ones(value.shape[-1])
    elif isinstance(value, pa.Scalar):
        value.as_py()
    elif isinstance(value, np.dtype):
        if value.itemsize < MOST:
            np.zeros(2, value).tolist()
    else:
        hash(value)
