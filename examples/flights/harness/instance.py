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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from harness.sizes import format_bytes, format_seconds
from harness.stopwatch import Stopwatch

REPOSITORY = Path(__file__).resolve().parents[3]
READY_WITHIN_S = 60
END_WITHIN_S = 15


class InstanceError(Exception):
    """The instance can't be found, or does not come up."""


def find_vineyardd(named: str | None = None) -> Path:
    """Find the server: as `named`, as built here, as installed with the package, or on the path.

    Raises
    ------
    InstanceError
        If it is in none of these places, or the Python package is missing.
    """
    if named is not None:
        if not Path(named).is_file():
            raise InstanceError(f"there is no vineyardd at {named}")
        return Path(named)
    places = [REPOSITORY / "build" / "release" / "bin"]
    spec = importlib.util.find_spec("vineyard")
    if spec is None:
        raise InstanceError("the package vineyard is missing: run `make build`, or install it")
    for folder in spec.submodule_search_locations or []:
        places += [Path(folder) / "bin", Path(folder)]
    places.append(Path(sys.executable).parent)
    for place in places:
        if (place / "vineyardd").is_file():
            return place / "vineyardd"
    found = shutil.which("vineyardd")
    if found is None:
        raise InstanceError("vineyardd is neither built nor installed: run `make build` first")
    return Path(found)


def ask_status(socket_path: Path) -> object:
    """Ask an instance how it is, and wait for the answer: it may be taking memory still."""
    import vineyard

    with vineyard.connect(str(socket_path), timeout=READY_WITHIN_S) as client:
        return client.status


class Instance:
    """A running vineyardd with a volume of its own, for the length of a ``with`` block.

    Parameters
    ----------
    binary : Path
        The server to run.
    data_bytes : int
        How much it is going to hold, short of what the store itself needs.
    reserve : bool
        Whether it takes all of its memory at the start, as a service on a busy machine would.
    ask : callable
        Asks the server at a socket something and returns once it has answered.

    Attributes
    ----------
    volume : Path
        The directory below which :mod:`vineyard.csi` paths lie.
    facts : dict
        ``size_bytes``, ``reserved``, and ``ready_s``, the seconds until it answered.
    """

    def __init__(
        self,
        binary: Path,
        data_bytes: int,
        *,
        reserve: bool = True,
        ask: Callable[[Path], object] = ask_status,
    ) -> None:
        self._binary = binary
        self._ask = ask
        size = data_bytes + 2**27
        self.facts: dict[str, Any] = {"size_bytes": size, "reserved": reserve}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="vineyard-flights-")
        self.volume = Path(self._folder.name, "volume")
        self.volume.mkdir()
        self._log = Path(self._folder.name, "vineyardd.log")
        try:
            with Stopwatch() as starting:
                self._start()
                self._wait_until_ready()
            self.facts["ready_s"] = starting.seconds
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
            f"--size={self.facts['size_bytes']}",
            f"--reserve_memory={str(self.facts['reserved']).lower()}",
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
                    break
                except OSError:
                    time.sleep(0.01)
        else:
            raise InstanceError(f"vineyardd accepts nobody: {self._last_words()}")
        try:
            self._ask(self.volume / "vineyard.sock")
        except (OSError, RuntimeError) as error:
            raise InstanceError(
                f"vineyardd does not answer: {error}: {self._last_words()}"
            ) from error

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def describe(facts: dict[str, Any]) -> str:
    """Say what an instance took, as from `Instance.facts`."""
    memory = format_bytes(facts["size_bytes"]) + (" reserved" if facts["reserved"] else " at most")
    return f"{memory}, after {format_seconds(facts['ready_s'])}"
