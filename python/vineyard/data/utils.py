# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Helpers that builders and resolvers of older programs use."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from vineyard._core import Blob
from vineyard.errors import InvalidException, TypeErrorException

if TYPE_CHECKING:
    from vineyard.client import Client

__all__ = [
    "build_buffer",
    "build_numpy_buffer",
    "from_json",
    "normalize_cpptype",
    "normalize_dtype",
    "read_memory",
    "to_json",
]

#: Names of C++ types, as typenames have them -> dtypes.
_DTYPES = {
    "i32": "int32",
    "int": "int32",
    "int32_t": "int32",
    "u32": "uint32",
    "uint": "uint32",
    "uint32_t": "uint32",
    "i64": "int64",
    "long": "int64",
    "long long": "int64",
    "int64_t": "int64",
    "u64": "uint64",
    "uint64_t": "uint64",
    "float": "float32",
    "double": "float64",
}
_CPP_TYPES = {"int32": "int", "float32": "float", "float64": "double"}


def normalize_dtype(dtype: Any, dtype_meta: str | None = None) -> np.dtype[Any]:
    """The dtype that a name in metadata stands for.

    Parameters
    ----------
    dtype : str, dtype or type
        A dtype's name, or that of a C++ type.
    dtype_meta : str, optional
        The dtype as numpy writes it (``"<f8"``), which counts where it is given.
    """
    try:
        if dtype_meta:
            return np.dtype(dtype_meta)
        return np.dtype(_DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype)
    except TypeError:
        raise InvalidException(f"{dtype!r} is no dtype") from None


def normalize_cpptype(dtype: np.dtype[Any]) -> str:
    """The name of a dtype in typenames: ``"double"`` for float64."""
    return _CPP_TYPES.get(dtype.name, dtype.name)


def build_buffer(client: Client, address: int, size: int) -> Blob:
    """A blob with a copy of memory of this process; ValueError where there is none."""
    if size == 0:
        return client.create_empty_blob()
    builder = client.create_blob(size)
    builder.copy(0, address, size)
    return builder.seal(client)


def read_memory(to: Any, offset: int, address: int, size: int) -> None:
    """Copies memory of this process into a buffer, which is what ``builder.copy(offset, address, size)``
    does. The kernel reads it: an address where nothing is does no harm.

    Raises
    ------
    InvalidException
        There is no readable memory of that size (a ValueError).
    """
    done = 0
    with open("/proc/self/mem", "rb", buffering=0) as memory, memoryview(to) as view:
        while done < size:
            with view[offset + done : offset + size] as rest:
                try:
                    count = os.preadv(memory.fileno(), [rest], address + done)
                except (OSError, OverflowError):
                    count = 0
            if not count:
                raise InvalidException(
                    f"there is no readable memory of {size} bytes at address {address:#x}"
                )
            done += count


def build_numpy_buffer(client: Client, array: np.ndarray[Any, Any]) -> Blob:
    """A blob with a copy of an array's elements, row after row."""
    if array.dtype.hasobject:
        raise TypeErrorException(f"an array of {array.dtype} is no bytes: put() it")
    array = np.ascontiguousarray(array)
    builder = client.create_blob(array.nbytes)
    if array.nbytes:
        flat: Any = array.reshape(-1).view(np.uint8)
        builder.copy(0, flat)
    return builder.seal(client)


def to_json(value: Any) -> str:
    """JSON text; numpy's numbers are written as Python's."""
    return json.dumps(value, default=_item)


def _item(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeErrorException(f"a value of type {type(value).__name__} is not JSON: {value!r}")


def from_json(text: str) -> Any:
    """The reverse of `to_json`."""
    return json.loads(text)
