# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names that older programs import from the extension module. What is here is elsewhere, too."""

from __future__ import annotations

from typing import Any, NoReturn

from vineyard._core import Blob, BlobBuilder, InstanceStatus, ObjectID
from vineyard.client import Client
from vineyard.client import Client as IPCClient
from vineyard.connecting import connect
from vineyard.errors import *  # noqa: F403
from vineyard.errors import InvalidException, NeedsClusterException
from vineyard.errors import __all__ as _errors
from vineyard.objects import Object, ObjectMeta, ObjectName

__all__ = [
    "Blob",
    "BlobBuilder",
    "Client",
    "IPCClient",
    "InstanceStatus",
    "Object",
    "ObjectID",
    "ObjectMeta",
    "ObjectName",
    "RPCClient",
    "RemoteBlob",
    "RemoteBlobBuilder",
    "connect",
    "memory_copy",
    *_errors,
]


class _OnlyInACluster:
    """Has a meaning only with other instances."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _needs_cluster(type(self).__name__)


class RPCClient(_OnlyInACluster):
    """A client of an instance on another node."""


class RemoteBlob(_OnlyInACluster):
    """A blob got from an instance on another node."""


class RemoteBlobBuilder(_OnlyInACluster):
    """A blob to be sent to an instance on another node."""

    @staticmethod
    def make(*args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("RemoteBlobBuilder.make()")

    @staticmethod
    def wrap(*args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("RemoteBlobBuilder.wrap()")


def _needs_cluster(what: str) -> NoReturn:
    raise NeedsClusterException(
        f"{what} needs a cluster: this instance runs alone; create_blob() and get_blob() are for it"
    )


def memory_copy(dst: Any, src: Any, offset: int = 0, concurrency: int = 6) -> None:
    """Copies the bytes of one buffer into another, from `offset` on.

    Raises
    ------
    InvalidException
        They do not fit there, or `dst` is read-only.
    """
    to, what = memoryview(dst).cast("B"), memoryview(src).cast("B")
    if to.readonly:
        raise InvalidException("the buffer to copy to is read-only")
    if offset < 0 or offset + what.nbytes > to.nbytes:
        raise InvalidException(f"{what.nbytes} bytes do not fit into {to.nbytes} from {offset} on")
    to[offset : offset + what.nbytes] = what
