# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names under which older programs import parts of this package."""

from vineyard.client import Client
from vineyard.connecting import connect
from vineyard.contexts import context
from vineyard.core.builder import (
    BuilderContext,
    builder_context,
    default_builder_context,
    get_current_builders,
)
from vineyard.core.driver import (
    DriverContext,
    default_driver_context,
    driver_context,
    get_current_drivers,
)
from vineyard.core.resolver import (
    ResolverContext,
    default_resolver_context,
    get_current_resolvers,
    resolver_context,
)

__all__ = [
    "BuilderContext",
    "Client",
    "DriverContext",
    "ResolverContext",
    "builder_context",
    "connect",
    "context",
    "default_builder_context",
    "default_driver_context",
    "default_resolver_context",
    "driver_context",
    "get_current_builders",
    "get_current_drivers",
    "get_current_resolvers",
    "resolver_context",
]
