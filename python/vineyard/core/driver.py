# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What belongs to drivers (see `vineyard.contexts`), and functions that others add ways to.

>>> @registerize
... def read(path):
...     return registered(read, path.split(":")[0])
>>> read.register("file", open)
>>> read("file:a") == [open]
True
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from vineyard.contexts import (
    DriverContext,
    default_driver_context,
    driver_context,
    get_current_drivers,
)
from vineyard.errors import InvalidException

__all__ = [
    "DriverContext",
    "default_driver_context",
    "driver_context",
    "get_current_drivers",
    "registered",
    "registerize",
]


def registerize(function: Callable[..., Any]) -> Any:
    """Gives a function a ``register(*keys, way)``: it finds what was registered by `registered`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    ways: dict[tuple[Any, ...], list[Any]] = {}

    def register(*keys_and_way: Any) -> None:
        if not keys_and_way:
            raise InvalidException("register() needs what is to be registered")
        *keys, way = keys_and_way
        ways.setdefault(tuple(keys), []).append(way)

    call.register = register  # type: ignore[attr-defined]
    call._ways = ways  # type: ignore[attr-defined]
    return call


def registered(function: Any, *keys: Any) -> list[Any]:
    """What was registered under these keys, in that order."""
    return list(function._ways.get(keys, ()))
