# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Data frames, under the names by which older programs import what belongs to them."""

from vineyard.composition import make_global_dataframe

__all__ = ["make_global_dataframe"]
