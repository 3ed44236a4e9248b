# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays, under the names by which older programs import what belongs to them."""

from numpy import ndarray

from vineyard.composition import make_global_tensor
from vineyard.data import register_builtin_types as register_tensor_types

__all__ = ["make_global_tensor", "ndarray", "register_tensor_types"]
