# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Instances that are measured, their processes, and the processor time of these."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from side_by_side import processes
from vineyard.programs import find_program

T = TypeVar("T")
PATIENCE = 60.0  # seconds
_LISTENS = re.compile(r"HTTP is answered.*?127\.0\.0\.1:(\d+)")


class Failed(Exception):
    """Something did not come up, or ended; the message says what."""


@dataclass(frozen=True)
class Instance:
    """One that runs.

    Attributes
    ----------
    socket : str
    keeper : int
        The process that was started.
    port : int, optional
        Where HTTP is answered; None where it is not.
    """

    socket: str
    keeper: int
    port: int | None

    def web_processes(self) -> list[int]:
        """Return the process that answers HTTP, if there is one."""
        return [pid for pid in processes.descendants([self.keeper]) if _name(pid) == _WEB]

    def store_processes(self) -> list[int]:
        """Return all others: what there is of an instance that nobody looks at."""
        web = set(self.web_processes())
        return [pid for pid in processes.descendants([self.keeper]) if pid not in web]


_WEB = "vineyardd-http"


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


@contextlib.contextmanager
def running(size: str, *, http: bool, options: Iterable[str] = ()) -> Iterator[Instance]:
    """Start an instance, with more options of vineyardd if any are given; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="vybench-seeing-") as folder:
        socket, log = Path(folder) / "vineyard.sock", Path(folder) / "log"
        command = [find_program("vineyardd"), f"--socket={socket}", f"--size={size}"]
        command.append(f"--exit_with_parent={os.getpid()}")
        command += options
        if http:
            command.append("--http=127.0.0.1:0")
        with log.open("wb") as out, subprocess.Popen(command, stderr=out) as process:
            try:
                until(socket.exists, process, log)
                port = None
                if http:
                    port = int(until(lambda: _LISTENS.search(log.read_text()), process, log)[1])
                there = Instance(str(socket), process.pid, port)
                if http:
                    until(there.web_processes, process, log)
                yield there
            finally:
                processes.end([process.pid])


def until(
    ask: Callable[[], T | None],
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> T:
    """Wait until there is an answer, and return it."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > end:
            said = log.read_text() if log is not None else ""
            raise Failed(f"what was waited for did not come; {said or 'nothing was said'}")
        time.sleep(0.002)
    return answer


def environment() -> dict[str, str]:
    """Return the environment for a process of ours, which finds the modules that this one finds."""
    return processes.environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})


def processor_ns(pids: Iterable[int]) -> int:
    """Return the processor time that the processes have taken so far, threads that ended included.

    Examples
    --------
    >>> before = processor_ns([os.getpid()])
    >>> _ = sum(range(100_000))
    >>> processor_ns([os.getpid()]) > before
    True
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            total += time.clock_gettime_ns(~pid << 3 | 2)  # clock_getcpuclockid(3), for any process
    return total
