# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""scipy.sparse: matrices and arrays of every format. Imported when the first of them is met.

Stored are the arrays that a format consists of, with the dtypes they have, and they come back as
read-only views of the stored bytes: ``data``, ``indices`` and ``indptr`` of csr, csc and bsr (the
parts in use, where more is allocated), ``data`` and ``coords`` of coo, ``data`` and ``offsets`` of
dia. What scipy has found out so far about order and duplicates is kept. lil and dok consist of Python
lists and of a dict; these are made anew.

Where pickle is refused, indices are checked one by one: scipy would follow them anywhere.

>>> import numpy as np, scipy.sparse
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(scipy.sparse.csr_array(np.eye(2)))
>>> typename
'vineyard::CSRArray<float64>'
>>> decode(typename, metadata, [bytes(memoryview(b)) for b in buffers]).toarray()
array([[1., 0.],
       [0., 1.]])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse

_MAX_DIM = 2**62

#: Attributes that scipy gives: the parts, and what it remembers about them.
_PARTS = {"csr": ["data", "indices", "indptr"], "dia": ["data", "offsets"], "coo": ["data"]}
_PARTS["csc"] = _PARTS["bsr"] = _PARTS["csr"]
_OWN = {
    *("_shape", "maxprint", "dtype", "rows", "_dict", "coords", "row", "col", "offsets"),
    *("data", "indices", "indptr", "_has_sorted_indices"),
    *("_has_canonical_format", "has_canonical_format"),
}
_MAXPRINT = 50  # scipy's default


def _classes(format: str) -> list[type]:
    return [getattr(scipy.sparse, f"{format}_{kind}") for kind in ("matrix", "array")]


def _keys(encoder: Encoder, value: Any, data: Any) -> dict[str, Any]:
    """The keys that every format has."""
    keys: dict[str, Any] = {
        "codec": f"scipy.{type(value).__name__}",
        "type_": data.dtype.name,
        "value_type_": data.dtype.name,
        "shape_": list(map(int, value.shape)),
        "ndim": value.ndim,
        "nnz": len(data),
        "data_": encoder.node(data),
    }
    if value.maxprint != _MAXPRINT:
        keys["maxprint_"] = int(value.maxprint)
    return keys


def _has_more(value: Any) -> bool:
    return not (value.__dict__.keys() <= _OWN)


_MORE = "it has attributes of its own"


def _shape_of(decoder: Decoder, node: dict[str, Any], t: type) -> tuple[int, ...]:
    shape = tuple(decoder.need_ints(node, "shape_", 0, _MAX_DIM))
    dims = {"coo_array": range(1, 65), "csr_array": (1, 2), "dok_array": (1, 2)}
    if len(shape) not in dims.get(t.__name__, (2,)):
        corrupted(f"a {t.__name__} of shape {shape}")
    return shape


def _array_of(decoder: Decoder, node: Node, what: str, ndim: int = 1) -> Any:
    array = decoder.value(node)
    if type(array) is not np.ndarray or array.ndim != ndim:
        corrupted(f"{what} of a sparse matrix are no array of {ndim} dimensions")
    return array


def _indices_of(decoder: Decoder, node: Node, what: str) -> Any:
    array = _array_of(decoder, node, what)
    if array.dtype not in (np.int32, np.int64):
        corrupted(f"{what} of a sparse matrix are {array.dtype}")
    return array


def _check_range(decoder: Decoder, indices: Any, low: int, end: int) -> None:
    """Raises for indices outside of a dimension, where the data is not trusted."""
    if not decoder.pickle and len(indices) and not (low <= indices.min() <= indices.max() < end):
        corrupted(f"an index of a sparse matrix outside of {low} to {end}")


def _set_common(decoder: Decoder, node: dict[str, Any], value: Any) -> Any:
    if "maxprint_" in node:
        value.maxprint = decoder.need_int(node, "maxprint_", -(2**31), 2**31)
    return value


# ---- csr, csc and bsr: a row (or column) after the other


