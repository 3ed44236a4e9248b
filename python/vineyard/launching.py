# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Starting vineyardd as a child process, and ending it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from vineyard import _core
from vineyard.errors import VineyardException, VineyardServerNotReadyException
from vineyard.programs import find_program

_PREFIX = "vineyard-"


class Instance:
    """A vineyardd that this process started.

    Use `start`; `stop` ends it and removes the directory that was made for its socket. Both belong to
    the process that started it: in a forked child `stop` does nothing.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], socket: str, directory: str | None
    ) -> None:
        self.process = process
        self.socket = socket
        self._directory = directory
        self._owner = os.getpid()

    @classmethod
    def start(
        cls,
        socket: str | None = None,
        size: str | None = None,
        *,
        exit_with: int | None = None,
        arguments: Sequence[str] = (),
        program: str | None = None,
        timeout: float = 60.0,
        quiet: bool = True,
    ) -> Instance:
        """Starts a vineyardd, and returns when it answers.

        Parameters
        ----------
        socket : str, optional
            Where it shall listen; by default in a new directory of this user's own.
        size : str, optional
            As ``--size``: ``"8Gi"``, ``"50%"``.
        exit_with : int, optional
            A process with whose end the instance ends, whatever ended it.
        arguments : sequence of str
            More arguments.
        program : str, optional
            Path of vineyardd.
        timeout : float
            Seconds until it must answer.
        quiet : bool
            Whether its log is shown only if it does not come up.

        Raises
        ------
        VineyardServerNotReadyException
            It can't be run, ended, or did not answer in time; with what it said.
        """
        program = program or find_program("vineyardd")
        directory = None
        if socket is None:
            _sweep()
            directory = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
            socket = os.path.join(directory, "vineyard.sock")
        elif _answers(socket):
            raise VineyardServerNotReadyException(f"an instance runs already at '{socket}'")
        command = [program, f"--socket={socket}", "--meta=local"]
        if directory is not None:
            command.append("--socket_mode=0600")
        if size:
            command.append(f"--size={size}")
        if exit_with is not None:
            command.append(f"--exit_with_parent={exit_with}")
        with tempfile.TemporaryFile() as log:
            try:
                process = subprocess.Popen(
                    [*command, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log if quiet else None,
                    stderr=log if quiet else None,
                    # A Ctrl-C in the terminal is for the program, not for its store.
                    start_new_session=True,
                )
            except OSError as error:
                if directory is not None:
                    os.rmdir(directory)
                raise VineyardServerNotReadyException(
                    f"'{program}' can't be run: {error.strerror}"
                ) from error
            made = cls(process, socket, directory)
            try:
                made._wait_until_ready(timeout, log)
            except BaseException:
                made.stop()
                raise
        return made

    def _wait_until_ready(self, timeout: float, log: IO[bytes]) -> None:
        end = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise VineyardServerNotReadyException(
                    f"vineyardd ended with status {self.process.returncode} before it was ready: "
                    + _last_lines(log)
                )
            try:
                left = max(end - time.monotonic(), 0.0)
                _core.Client(self.socket, max(left, 0.1), min(left, 0.5)).close()
                return
            except VineyardException as error:
                if time.monotonic() >= end:
                    raise VineyardServerNotReadyException(
                        f"vineyardd did not answer within {timeout:g} s ({error}): {_last_lines(log)}"
                    ) from error
                time.sleep(0.01)  # not every error has waited

    @property
    def running(self) -> bool:
        """Whether it has not ended. Only the process that started it can tell."""
        return self.process.poll() is None

    def stop(self, timeout: float = 30.0) -> None:
        """Ends the instance, and waits until it has."""
        if self._owner != os.getpid():
            return
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


def _answers(socket: str) -> bool:
    try:
        _core.Client(socket, 5.0).close()
    except VineyardException:
        return False
    return True


def _last_lines(log: IO[bytes], count: int = 5) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return " | ".join(lines[-count:]) or "it said nothing"


def _sweep() -> None:
    """Removes the directories of private instances whose process was killed: empty, and ours."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}[0-9]*-*"):
        pid = path.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(OSError):  # not empty, or somebody else's
                path.rmdir()
