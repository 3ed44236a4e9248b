# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What an instance says of itself: who holds the memory, what waits, what is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vineyard.calls.deadlines import Deadline
from vineyard.calls.refs import Calls, Ref, to_id
from vineyard.errors import ObjectNotExistsException

if TYPE_CHECKING:
    import pandas as pd

    from vineyard.figures import ClientInfo, Figures, TracePage, WaitInfo, Why


class SeeingCalls(Calls):
    """See `vineyard.Client`.

    Who asks about ``all_volumes`` has come through the instance's first socket, and is its owner or
    root; else it is a PermissionDeniedException.
    """

    __slots__ = ()

    def memory(self, *, holders: bool = False, timeout: float | None = None) -> pd.DataFrame:
        """What is stored in the volume, the largest first.

        Parameters
        ----------
        holders : bool
            Also who has each object mapped, and what of it lies on the disk: a question to the
            instance for each.
        timeout : float, optional
            Seconds; the client's own if None.

        Returns
        -------
        pandas.DataFrame
            A row for each object that is no part of another. Columns: ``id`` (ObjectID), ``name``
            (the first of its names, or None), ``names`` (how many it has), ``typename``, ``nbytes``
            (with all its parts; what several share counts for each), ``created`` (UTC; NaT for a
            blob), ``pid``, ``program`` and ``pod`` of its creator. With `holders`: ``memory_bytes``,
            ``spilled_bytes``, and ``holders`` (tuple of `vineyard.figures.ClientInfo`).
            ``attrs`` has ``volume``, and ``held`` and ``limit`` of its memory, in bytes.
        """
        import numpy as np
        import pandas as pd

        deadline = Deadline(timeout, self._core)
        volume = self.figures(timeout=timeout).volumes[0]
        found = self._core.survey(deadline.left())
        found.sort(key=lambda row: (-row[1], int(row[0].id)))
        infos = [info for info, _, _ in found]
        made = np.array([info.created_unix_ns for info in infos], dtype="datetime64[ns]")
        made[made == np.datetime64(0, "ns")] = np.datetime64("NaT")
        columns: dict[str, Any] = {
            "id": pd.Series([info.id for info in infos], dtype=object),
            "name": pd.Series([min(names, default=None) for *_, names in found], dtype=object),
            "names": pd.Series([len(names) for *_, names in found], dtype="int64"),
            "typename": pd.Series([info.typename for info in infos], dtype=object),
            "nbytes": pd.Series([nbytes for _, nbytes, _ in found], dtype="int64"),
            "created": pd.Series(made).dt.tz_localize("UTC"),
            "pid": pd.Series([info.creator_pid for info in infos], dtype="int64"),
            "program": pd.Series([info.creator_program for info in infos], dtype=object),
            "pod": pd.Series([info.creator_pod for info in infos], dtype=object),
        }
        if holders:
            columns |= self._places(infos, deadline)
        frame = pd.DataFrame(columns)
        frame.attrs = {"volume": volume.name, "held": volume.held, "limit": volume.limit}
        return frame

    def _places(self, infos: list[Any], deadline: Deadline) -> dict[str, pd.Series[Any]]:
        import pandas as pd

        from vineyard.figures import to_client

        rows: list[tuple[int, int, tuple[ClientInfo, ...]]] = []
        for info in infos:
            try:
                places = self._core.places(info.id, deadline.left())
            except ObjectNotExistsException:  # it has gone meanwhile
                rows.append((0, 0, ()))
            else:
                held_by = tuple(to_client(holder) for holder in places.holders)
                rows.append((places.memory_bytes, places.spilled_bytes, held_by))
        return {
            "memory_bytes": pd.Series([row[0] for row in rows], dtype="int64"),
            "spilled_bytes": pd.Series([row[1] for row in rows], dtype="int64"),
            "holders": pd.Series([row[2] for row in rows], dtype=object),
        }

    def figures(self, all_volumes: bool = False, *, timeout: float | None = None) -> Figures:
        """Memory by what it is used for, requests and how long they took, and more; of this volume,
        or of all."""
        from vineyard.figures import to_figures

        return to_figures(self._core.figures(all_volumes, timeout))

    def clients(
        self, all_volumes: bool = False, *, timeout: float | None = None
    ) -> list[ClientInfo]:
        """Who is there, and what they hold."""
        from vineyard.figures import to_client

        return [to_client(client) for client in self._core.list_clients(all_volumes, timeout)]

    def waits(self, all_volumes: bool = False, *, timeout: float | None = None) -> list[WaitInfo]:
        """Requests that wait: for memory, the disk, a name, a stream."""
        from vineyard.figures import WaitInfo

        return [WaitInfo(**wait) for wait in self._core.list_waits(all_volumes, timeout)]

    def trace(
        self, after: int = 0, all_volumes: bool = False, *, timeout: float | None = None
    ) -> TracePage:
        """Requests that were answered after that sequence, as far as they are remembered.

        Parameters
        ----------
        after : int
            `TracePage.last` of the page before; 0: the oldest there are.
        """
        from vineyard.figures import to_trace

        return to_trace(self._core.trace(after, all_volumes, timeout))

    def why(self, object_id: Ref, *, timeout: float | None = None) -> Why:
        """Why an object is there, who uses it, and what would free its memory; ``print`` shows it.

        Raises
        ------
        ObjectNotExistsException
        """
        from vineyard.figures import to_why

        return to_why(self._core.why(to_id(object_id), timeout))
