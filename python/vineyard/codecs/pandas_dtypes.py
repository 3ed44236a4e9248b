# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The dtypes of pandas, as values: each by an empty array that has it (``empty_``).

Two may leave something open, which no array does, and are written out: ``categories_`` and
``ordered_``; ``subtype_`` and ``closed_`` of intervals.

>>> import pandas as pd
>>> from vineyard.codecs import decode, encode
>>> typename, metadata, buffers, _ = encode(pd.PeriodDtype("M"))
>>> decode(typename, metadata, [bytes(b) for b in buffers])
period[M]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from vineyard.codecs import pandas_internals as internals
from vineyard.codecs.pandas_arrays import ordered_of
from vineyard.codecs.tree import Decoder, Encoder, Node, corrupted, decodes, encodes


@encodes(*(getattr(pd, name) for name in dir(pd) if name.endswith("Dtype")))
def _dtype_node(encoder: Encoder, dtype: Any) -> Node:
    if isinstance(dtype, pd.CategoricalDtype):
        categories = encoder.node(dtype.categories)
        return {"codec": "pandas.dtype", "categories_": categories, "ordered_": dtype.ordered}
    if isinstance(dtype, pd.IntervalDtype) and (dtype.subtype is None or dtype.closed is None):
        subtype = dtype.subtype if dtype.subtype is None else str(dtype.subtype)
        return {"codec": "pandas.dtype", "subtype_": subtype, "closed_": dtype.closed}
    return {"codec": "pandas.dtype", "empty_": encoder.node(internals.empty_array(dtype))}


@decodes("pandas.dtype")
def _decode_dtype(decoder: Decoder, node: dict[str, Any]) -> Any:
    if "empty_" in node:
        empty = decoder.value(node["empty_"])
        if not isinstance(empty, ExtensionArray) or isinstance(empty.dtype, np.dtype):
            corrupted("a dtype that is none of pandas")
        return empty.dtype
    if "categories_" in node:
        categories = decoder.value(node["categories_"])
        if categories is not None and not isinstance(categories, pd.Index):
            corrupted("categories that are no index")
        return pd.CategoricalDtype(categories, ordered_of(node))
    text = (str, type(None))
    closed: Any = decoder.need(node, "closed_", text)
    return pd.IntervalDtype(decoder.need(node, "subtype_", text), closed)
