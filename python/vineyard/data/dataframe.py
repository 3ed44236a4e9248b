# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Data frames, under the names by which older programs import what belongs to them."""

from vineyard.composition import make_global_dataframe
from vineyard.data import register_builtin_types as register_dataframe_types

__all__ = ["make_global_dataframe", "register_dataframe_types"]
