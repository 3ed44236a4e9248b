# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Numbers, texts, bytes and sequences, under the names by which older programs import what belongs to them."""

from vineyard.data import register_builtin_types as register_base_types

__all__ = ["register_base_types"]
