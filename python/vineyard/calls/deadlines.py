# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One deadline for a call that makes several requests."""

from __future__ import annotations

from time import monotonic

from vineyard import _core


class Deadline:
    """When a whole call must have ended.

    Parameters
    ----------
    timeout : float, optional
        Seconds from `began`, as the caller said; None for the default of the connection.
    core : _core.Client
    began : float, optional
        When the call began, as ``time.monotonic()`` tells it; now by default.
    """

    __slots__ = ("_end", "_timeout")

    def __init__(
        self, timeout: float | None, core: _core.Client, began: float | None = None
    ) -> None:
        self._timeout = core.timeout if timeout is None else timeout
        self._end = (monotonic() if began is None else began) + self._timeout

    def left(self) -> float:
        """Seconds that the next request may take; 0 when the time is over."""
        if self._timeout < 0:
            return self._timeout  # is no time, and the request says so
        return max(self._end - monotonic(), 0.0)
