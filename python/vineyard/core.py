# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names under which older programs import parts of this package."""

from vineyard.client import Client
from vineyard.connecting import connect
from vineyard.contexts import (
    BuilderContext,
    ResolverContext,
    builder_context,
    context,
    default_builder_context,
    default_resolver_context,
    get_current_builders,
    get_current_resolvers,
    resolver_context,
)

__all__ = [
    "BuilderContext",
    "Client",
    "ResolverContext",
    "builder_context",
    "connect",
    "context",
    "default_builder_context",
    "default_resolver_context",
    "get_current_builders",
    "get_current_resolvers",
    "resolver_context",
]
