# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What belongs to builders; see `vineyard.contexts`."""

from vineyard.connecting import put
from vineyard.contexts import (
    BuilderContext,
    builder_context,
    default_builder_context,
    get_current_builders,
)

__all__ = [
    "BuilderContext",
    "builder_context",
    "default_builder_context",
    "get_current_builders",
    "put",
]
