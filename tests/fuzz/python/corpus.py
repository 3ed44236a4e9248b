# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where the fuzzer of the codecs begins: one stored value or more for every codec there is.

They are the cases of docs/guides/types.md, made small, and the arrays of every type of Arrow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(REPOSITORY / part) for part in ("scripts", "python/tests", "python")]

import numpy as np  # noqa: E402
import types_table  # noqa: E402
from test_arrow import ARRAYS  # noqa: E402
from test_polars import SERIES  # noqa: E402
from vineyard.codecs import encode  # noqa: E402
from vineyard.errors import TypeErrorException  # noqa: E402

Stored = tuple[str, str, list[bytes]]


def _values() -> dict[str, Any]:
    types_table.LARGE = 12
    made = {}
    for family, (cases, _) in types_table.FAMILIES.items():
        for label, make in cases():
            made[f"{family}: {label}"] = make()
    for name, array in ARRAYS.items():
        made[f"arrow: array of {name}"] = array.slice(1, 9)
        made[f"arrow: scalar of {name}"] = array[5]
    for name, series in SERIES.items():
        made[f"polars: series of {name}"] = series
    made["arrays in a list"] = [np.arange(5), np.float32(1), np.zeros((2, 3), ">i2").T]
    return made


def corpus() -> dict[str, Stored]:
    """What is stored of each value that needs no pickle."""
    made = {}
    for label, value in _values().items():
        try:
            typename, metadata, buffers, _ = encode(value, pickle=False)
        except TypeErrorException:  # a pickle, or nothing at all
            continue
        made[label] = (typename, metadata, [np.asarray(memoryview(b)).tobytes() for b in buffers])
    return made
