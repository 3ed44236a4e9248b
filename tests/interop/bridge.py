# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The C++ client, by ctypes: what bridge.cc offers, with values of pyarrow and numpy."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from vineyard import ObjectID

_LIBRARY = "build/release/tests/libvineyard_test_bridge.so"

_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

_STREAM = b"arrow_array_stream"


class BridgeError(Exception):
    """What the C++ client said."""


class _Struct:
    """Zeroed memory of an ArrowArray, ArrowSchema or ArrowArrayStream."""

    def __init__(self) -> None:
        self._memory = ctypes.create_string_buffer(80)
        self.at = ctypes.addressof(self._memory)


class Bridge:
    """A C++ client of an instance."""

    def __init__(self, socket: str) -> None:
        path = Path(__file__).resolve().parents[2] / os.environ.get("VINEYARD_BRIDGE", _LIBRARY)
        assert path.is_file(), f"{path} is not built: make test builds it"
        self._library = ctypes.CDLL(str(path))
        self._client = ctypes.c_void_p()
        self._call("connect", socket.encode(), ctypes.byref(self._client))

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self._call("disconnect", self._client)

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"bridge_{name}")
        function.restype = ctypes.c_char_p
        said = function(*arguments)
        if said is not None:
            raise BridgeError(said.decode())

    def _put(self, name: str, *arguments: Any) -> ObjectID:
        number = ctypes.c_uint64()
        self._call(name, self._client, *arguments, ctypes.byref(number))
        return ObjectID(number.value)

    # ---- Arrow

    def put(self, value: Any) -> ObjectID:
        """A value of pyarrow, exported by it and put by C++."""
        first, second = _Struct(), _Struct()
        pointers = ctypes.c_void_p(first.at), ctypes.c_void_p(second.at)
        if isinstance(value, pa.Schema):
            value._export_to_c(first.at)
            return self._put("put_schema", pointers[0])
        if isinstance(value, (pa.Array, pa.RecordBatch)):
            value._export_to_c(first.at, second.at)
            kind = "array" if isinstance(value, pa.Array) else "batch"
            return self._put(f"put_{kind}", *pointers)
        capsule = value.__arrow_c_stream__()
        kind = "chunked" if isinstance(value, pa.ChunkedArray) else "table"
        return self._put(f"put_{kind}", ctypes.c_void_p(_capsule_pointer(capsule, _STREAM)))

    def get(self, kind: str, id: ObjectID, trusted: bool = False) -> Any:
        """What C++ gets, exported by it and imported by pyarrow."""
        first, second = _Struct(), _Struct()
        number = ctypes.c_uint64(int(id))
        one, two = ctypes.c_void_p(first.at), ctypes.c_void_p(second.at)
        if kind == "schema":
            self._call("get_schema", self._client, number, one)
            return pa.Schema._import_from_c(first.at)
        if kind == "array":
            self._call("get_array", self._client, number, trusted, one, two)
            return pa.Array._import_from_c(first.at, second.at)
        self._call(f"get_{kind}", self._client, number, trusted, one)
        if kind == "table":
            return pa.RecordBatchReader._import_from_c(first.at).read_all()
        capsule = _new_capsule(first.at, _STREAM, None)
        return pa.ChunkedArray._import_from_c_capsule(capsule)

    def put_again(self, kind: str, id: ObjectID) -> ObjectID:
        """Gets a value and puts it as it is."""
        return self._put("put_again", kind.encode(), ctypes.c_uint64(int(id)))

    # ---- tensors

    def put_tensor(self, array: np.ndarray[Any, Any], strided: bool = True) -> ObjectID:
        """An array as it lies in memory, or (not `strided`) a row-major one."""
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = (ctypes.c_int64 * array.ndim)(*(s // array.itemsize for s in array.strides))
        return self._put(
            "put_tensor",
            array.dtype.str.encode(),
            ctypes.c_void_p(array.ctypes.data),
            shape,
            strides if strided else None,
            ctypes.c_size_t(array.ndim),
        )

    def create_tensor(self, array: np.ndarray[Any, Any]) -> ObjectID:
        """A row-major array, written in place."""
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        data = ctypes.c_void_p(array.ctypes.data)
        dtype = array.dtype.str.encode()
        return self._put("create_tensor", dtype, data, shape, ctypes.c_size_t(array.ndim))

    def get_tensor(self, id: ObjectID, like: np.ndarray[Any, Any]) -> tuple[Any, tuple[int, ...]]:
        """A copy of a tensor that must be of the dtype and the size of another, and its strides."""
        shape, strides = (ctypes.c_int64 * 64)(), (ctypes.c_int64 * 64)()
        ndim = ctypes.c_size_t(64)
        out = np.empty(like.size, like.dtype)
        self._call(
            "get_tensor",
            self._client,
            like.dtype.str.encode(),
            ctypes.c_uint64(int(id)),
            shape,
            strides,
            ctypes.byref(ndim),
            ctypes.c_void_p(out.ctypes.data),
            ctypes.c_size_t(out.nbytes),
        )
        n = ndim.value
        return out.reshape(shape[:n]), tuple(strides[:n])

    def tensor_dtype(self, id: ObjectID) -> str:
        """The dtype of a tensor of whatever elements."""
        dtype = ctypes.create_string_buffer(64)
        self._call(
            "tensor_dtype", self._client, ctypes.c_uint64(int(id)), dtype, ctypes.c_size_t(63)
        )
        return dtype.value.decode()
