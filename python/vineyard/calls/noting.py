# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a builder stores, noted."""

from __future__ import annotations

from typing import Any

from vineyard import _core
from vineyard._core import ObjectID


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
        members: Any = None,
        labels: Any = None,
        timeout: float | None = None,
        name: str | None = None,
        *options: Any,
    ) -> ObjectID:
        ref = self._core.put(typename, metadata, buffers, members, labels, timeout, name, *options)
        if name is None:
            self.made.add(ref)
        return ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)
