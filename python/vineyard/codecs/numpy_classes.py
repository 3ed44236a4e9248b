# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Subclasses of numpy's arrays: masked arrays, matrix, recarray, memmap.

A masked array is its data, its mask (none where it has none), its fill value and whether the mask
is hard; all parts are views of the stored bytes and read-only. A memmap is stored by its bytes and
comes back as a plain array: its file is not part of the value. Other subclasses are left to pickle.

>>> import numpy as np
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(np.ma.array([1, 2], mask=[False, True]))
>>> decode(typename, metadata, [bytes(memoryview(b)) for b in buffers])
masked_array(data=[1, --],
             mask=[False,  True],
       fill_value=999999)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vineyard.codecs.arrays import array_node
from vineyard.codecs.pickled import encode_pickle
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes


def _array_of(decoder: Decoder, node: dict[str, Any], key: str = "array_") -> Any:
    array = decoder.value(node.get(key))
    if type(array) is not np.ndarray:
        corrupted(f"an array that is a {type(array).__name__}")
    return array


# ---- classes that only behave otherwise


@encodes(np.memmap)
def _memmap_node(encoder: Encoder, value: np.memmap[Any, Any]) -> Node:
    return array_node(encoder, value.view(np.ndarray))


@encodes(np.matrix)
def _matrix_node(encoder: Encoder, value: np.matrix[Any, Any]) -> Node:
    return _behaving_node(encoder, value, "numpy.matrix")


@encodes(np.recarray)
def _recarray_node(encoder: Encoder, value: np.recarray[Any, Any]) -> Node:
    return _behaving_node(encoder, value, "numpy.recarray")


def _behaving_node(encoder: Encoder, value: Any, codec: str) -> Node:
    if value.__dict__.keys() - {"_getitem"}:  # which every matrix has
        return encode_pickle(encoder, value, "it has attributes of its own")
    return {"codec": codec, "array_": encoder.node(value.view(np.ndarray))}


@decodes("numpy.matrix")
def _decode_matrix(decoder: Decoder, node: dict[str, Any]) -> Any:
    array = _array_of(decoder, node)
    if array.ndim != 2:
        corrupted(f"a matrix of {array.ndim} dimensions")
    return array.view(np.matrix)


@decodes("numpy.recarray")
def _decode_recarray(decoder: Decoder, node: dict[str, Any]) -> Any:
    return _array_of(decoder, node).view(np.recarray)


# ---- masked arrays

#: Attributes that numpy gives every masked array.
_OWN = {
    *("_fill_value", "_hardmask", "_sharedmask", "_isfield"),
    *("_baseclass", "_optinfo", "_basedict", "_mask"),
}


@encodes(np.ma.MaskedArray)
def _masked_node(encoder: Encoder, value: Any) -> Node:
    beside = {**value._optinfo, **value.__dict__}.keys() - _OWN
    if beside or value.baseclass is not np.ndarray:
        return encode_pickle(encoder, value, "it has attributes or a class of data of its own")
    node: dict[str, Any] = {
        "codec": "numpy.masked",
        "data_": encoder.node(value.data),
        "mask_": None if value.mask is np.ma.nomask else encoder.node(np.asarray(value.mask)),
    }
    if value._fill_value is not None:  # else numpy's default, which asking would fix
        node["fill_"] = encoder.node(np.asarray(value._fill_value))
    if value.hardmask:
        node["hard_"] = True
    return node


@decodes("numpy.masked")
def _decode_masked(decoder: Decoder, node: dict[str, Any]) -> Any:
    data = _array_of(decoder, node, "data_")
    made: Any = data.view(np.ma.MaskedArray)
    if node.get("mask_") is not None:
        mask = _array_of(decoder, node, "mask_")
        if mask.shape != data.shape or mask.dtype != np.ma.make_mask_descr(data.dtype):
            corrupted(f"a mask {mask.dtype}{mask.shape} of data {data.dtype}{data.shape}")
        made._mask = mask  # the setter of `mask` would write to the mask that is there
    if "fill_" in node:
        fill = _array_of(decoder, node, "fill_")
        if fill.ndim or not (
            fill.dtype == data.dtype or fill.dtype.kind == data.dtype.kind in "SU"
        ):
            corrupted(f"a fill value {fill.dtype}{fill.shape} for data {data.dtype}")
        made._fill_value = fill
    if "hard_" in node and decoder.need(node, "hard_", bool):
        made.harden_mask()
    return made


@encodes(type(np.ma.masked), atom=True)
def _masked_constant_node(encoder: Encoder, value: Any) -> Node:
    return {"codec": "numpy.masked_constant"}


@decodes("numpy.masked_constant")
def _decode_masked_constant(decoder: Decoder, node: dict[str, Any]) -> Any:
    return np.ma.masked