@encodes(*_classes("csr"), *_classes("csc"), *_classes("bsr"))
def _compressed_node(encoder: Encoder, value: Any) -> Node:
    if _has_more(value):
        return encode_pickle(encoder, value, _MORE)
    data, indices, indptr = value.data, value.indices, value.indptr
    used = int(indptr[-1]) if len(indptr) else -1
    if not 0 <= used <= min(len(data), len(indices)) or indptr[0] != 0:
        refuse(value, "its indptr does not fit its indices and data")
    if len(indptr) != _rows(type(value).__name__, value.shape, data) + 1:
        refuse(value, "its indptr does not fit its shape")
    if used < len(indices):
        indices = indices[:used]
    if used < len(data):
        data = data[:used]
    node = {
        **_keys(encoder, value, data),
        "indices_": encoder.node(indices),
        "indptr_": encoder.node(indptr),
    }
    for key, known in (("sorted_", "_has_sorted_indices"), ("canonical_", "_has_canonical_format")):
        if known in value.__dict__:
            node[key] = bool(value.__dict__[known])
    return node


def _rows(name: str, shape: tuple[int, ...], data: Any) -> int:
    """How many rows (of blocks), or columns of a csc, follow each other."""
    if name.startswith("csr"):
        return shape[0] if len(shape) == 2 else 1
    return shape[1] if name.startswith("csc") else shape[0] // (data.shape[1] or 1)


def _decode_compressed(decoder: Decoder, node: dict[str, Any], t: type) -> Any:
    name = t.__name__
    shape = _shape_of(decoder, node, t)
    data = _array_of(decoder, node.get("data_"), "data", 3 if name.startswith("bsr") else 1)
    indices = _indices_of(decoder, node.get("indices_"), "indices")
    indptr = _indices_of(decoder, node.get("indptr_"), "indptr")
    block = data.shape[1:]
    if block and (0 in block or shape[0] % block[0] or shape[1] % block[1]):
        corrupted(f"blocks of {block} in the shape {shape}")
    rows = _rows(name, shape, data)
    if len(indptr) != rows + 1 or indptr[0] != 0 or not indptr[-1] == len(indices) == len(data):
        corrupted(f"a {name} of {len(data)} items does not fit its indices")
    columns = shape[0] if name.startswith("csc") else shape[-1] // (block[1] if block else 1)
    _check_range(decoder, indices, 0, columns)
    if not decoder.pickle and (indptr[1:] < indptr[:-1]).any():
        corrupted("an indptr that does not rise")
    made: Any = t(shape, blocksize=block) if block else t(shape)
    made.data, made.indices, made.indptr = data, indices, indptr
    for known in ("_has_sorted_indices", "_has_canonical_format"):
        made.__dict__.pop(known, None)
    for key, name in (("sorted_", "has_sorted_indices"), ("canonical_", "has_canonical_format")):
        # scipy finds out by itself what is not to be believed.
        if key in node and not (decoder.need(node, key, bool) and not decoder.pickle):
            setattr(made, name, node[key])
    return _set_common(decoder, node, made)


# ---- coo: the coordinates of each item


@encodes(*_classes("coo"))
def _coo_node(encoder: Encoder, value: Any) -> Node:
    if _has_more(value):
        return encode_pickle(encoder, value, _MORE)
    coords = value.coords if hasattr(value, "coords") else (value.row, value.col)
    if len(coords) != value.ndim or any(len(c) != len(value.data) for c in coords):
        refuse(value, "its coordinates do not fit its data")
    node = {**_keys(encoder, value, value.data), "coords_": [encoder.node(c) for c in coords]}
    if value.has_canonical_format:
        node["canonical_"] = True
    return node


def _decode_coo(decoder: Decoder, node: dict[str, Any], t: type) -> Any:
    shape = _shape_of(decoder, node, t)
    data = _array_of(decoder, node.get("data_"), "data")
    coords = tuple(
        _indices_of(decoder, c, "coordinates") for c in decoder.need(node, "coords_", list)
    )
    if len(coords) != len(shape) or any(len(c) != len(data) for c in coords):
        corrupted(f"{len(coords)} coordinates of {len(data)} items in the shape {shape}")
    for c, dim in zip(coords, shape, strict=True):
        _check_range(decoder, c, 0, dim)
    made: Any = t(shape)
    if hasattr(made, "coords"):
        made.coords = coords
    else:
        made.row, made.col = coords
    made.data = data
    made.has_canonical_format = "canonical_" in node and decoder.need(node, "canonical_", bool)
    return _set_common(decoder, node, made)


# ---- dia: whole diagonals


@encodes(*_classes("dia"))
def _dia_node(encoder: Encoder, value: Any) -> Node:
    if _has_more(value):
        return encode_pickle(encoder, value, _MORE)
    return {**_keys(encoder, value, value.data), "offsets_": encoder.node(value.offsets)}


