# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a builder stores, noted."""

from __future__ import annotations

from typing import Any

from vineyard import _core
from vineyard._core import ObjectID
from vineyard.progress import Progress


class NotingCore:
    """A core client that notes what is put through it without a name."""

    def __init__(self, core: _core.Client) -> None:
        self._core = core
        self.made: set[ObjectID] = set()

    def put(
        self,
        typename: str,
        metadata: str,
        buffers: Any,
        members: Any,
        labels: Any,
        name: str | None,
        if_version: int | None,
        timeout: float | None,
        progress: Progress | None = None,
    ) -> ObjectID:
        ref = self._core.put(
            typename, metadata, buffers, members, labels, name, if_version, timeout, progress
        )
        if name is None:
            self.made.add(ref)
        return ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
