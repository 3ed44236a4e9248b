# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A vineyardd of the demonstration's own: started when needed, ended whatever happens."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[3]
READY_WITHIN_S = 30
END_WITHIN_S = 15


class InstanceError(Exception):
    """The instance can't be found, or does not come up."""


def find_vineyardd(named: str | None = None) -> Path:
    """Find the server: as `named`, as built here, as installed with the package, or on the path.

    Raises
    ------
    InstanceError
        If it is in none of these places.
    """
    if named is not None:
        if not Path(named).is_file():
            raise InstanceError(f"there is no vineyardd at {named}")
        return Path(named)
    places = [REPOSITORY / "build" / "release" / "bin"]
    spec = importlib.util.find_spec("vineyard")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        places += [Path(folder) / "bin", Path(folder)]
    places.append(Path(sys.executable).parent)
    for place in places:
        if (place / "vineyardd").is_file():
            return place / "vineyardd"
    found = shutil.which("vineyardd")
    if found is None:
        raise InstanceError("vineyardd is neither built nor installed: run `make build` first")
    return Path(found)


class Instance:
    """A running vineyardd with a volume of its own, for the length of a ``with`` block.

    Parameters
    ----------
    binary : Path
        The server to run.
    size_bytes : int
        What it may hold.

    Attributes
    ----------
    volume : Path
        The directory below which :mod:`vineyard.csi` paths lie.
    """

    def __init__(self, binary: Path, size_bytes: int) -> None:
        self._binary = binary
        self._size_bytes = size_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="vineyard-flights-")
        self.volume = Path(self._folder.name, "volume")
        self.volume.mkdir()
        self._log = Path(self._folder.name, "vineyardd.log")
        try:
            self._start()
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def _start(self) -> None:
        command = [
            str(self._binary),
            f"--socket={self.volume / 'vineyard.sock'}",
            f"--size={self._size_bytes}",
            f"--exit_with_parent={os.getpid()}",  # also when a SIGKILL ends us
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we end it in our own order
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise InstanceError(
                    f"vineyardd ended with status {self._process.returncode}: {self._last_words()}"
                )
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.volume / "vineyard.sock"))
                    return
                except OSError:
                    time.sleep(0.01)
        raise InstanceError(
            f"vineyardd accepts nobody after {READY_WITHIN_S} s: {self._last_words()}"
        )

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
