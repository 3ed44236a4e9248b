# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names under which older programs import what belongs to types of values.

How values are stored is in `vineyard.codecs`; builders and resolvers of a program's own are in
`vineyard.contexts`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["register_builtin_types"]

#: Imported when they are used, by programs that import no more than ``vineyard``.
_MODULES = {"arrow", "base", "dataframe", "default", "index", "series", "tensor", "utils"}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"vineyard.data.{name}")
    raise AttributeError(f"module 'vineyard.data' has no attribute {name!r}")


def register_builtin_types(builder_ctx: Any = None, resolver_ctx: Any = None) -> None:
    """Kept for programs that call it: all types that have codecs are stored without it."""
