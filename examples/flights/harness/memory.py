# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How much memory a run takes at its peak: processes, shared memory and page cache together."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

MEMINFO = Path("/proc/meminfo")
HOW = (
    "peak of AnonPages + Cached + PageTables + used huge pages of /proc/meminfo, sampled every "
    "20 ms, less the same sum just before the run; a page that several processes map counts once"
)


def meminfo() -> dict[str, int]:
    """Return ``/proc/meminfo``: bytes where it has a unit, plain counts where not."""
    fields = {}
    for line in MEMINFO.read_text().splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        fields[name] = int(number) * (1024 if unit == "kB" else 1)
    return fields


def used_bytes() -> int:
    """Return the bytes in use now, each page once.

    ``AnonPages`` is what processes have of their own. ``Cached`` is the page cache of files on
    disk and, with them, all shared memory: files in ``/dev/shm`` and what vineyard keeps.
    """
    info = meminfo()
    huge = info.get("HugePages_Total", 0) - info.get("HugePages_Free", 0)
    return (
        info["AnonPages"] + info["Cached"] + info["PageTables"] + huge * info.get("Hugepagesize", 0)
    )


class PeakMemory:
    """Watch the memory of the whole machine while a ``with`` block runs.

    Parameters
    ----------
    interval_s : float
        Seconds between two looks.

    Attributes
    ----------
    peak_bytes : int
        The highest use seen, less what was in use when the object was made.
    """

    def __init__(self, interval_s: float = 0.02) -> None:
        self._interval_s = interval_s
        self._baseline = used_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._interval_s):
            self.peak_bytes = max(self.peak_bytes, used_bytes() - self._baseline)


def touch_memory(size: int) -> None:
    """Have another process fill `size` bytes and end.

    Where the machine is a virtual one, its host may provide memory only when it is first touched,
    and take it back when it is free: the run that comes first would wait for that, the next not.
    """
    subprocess.run(
        [sys.executable, "-c", f"import numpy; numpy.ones({size}, numpy.uint8)"], check=False
    )
