# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""pyarrow.Tensor: a numpy array with names for its dimensions.

>>> import numpy as np, pyarrow as pa
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(pa.Tensor.from_numpy(np.eye(2), ["row", "column"]))
>>> back = decode(typename, metadata, [memoryview(b).tobytes() for b in buffers])
>>> back.dim_names, back.to_numpy().tolist()
(['row', 'column'], [[1.0, 0.0], [0.0, 1.0]])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes, refuse


@encodes(pa.Tensor)
def _tensor_node(encoder: Encoder, value: pa.Tensor) -> Node:
    return {
        "codec": "arrow.tensor",
        "names_": [encoder.node(name) for name in value.dim_names],
        "array_": encoder.node(value.to_numpy()),
    }


@decodes("arrow.tensor")
def _decode_tensor(decoder: Decoder, node: dict[str, Any]) -> pa.Tensor:
    names = [decoder.value(name) for name in decoder.need(node, "names_", list)]
    array = decoder.value(node.get("array_"))
    if type(array) is not np.ndarray or not all(type(name) is str for name in names):
        corrupted("a tensor that is none, or has a name that is none")
    if names and len(names) != array.ndim:
        corrupted(f"{len(names)} names for {array.ndim} dimensions")
    try:
        return pa.Tensor.from_numpy(array, names or None)
    except (pa.ArrowException, TypeError) as error:
        corrupted(f"pyarrow says: {error}")


@encodes(pa.SparseCOOTensor, pa.SparseCSRMatrix, pa.SparseCSCMatrix)
def _sparse_node(encoder: Encoder, value: Any) -> Node:
    refuse(value, "it has no codec: put value.to_scipy(), or value.to_tensor()")


@encodes(pa.SparseCSFTensor)
def _csf_node(encoder: Encoder, value: Any) -> Node:
    refuse(value, "it has no codec: put value.to_tensor()")
