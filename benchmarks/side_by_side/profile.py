# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where the time of the most frequent operations goes, and of those that miss a goal.

By `perf` and the processor's clock, which virtual machines have too. Shares are of the time in which
either of the two ran.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side import processes, tasks
from side_by_side.measuring import System
from side_by_side.peers.peer import NotToBeHad
from side_by_side.rows.family import GIB, MIB
from side_by_side.session import Session, Worker

#: Bytes of the instance.
_STORE = 4 * GIB
#: Objects deleted in one call.
_AT_ONCE = 100_000


@dataclass(frozen=True)
class Operation:
    """What is done again and again while the clock of the profile runs.

    Attributes
    ----------
    title : str
    step : str
        One of those that a worker knows.
    arguments : mapping
    keys : str, optional
        The value that the step gets: its keys are among the arguments.
    by : int
        So many processes do it.
    before : mapping, optional
        Arguments that differ when it is done once before, without the clock.
    """

    title: str
    step: str
    arguments: Mapping[str, Any]
    keys: str | None = None
    by: int = 1
    before: Mapping[str, Any] | None = None


def _get(title: str, value: str) -> Operation:
    return Operation(title, "get", {"count": _WITHOUT_END, "batch": 100}, keys=value)


def _work(task: str) -> list[Operation]:
    title = tasks.TASKS[task][0]
    how = {"numpy": "numpy's own allocator", "reused": "memory of the store, reused"}
    arguments = {"task": task, "size": 100 * MIB, "count": _WITHOUT_END, "pause": 0.0}
    return [
        Operation(f"{title}: {name}", "work", arguments | {"way": way}, before={"count": 3})
        for way, name in how.items()
    ]


_WITHOUT_END = 1 << 20  # a step stops when it has lasted a second

OPERATIONS = (
    _get("get 100 bytes", "bytes:100"),
    _get("get an array of 64 KiB", "array:65536"),
    Operation("put 100 bytes", "put", {"value": "bytes:100", "count": 1 << 19, "batch": 100}),
    Operation(
        "put and delete an array of 1 MiB",
        "put_over",
        {"value": f"array:{MIB}", "count": _WITHOUT_END},
    ),
    Operation(
        "put 100 bytes, one of 5,000 in a call",
        "put_many",
        {"value": "bytes:100", "count": 5000, "repeat": _WITHOUT_END},
    ),
    Operation(
        "delete and put 1 GiB, back to back",
        "put_over",
        {"value": f"array:{GIB}", "count": _WITHOUT_END},
    ),
    Operation(
        "puts of 100 bytes by 8 processes",
        "throughput",
        {"start": 0.0, "seconds": 1.2, "value": "bytes:100"},
        by=8,
    ),
    *_work("zeros"),
    *_work("group"),
)

_SECONDS = 0.7
_PLACES = (
    ("[kernel", "kernel"),
    ("[vdso]", "C library"),
    ("libc", "C library"),
    ("libstdc++", "C library"),
    ("libpython", "interpreter"),
    ("python", "interpreter"),
    ("_core", "vineyard"),
    ("vineyardd", "vineyard"),
    ("[anon]", "interpreter"),
)


def run() -> list[dict[str, Any]]:
    """Profile each operation.

    Returns
    -------
    list of dict
        For each its ``operation``, the number of ``samples``, and ``places``: ``where`` (of which
        process, in what), its ``share`` of all samples, and up to three ``symbols`` of most.

    Raises
    ------
    NotToBeHad
        There is no perf here, or it may not look.
    """
    if shutil.which("perf") is None:
        raise NotToBeHad("no profile: perf is not installed")
    found = []
    with System.of("ours").start(_STORE) as session:
        for operation in OPERATIONS:
            # Processes of its own for each: how numpy allocates is a process's for good.
            workers = [session.start_worker() for _ in range(operation.by)]
            found.append({"operation": operation.title} | _profile(session, operation, workers))
            for worker in workers:
                worker.stop()
    return found


def _profile(session: Session, operation: Operation, workers: Sequence[Worker]) -> dict[str, Any]:
    arguments = dict(operation.arguments)
    if operation.keys is not None:
        _, keys = session.producer.run("put", value=operation.keys, count=20)
        arguments["keys"] = keys
    for worker in workers:
        if operation.before is not None:
            worker.run(operation.step, **arguments | dict(operation.before))
        worker.begin(operation.step, **arguments)
    time.sleep(0.2)
    clients = [worker.pid for worker in workers]
    samples = _record(processes.descendants([*clients, *session.server.roots()]), clients)
    for worker in workers:
        answer = worker.result(operation.step)
        if operation.step in ("put", "put_many"):
            keys = answer[1]
            for first in range(0, len(keys), _AT_ONCE):
                worker.run("delete", keys=keys[first : first + _AT_ONCE])
    return _summary(samples)


def _record(pids: list[int], clients: Sequence[int]) -> list[tuple[str, str, str, int]]:
    """Watch the processes; returns (process, file, symbol, samples)."""
    names = {str(client): "client" for client in clients}
    with tempfile.TemporaryDirectory(prefix="vybench-") as folder:
        data = Path(folder) / "perf.data"
        watched = ",".join(map(str, pids))
        record = f"perf record -q -e cpu-clock -F 4000 -o {data} -p {watched} -- sleep {_SECONDS}"
        done = subprocess.run(record.split(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotToBeHad(f"no profile: perf said: {done.stderr.strip().splitlines()[-1:]}")
        report = f"perf report -i {data} --no-children --stdio -t ; -F sample,pid,dso,sym"
        done = subprocess.run(report.split(), capture_output=True, text=True, check=False)
    samples = []
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if line.startswith("#") or len(parts) < 4 or not parts[0].isdigit():
            continue
        number, process, dso, symbol = parts[:4]
        pid = process.partition(":")[0].strip()
        samples.append((names.get(pid, "instance"), dso, symbol[4:], int(number)))
    return samples


def _summary(samples: list[tuple[str, str, str, int]]) -> dict[str, Any]:
    total = sum(number for *_, number in samples)
    by_place: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for process, dso, symbol, number in samples:
        by_place[f"{process}: {_place(dso)}"][symbol] += number
    places = [
        {
            "where": where,
            "share": sum(symbols.values()) / total,
            "symbols": _most(symbols),
        }
        for where, symbols in by_place.items()
    ]
    places.sort(key=lambda place: -float(str(place["share"])))
    return {
        "samples": total,
        "places": [place for place in places if float(str(place["share"])) >= 0.01],
    }


def _place(dso: str) -> str:
    found = next((place for part, place in _PLACES if dso.startswith(part)), "other")
    return "numpy, pandas" if found == "other" and ".cpython-" in dso else found


def _most(symbols: dict[str, int]) -> list[str]:
    """Return the names of the three functions with most samples. Those without a name are left out."""
    names = {symbol: symbol.partition("(")[0].partition("<")[0].strip() for symbol in symbols}
    known = [symbol for symbol, name in names.items() if name and not name.startswith("0x")]
    return [names[symbol] for symbol in sorted(known, key=lambda s: -symbols[s])[:3]]
