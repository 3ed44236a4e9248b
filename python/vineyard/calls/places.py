# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where objects lie: in memory, or, when that is short, on the instance's disk."""

from __future__ import annotations

from collections.abc import Sequence

from vineyard._core import ObjectID
from vineyard.calls.refs import Calls, Ref, to_id


class PlaceCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    def load(
        self,
        object_ids: Ref | Sequence[Ref],
        pin: bool = False,
        *,
        timeout: float | None = None,
    ) -> None:
        """Brings objects and their members back to memory, all of them together.

        A get does so by itself; this does it ahead, and can keep them there.

        Parameters
        ----------
        object_ids
            One object or several.
        pin
            They stay in memory until `unpin`, or the end of this client.
        timeout
            Seconds; the client's own if None.

        Raises
        ------
        NotEnoughMemoryException
            There is no room for all of them: what is mapped or pinned can't make room.
        CorruptedException
            What lies on the disk is not what was written.
        """
        self._core.load(_ids(object_ids), pin, timeout)

    def unpin(self, object_ids: Ref | Sequence[Ref], *, timeout: float | None = None) -> None:
        """Takes back what this client has pinned with ``load(..., pin=True)``."""
        self._core.unpin(_ids(object_ids), timeout)

    def evict(self, object_ids: Ref | Sequence[Ref], *, timeout: float | None = None) -> None:
        """Moves objects and their members to the disk now, whether memory is short or not.

        Raises
        ------
        FailedPreconditionException
            A program has one of them mapped (an array of it is alive somewhere) or pinned, or the
            instance was started without ``--spill_path``. The others have been moved all the same.
        NotEnoughMemoryException
            The disk is full.
        """
        self._core.evict(_ids(object_ids), timeout)

    def make_durable(
        self, object_ids: Ref | Sequence[Ref], *, timeout: float | None = None
    ) -> None:
        """Has objects, with all that they refer to, outlive the instance and a loss of power.

        Returns when they are on the disk. Names stay as they are: see `put_name`.

        Raises
        ------
        NotImplementedException
            The instance was started without ``--spill_path``.
        FailedPreconditionException
            The volume is not durable itself.
        NotEnoughMemoryException
            The disk is full.
        """
        self._core.make_durable(_ids(object_ids), timeout)

    def is_durable(self, object_id: Ref, *, timeout: float | None = None) -> bool:
        """Whether the object outlives the instance, with all that it refers to."""
        return self._core.places(to_id(object_id), timeout).durable

    def is_spilled(self, object_id: Ref, *, timeout: float | None = None) -> bool:
        """Whether some of the object is on the disk only."""
        return self._core.places(to_id(object_id), timeout).spilled_bytes > 0

    def is_in_use(self, object_id: Ref, *, timeout: float | None = None) -> bool:
        """Whether some program has a large part of the object mapped."""
        return self._core.places(to_id(object_id), timeout).in_use


def _ids(refs: Ref | Sequence[Ref]) -> list[ObjectID]:
    if isinstance(refs, (list, tuple)):
        return [to_id(ref) for ref in refs]
    return [to_id(refs)]
