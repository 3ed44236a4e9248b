# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The processes of a run: stopped while it is another system's turn, and ended whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make this process the parent of all descendants whose own parent has ended.

    So whatever a system leaves behind is found below this process, and ended with it.
    """
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def die_with_parent() -> None:
    """Have the kernel end this process when the one that started it has ended."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a process that is measured: this one's, and these variables.

    Python keeps what it has compiled, as it does for users: else the first call of each process would
    be compiling.
    """
    return os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | dict(variables or {})


def descendants(roots: Iterable[int]) -> list[int]:
    """Return the processes, and all that they have started; parents before their children."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # After the name, which may hold anything, come the state and the parent.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    children[int(fields[1])].append(int(entry.name))
    found = [pid for pid in roots if pid > 0]
    for pid in found:
        found += children[pid]
    return found


def send(signal_number: int, processes: Iterable[int]) -> None:
    """Send a signal to each that is still there."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)


def freeze(roots: Iterable[int]) -> None:
    """Stop the processes and their descendants; they take no processor time until `thaw`."""
    send(signal.SIGSTOP, descendants(roots))


def thaw(roots: Iterable[int]) -> None:
    """Let them go on."""
    send(signal.SIGCONT, descendants(roots))


def end(roots: Iterable[int], grace: float = 5.0) -> None:
    """End the processes and all their descendants: by SIGTERM, after `grace` seconds by SIGKILL."""
    everyone = descendants(roots)
    send(signal.SIGTERM, everyone)
    send(signal.SIGCONT, everyone)
    deadline = time.monotonic() + grace
    while True:
        reap(everyone)
        left = [pid for pid in everyone if _runs(pid)]
        if not left:
            return
        if time.monotonic() > deadline:
            send(signal.SIGKILL, left)
            deadline += 60
        time.sleep(0.01)


def end_all_children() -> None:
    """End whatever has been started by this process, and by those, and is left."""
    left = descendants([os.getpid()])[1:]
    if left:
        end(left)


def reap(children: Iterable[int]) -> None:
    """Take note of those that have ended, so that nothing of them stays."""
    for pid in children:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def memory_of(roots: Iterable[int], folder: str | None = None) -> int:
    """Return the bytes that the processes and their descendants hold, each page counted once.

    Private pages and those of programs are shared out among all who map them (Pss). Shared memory is
    counted whole, whether it is mapped or only held by a descriptor; and so are files of `folder`, if
    that is in memory.
    """
    private = 0
    shared: dict[tuple[int, int], int] = {}
    for pid in descendants(roots):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Pss_Anon:", "Pss_File:")):
                    private += int(line.split()[1]) * 1024
        for place in ("fd", "map_files"):
            with contextlib.suppress(OSError):
                for entry in os.scandir(f"/proc/{pid}/{place}"):
                    _add_shared(entry.path, shared)
    if folder and folder.startswith("/dev/shm/"):
        for entry in os.scandir(folder):
            _add_shared(entry.path, shared)
    return private + sum(shared.values())


def _add_shared(path: str, found: dict[tuple[int, int], int]) -> None:
    """Add the size in memory of a file that lies there: on /dev/shm, or without a name."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)
        target = os.readlink(path) if path.startswith("/proc/") else path
        if stat.S_ISREG(facts.st_mode) and target.startswith(("/memfd:", "/dev/shm/")):
            found[facts.st_dev, facts.st_ino] = facts.st_blocks * 512


def switches_of(roots: Iterable[int]) -> int:
    """Return how often the threads of these processes have waited for something and been woken."""
    total = 0
    for pid in descendants(roots):
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                for line in status.read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        total += int(line.split()[1])
    return total
