# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Structured dtypes of every shape."""

import numpy as np

NESTED = np.dtype([("x", "<i2"), ("y", [("a", "S3"), ("b", ">c16", (2, 3))]), ("z", "M8[25s]")])
ALIGNED = np.dtype([("a", "i1"), ("b", "f8"), ("c", "U2")], align=True)
GAPS = np.dtype({"names": ["b", "a"], "formats": ["<f4", "?"], "offsets": [9, 2], "itemsize": 17})
TITLES = np.dtype([(("a title", "a"), "i4"), ("b", "f8")])
UNION = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<f4"], "offsets": [0, 0]})
OBJECTS = np.dtype([("a", "i4"), ("o", "O"), ("n", [("p", "O", 2), ("q", "f8")])])
TOLD = np.dtype("f8", metadata={"unit": "m"})
