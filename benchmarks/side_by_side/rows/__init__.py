# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The families of rows, in the order of the table: one file for each."""

from __future__ import annotations

from side_by_side.rows import arrays, large, small, tables

FAMILIES = (small.FAMILY, arrays.FAMILY, large.FAMILY, tables.FAMILY)
