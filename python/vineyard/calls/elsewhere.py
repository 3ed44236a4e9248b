# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What has no effect on one instance, and what needs several of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from vineyard.calls.refs import Calls, Ref
from vineyard.errors import NeedsClusterException


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
    def meta(self) -> NoReturn:
        _needs_cluster("meta (the cluster's members)")


def _needs_cluster(what: str) -> NoReturn:
    raise NeedsClusterException(f"{what} needs a cluster: this instance runs alone")
