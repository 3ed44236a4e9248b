# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The ways in which one step hands a value to the next: all behind the same three calls.

A step asks for a transport by name, calls :meth:`Transport.start` once, and then reads and writes
values by path. What lies behind the path, shared memory or a file, is the transport's business.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pandas as pd

from harness.stopwatch import Stopwatch

DROP_CACHES = Path("/proc/sys/vm/drop_caches")


class Transport(ABC):
    """Hand values over by path.

    Attributes
    ----------
    title : str
        What tables and pictures call this way.
    """

    title = ""

    def start(self, path: str) -> dict[str, float]:
        """Get ready, and tell how long each part of that took, in seconds.

        Parameters
        ----------
        path : str
            Any path that this step is going to read or write.
        """
        return {}

    def before_read(self, path: str) -> bool:
        """Do what has to happen before a read but is no part of it; True if caches were dropped."""
        return False

    @abstractmethod
    def read(self, path: str) -> Any:
        """Return the value that was written to `path`."""

    @abstractmethod
    def write(self, value: Any, path: str) -> None:
        """Make `value` readable under `path` for any other process."""


class Vineyard(Transport):
    """Shared memory: the reader gets a read-only view of the pages that the writer filled."""

    title = "vineyard"

    def start(self, path: str) -> dict[str, float]:
        with Stopwatch() as importing:
            from vineyard import csi
        self._csi = csi
        with Stopwatch() as connecting:
            csi.exists(path)  # the first call connects; every later one uses that connection
        return {"import_s": importing.seconds, "connect_s": connecting.seconds}

    def read(self, path: str) -> Any:
        return self._csi.read(path)

    def write(self, value: Any, path: str) -> None:
        self._csi.write(value, path)


class VineyardAllocated(Vineyard):
    """The same, and numpy's arrays lie in the store before they are written: nothing to copy."""

    title = "vineyard, allocated"

    def start(self, path: str) -> dict[str, float]:
        times = super().start(path)
        with Stopwatch() as enabling:
            import vineyard

            # Also without huge pages: slower then, and that is worth knowing.
            vineyard.enable_allocator(self._csi.client(path), force=True)
        return times | {"enable_s": enabling.seconds}


class PickleFiles(Transport):
    """One pickle file for each value, written and read through the page cache."""

    title = "pickle, warm disk"

    def read(self, path: str) -> Any:
        return pd.read_pickle(path)

    def write(self, value: Any, path: str) -> None:
        pd.to_pickle(value, path)


class ColdPickleFiles(PickleFiles):
    """Pickle files whose reader finds nothing cached, as after a step on another machine."""

    title = "pickle, cold disk"

    def before_read(self, path: str) -> bool:
        return drop_page_cache()


class SharedMemoryPickleFiles(PickleFiles):
    """Pickle files on a file system that lives in memory."""

    title = "pickle, /dev/shm"


TRANSPORTS: dict[str, type[Transport]] = {
    "vineyard": Vineyard,
    "vineyard_allocated": VineyardAllocated,
    "disk_cold": ColdPickleFiles,
    "disk_warm": PickleFiles,
    "shm_pickle": SharedMemoryPickleFiles,
}


def drop_page_cache() -> bool:
    """Write out what is dirty and drop the whole page cache.

    Returns
    -------
    bool
        False if this process may not drop it (that takes root and a writable ``/proc/sys``).
    """
    os.sync()
    try:
        DROP_CACHES.write_text("3\n")
    except OSError:
        return False
    return True
