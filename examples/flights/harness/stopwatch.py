# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A context manager that adds up the seconds spent inside it."""

from __future__ import annotations

import time
from typing import Self


class Stopwatch:
    """Add up wall-clock seconds over any number of ``with`` blocks.

    Examples
    --------
    >>> watch = Stopwatch()
    >>> with watch:
    ...     pass
    >>> watch.seconds >= 0
    True
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.last = 0.0

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.last = time.perf_counter() - self._start
        self.seconds += self.last
