# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where the time of the most frequent operations goes, in the client and in the instance.

By `perf` and the processor's clock, which virtual machines have too. Shares are of the time in which
either of the two ran.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from side_by_side import processes
from side_by_side.measuring import System
from side_by_side.peers.peer import NotToBeHad

#: What is done, by which step, with which arguments.
OPERATIONS = (
    ("get 100 bytes", "get", "bytes:100", 1 << 30),
    ("get an array of 64 KiB", "get", "array:65536", 1 << 30),
    ("put 100 bytes", "put", "bytes:100", 1 << 19),
    ("put and delete an array of 1 MiB", "put_over", f"array:{1 << 20}", 1 << 20),
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
    with System.of("ours").start(1 << 30) as session:
        for operation, step, value, count in OPERATIONS:
            worker = session.producer
            arguments: dict[str, Any] = {"value": value, "count": count}
            if step == "get":
                _, keys = worker.run("put", value=value, count=20)
                arguments = {"keys": keys, "count": count, "batch": 100}
            if step == "put":
                arguments |= {"batch": 100}
            worker.begin(step, **arguments)
            time.sleep(0.2)
            roots = [worker.pid, *session.server.roots()]
            samples = _record(processes.descendants(roots), worker.pid)
            answer = worker.result(step)
            if step == "put":
                worker.run("delete", keys=answer[1])
            found.append({"operation": operation} | _summary(samples))
    return found


def _record(pids: list[int], client: int) -> list[tuple[str, str, str, int]]:
    """Watch the processes; returns (process, file, symbol, samples)."""
    names = {str(client): "client"}
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
    return next((place for part, place in _PLACES if dso.startswith(part)), "other")


def _most(symbols: dict[str, int]) -> list[str]:
    """Return the names of the three functions with most samples. Those without a name are left out."""
    names = {symbol: symbol.partition("(")[0].partition("<")[0].strip() for symbol in symbols}
    known = [symbol for symbol, name in names.items() if name and not name.startswith("0x")]
    return [names[symbol] for symbol in sorted(known, key=lambda s: -symbols[s])[:3]]
