# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Types without a codec of their own, under the names by which older programs import what belongs to them."""

from vineyard.data import register_builtin_types as register_default_types

__all__ = ["register_default_types"]
