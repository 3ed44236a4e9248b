# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The families of rows, in the order of the table: one file for each, or for a few that belong together."""

from __future__ import annotations

from side_by_side.rows import (
    arrays,
    clients,
    growth,
    in_store,
    instance,
    large,
    sizes,
    small,
    tables,
)

FAMILIES = (
    small.FAMILY,
    arrays.FAMILY,
    arrays.FRESH,
    large.FAMILY,
    tables.FAMILY,
    in_store.FAMILY,
    clients.FAMILY,
    growth.OBJECTS,
    growth.SHAPES,
    growth.VOLUMES,
    sizes.FAMILY,
    instance.FAMILY,
)
