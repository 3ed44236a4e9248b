# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What has no effect on one instance, what needs several of them, and what is not built."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Self

from vineyard.calls.refs import Calls, Ref
from vineyard.errors import NeedsClusterException, NotImplementedException


class ElsewhereCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    def sync_meta(self) -> None:
        """Nothing to do: there is one instance, and its answers are current."""

    def memory_trim(self) -> bool:
        """Nothing to do: memory goes back when objects go."""
        return False

    def release_object(self, object_id: Ref) -> None:
        """Nothing to do: memory is held by values, not by this client."""

    def release_objects(self, object_ids: Sequence[Ref]) -> None:
        """Nothing to do: memory is held by values, not by this client."""

    @contextlib.contextmanager
    def with_compression(self, enabled: bool = True) -> Iterator[None]:
        """Nothing to do: nothing is sent over a network."""
        yield

    @contextlib.contextmanager
    def with_spread(self, enabled: bool = True) -> Iterator[None]:
        """Nothing to do: there is one instance."""
        yield

    @property
    def compression(self) -> bool:
        """False: nothing is sent over a network."""
        return False

    @property
    def spread(self) -> bool:
        """False: there is one instance."""
        return False

    @property
    def ipc_client(self) -> Self:
        """The client itself: it has no other parts."""
        return self

    def reset(self) -> NoReturn:
        _not_built("reset()", "clear() deletes everything in the volume, under a name that says so")

    def debug(self, *args: Any, **kwargs: Any) -> NoReturn:
        _not_built("debug()", "client.status and vineyardctl say what an instance does")

    def migrate(self, object_id: Ref) -> NoReturn:
        _needs_cluster("migrate()")

    def create_remote_blob(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("create_remote_blob()")

    def get_remote_blob(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("get_remote_blob()")

    def get_remote_blobs(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("get_remote_blobs()")

    @property
    def remote_instance_id(self) -> int:
        _needs_cluster("remote_instance_id")

    @property
    def rpc_client(self) -> NoReturn:
        _needs_cluster("rpc_client")

    @property
    def rdma_endpoint(self) -> str:
        """Empty: the instance listens at its socket only."""
        return ""

    @property
    def meta(self) -> NoReturn:
        _needs_cluster("meta (the cluster's members)")


def _needs_cluster(what: str) -> NoReturn:
    raise NeedsClusterException(f"{what} needs a cluster: this instance runs alone")


def _not_built(what: str, instead: str) -> NoReturn:
    raise NotImplementedException(f"{what} is not there: {instead}")
