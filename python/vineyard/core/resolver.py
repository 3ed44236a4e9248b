# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What belongs to resolvers; see `vineyard.contexts`."""

from vineyard.connecting import get
from vineyard.contexts import (
    ResolverContext,
    default_resolver_context,
    get_current_resolvers,
    resolver_context,
)

__all__ = [
    "ResolverContext",
    "default_resolver_context",
    "get",
    "get_current_resolvers",
    "resolver_context",
]