def _decode_dia(decoder: Decoder, node: dict[str, Any], t: type) -> Any:
    shape = _shape_of(decoder, node, t)
    data = _array_of(decoder, node.get("data_"), "data", 2)
    offsets = _indices_of(decoder, node.get("offsets_"), "offsets")
    if len(offsets) != len(data) or len(np.unique(offsets)) != len(offsets):
        corrupted(f"{len(offsets)} offsets of {len(data)} diagonals")
    _check_range(decoder, offsets, -shape[0], max(shape[1], 1))
    made: Any = t(shape)
    made.data, made.offsets = data, offsets
    return _set_common(decoder, node, made)


# ---- lil: a list for each row


@encodes(*_classes("lil"))
def _lil_node(encoder: Encoder, value: Any) -> Node:
    if _has_more(value):
        return encode_pickle(encoder, value, _MORE)
    counts = [len(row) for row in value.rows]
    if counts != [len(row) for row in value.data]:
        refuse(value, "its rows do not fit its data")
    data = _joined([item for row in value.data for item in row], value.dtype)
    return {
        **_keys(encoder, value, data),
        "counts_": encoder.node(np.array(counts, np.int64)),
        "indices_": encoder.node(np.array([i for row in value.rows for i in row], np.int64)),
    }


def _joined(items: list[Any], dtype: Any) -> Any:
    made = np.empty(len(items), dtype)
    for i, item in enumerate(items):
        made[i] = item
    return made


def _decode_lil(decoder: Decoder, node: dict[str, Any], t: type) -> Any:
    shape = _shape_of(decoder, node, t)
    data = _array_of(decoder, node.get("data_"), "data")
    counts = _indices_of(decoder, node.get("counts_"), "counts")
    indices = _indices_of(decoder, node.get("indices_"), "indices")
    if len(counts) != shape[0] or (counts < 0).any():
        corrupted(f"{len(counts)} rows in the shape {shape}")
    ends = np.cumsum(counts)
    if not (ends[-1] if len(ends) else 0) == len(indices) == len(data):
        corrupted(f"{len(data)} items do not fit the rows")
    _check_range(decoder, indices, 0, shape[1])
    made: Any = t(shape)
    made.dtype = data.dtype
    end = 0
    for i, count in enumerate(counts.tolist()):
        made.rows[i] = indices[end : end + count].tolist()
        made.data[i] = data[end : end + count].tolist()
        end += count
    return _set_common(decoder, node, made)


# ---- dok: a dict of coordinates


@encodes(*_classes("dok"))
def _dok_node(encoder: Encoder, value: Any) -> Node:
    if _has_more(value):
        return encode_pickle(encoder, value, _MORE)
    keys = list(value.keys())
    if value.ndim == 1:
        keys = [(key,) for key in keys]
    coords = [np.array([key[axis] for key in keys], np.int64) for axis in range(value.ndim)]
    return {
        **_keys(encoder, value, _joined(list(value.values()), value.dtype)),
        "coords_": [encoder.node(c) for c in coords],
    }


def _decode_dok(decoder: Decoder, node: dict[str, Any], t: type) -> Any:
    shape = _shape_of(decoder, node, t)
    data = _array_of(decoder, node.get("data_"), "data")
    coords = [_indices_of(decoder, c, "coordinates") for c in decoder.need(node, "coords_", list)]
    if len(coords) != len(shape) or any(len(c) != len(data) for c in coords):
        corrupted(f"{len(coords)} coordinates of {len(data)} items in the shape {shape}")
    for c, dim in zip(coords, shape, strict=True):
        _check_range(decoder, c, 0, dim)
    keys: Any = coords[0].tolist()
    if len(shape) > 1:
        keys = zip(*(c.tolist() for c in coords), strict=True)
    items = dict(zip(keys, data, strict=True))
    if len(items) != len(data):
        corrupted("two items in one place")
    made: Any = t(shape)
    made.dtype = data.dtype
    if hasattr(made, "_dict"):
        made._dict.update(items)  # `made[i, j] = ...` drops zeros
    else:
        dict.update(made, items)
    return _set_common(decoder, node, made)


_DECODERS = {
    **dict.fromkeys(("csr", "csc", "bsr"), _decode_compressed),
    "coo": _decode_coo,
    "dia": _decode_dia,
    "lil": _decode_lil,
    "dok": _decode_dok,
}


def _register(format: str, t: type) -> None:
    @decodes(f"scipy.{t.__name__}")
    def decode(decoder: Decoder, node: dict[str, Any]) -> Any:
        return _DECODERS[format](decoder, node, t)


for _format in _DECODERS:
    for _class in _classes(_format):
        _register(_format, _class)
