# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Immutable data in shared memory, handed from process to process without a copy.

>>> import vineyard
>>> with vineyard.connect() as client:  # doctest: +SKIP
...     client.put([1, 2, 3], name="numbers")
...     client.get(name="numbers")
[1, 2, 3]

What comes back from `get` is equal to what was put, of the same type, and read-only; large arrays
are views of the very pages that the writer filled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vineyard import errors
from vineyard._core import Blob, BlobBuilder, InstanceStatus, ObjectID
from vineyard._core import version as _version
from vineyard.client import Client
from vineyard.connecting import connect, get, put
from vineyard.contexts import (
    builder_context,
    default_builder_context,
    default_driver_context,
    default_resolver_context,
    driver_context,
    resolver_context,
)
from vineyard.errors import *  # noqa: F403
from vineyard.explanation import explain
from vineyard.objects import Object, ObjectMeta, ObjectName

if TYPE_CHECKING:
    from vineyard import core, csi, data, deploy, shared_memory
    from vineyard import io as io
    from vineyard.allocating import allocator, disable_allocator, enable_allocator
    from vineyard.environment import envvars

__version__ = _version()

__all__ = [
    "Blob",
    "BlobBuilder",
    "Client",
    "InstanceStatus",
    "Object",
    "ObjectID",
    "ObjectMeta",
    "ObjectName",
    "allocator",
    "builder_context",
    "connect",
    "core",
    "csi",
    "data",
    "default_builder_context",
    "default_driver_context",
    "default_resolver_context",
    "deploy",
    "disable_allocator",
    "driver_context",
    "enable_allocator",
    "envvars",
    "explain",
    "get",
    "put",
    "resolver_context",
    "shared_memory",
    *errors.__all__,
]


#: Imported when they are used: modules, and names in other modules.
_LAZY_MODULES = {"core", "csi", "data", "deploy", "io", "shared_memory"}
_LAZY_NAMES = {
    "IPCClient": "vineyard._C",
    "RPCClient": "vineyard._C",
    "RemoteBlob": "vineyard._C",
    "RemoteBlobBuilder": "vineyard._C",
    "allocator": "vineyard.allocating",
    "disable_allocator": "vineyard.allocating",
    "enable_allocator": "vineyard.allocating",
    "envvars": "vineyard.environment",
    "get_current_socket": "vineyard.deploy.local",
    "memory_copy": "vineyard._C",
    "register_builtin_types": "vineyard.data",
    "shutdown": "vineyard.deploy.local",
    "try_init": "vineyard.deploy.local",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _LAZY_MODULES:
        return importlib.import_module(f"vineyard.{name}")
    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    raise AttributeError(f"module 'vineyard' has no attribute {name!r}")
