# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Size and fingerprint of a value that is handed over: bit by bit, whatever holds it."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import numpy as np
import pandas as pd


def value_bytes(value: Any) -> int:
    """Return the bytes that `value` has in memory; for an object of no known kind, pickled."""
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(index=True, deep=True).sum())
    if isinstance(value, pd.Series):
        return int(value.memory_usage(index=True, deep=True))
    if isinstance(value, np.ndarray):
        return value.nbytes
    return len(pickle.dumps(value, protocol=5))


def fingerprint(value: Any) -> str:
    """Return a SHA-256 over every value bit, dtype, name and index of `value`.

    Two values with one fingerprint are the same to any program: how their memory is laid out
    (blocks, strides, chunks) does not enter.
    """
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, pd.DataFrame):
        digest.update(f"frame {value.shape} {list(value.columns)}".encode())
        _add(digest, value.index)
        for column in value.columns:
            _add_array(digest, value[column].array)
    elif isinstance(value, pd.Series):
        digest.update(f"series {value.shape} {value.name}".encode())
        _add(digest, value.index)
        _add_array(digest, value.array)
    elif isinstance(value, pd.RangeIndex):
        digest.update(f"range {value.start} {value.stop} {value.step}".encode())
    elif isinstance(value, pd.Index):
        digest.update(f"index {value.shape} {value.name}".encode())
        _add_array(digest, value.array)
    elif isinstance(value, np.ndarray):
        _add_array(digest, value)
    else:
        _add_object(digest, value)


def _add_array(digest: Any, array: Any) -> None:
    digest.update(f"{type(array).__name__} {array.dtype} {array.shape}".encode())
    if isinstance(array.dtype, pd.StringDtype):
        _add_strings(digest, array)
    else:
        numbers = np.ascontiguousarray(np.asarray(array))
        digest.update(numbers.reshape(-1).view(np.uint8))


def _add_strings(digest: Any, array: Any) -> None:
    if array.dtype.storage != "pyarrow":
        digest.update(pd.util.hash_array(array, categorize=False))
        return
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.concat_arrays(pa.chunked_array(array.__arrow_array__()).chunks) if len(array) else []
    if not len(whole):
        return
    digest.update(np.ascontiguousarray(pc.fill_null(pc.binary_length(whole), -1)))
    wide = np.int64 if pa.types.is_large_string(whole.type) else np.int32
    _, offsets, text = whole.buffers()
    bounds = np.frombuffer(offsets, wide)[whole.offset :]
    if text is not None:
        digest.update(memoryview(text)[bounds[0] : bounds[len(whole)]])


def _add_object(digest: Any, value: Any) -> None:
    state = sorted(vars(value).items()) if hasattr(value, "__dict__") else [("", value)]
    digest.update(type(value).__qualname__.encode())
    for name, part in state:
        digest.update(name.encode())
        if isinstance(part, np.ndarray) and part.dtype != object:
            _add_array(digest, part)
        else:
            digest.update(repr(part).encode())
