# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The same pipeline over each transport, and what came of it."""

from __future__ import annotations

import os
import statistics
import tempfile
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import machine
from harness.instance import Instance, describe, find_vineyardd
from harness.memory import HOW, PeakMemory, touch_memory
from harness.pipeline import handed_over_bytes, run_pipeline
from harness.progress import Progress
from harness.report import differences, not_run, summarise
from harness.sizes import format_bytes
from transports import TRANSPORTS, drop_page_cache

# Cold last: it cools all the rest too.
ORDER = ("vineyard", "vineyard_allocated", "shm_pickle", "disk_warm", "disk_cold")
# Of the bytes handed over, how many the store is to hold: with numpy's arrays of all steps, where it
# may have half of it for those that are not written yet.
STORE_FACTOR = {"vineyard": 1.05, "vineyard_allocated": 2.6}
SHARED_MEMORY = Path("/dev/shm")
DEFAULT_BYTES = 2 * 10**9
SAMPLE_ROWS = 336_776
# A step holds its input and what it makes of that; a file or the store holds all of it once more.
MEMORY_FACTOR = 3.5
ROOM_FACTOR = 1.1


class NoRoomError(Exception):
    """The rows asked for do not fit; the text is one line that says how many would."""


class Comparison:
    """One run of the demonstration.

    Parameters
    ----------
    args : argparse.Namespace
        ``rows`` (int or None), ``transports`` (names), ``repeats``, ``vineyardd`` (path or None),
        ``reserve`` (bool), ``disk`` (where files on disk go).
    stack : contextlib.ExitStack
        Ends and removes, when it is left, all that this run started and wrote.
    """

    def __init__(self, args: Namespace, stack: ExitStack) -> None:
        self._rows = args.rows
        self._repeats = args.repeats
        self._reserve = args.reserve
        self._disk = args.disk
        self._names = [name for name in ORDER if name in args.transports]
        needed = STORE_FACTOR.keys() & set(self._names)
        self._vineyardd = find_vineyardd(args.vineyardd) if needed else None
        self._progress = Progress()

        def folder(parent: Path | None = None) -> Path:
            made = tempfile.TemporaryDirectory(prefix="vineyard-flights-", dir=parent)
            return Path(stack.enter_context(made))

        self._reports, self._on_disk, self._in_memory = (
            folder(),
            folder(args.disk),
            folder(SHARED_MEMORY),
        )

    def run(self) -> dict[str, Any]:
        """Run all transports asked for and return what ``result.json`` holds."""
        facts = machine.facts(self._disk)
        self._progress.note(f"flights: {machine.describe(facts)}")
        if facts["disk"] in ("tmpfs", "ramfs"):
            self._progress.note(f"flights: {self._disk} is in memory, not on disk: take --disk DIR")
        self._progress.note("flights: warming up with one year of flights")
        row_bytes = self._warm_up(SAMPLE_ROWS) / SAMPLE_ROWS
        rows = self._choose_rows(row_bytes)
        total = rows * row_bytes
        self._progress.note(f"flights: {rows:,} rows, {format_bytes(total)} to hand over each way")
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in self._names}
        for _ in range(self._repeats):
            for name in self._names:
                runs[name].append(self._run_one(name, rows, total))
        entries = {name: median_run(runs[name]) for name in self._names}
        first = next(iter(entries.values()))
        every = {f"{name}, run {i}": run for name in runs for i, run in enumerate(runs[name], 1)}
        return {
            "rows": rows,
            "bytes": handed_over_bytes(first["steps"]),
            "transports": {name: entries.get(name) or not_run(name) for name in TRANSPORTS},
            "differences": differences(every),
            # Asked last: a server that runs as root may have turned them on.
            "machine": facts | {"shared_huge_pages": machine.shared_huge_pages()},
            "peak_bytes_is": HOW,
        }

    def _warm_up(self, rows: int) -> int:
        """Run a small pipeline, so that nobody pays for cold imports; return the bytes it hands over.

        The page cache is dropped before it, where that is allowed: what it holds from earlier must
        neither give way to new pages during a run nor hide them from the measured peak.
        """
        drop_page_cache()
        with tempfile.TemporaryDirectory(dir=self._in_memory) as folder:
            return handed_over_bytes(run_pipeline("shm_pickle", Path(folder), rows, self._reports))

    def _choose_rows(self, row_bytes: float) -> int:
        """Return the number of rows to run with, after checking that there is room for them."""
        room = {
            "the memory that is free": machine.free_memory_bytes() / MEMORY_FACTOR,
            "the room in /dev/shm": machine.free_disk_bytes(self._in_memory) / ROOM_FACTOR,
            "the room on disk": machine.free_disk_bytes(self._on_disk) / ROOM_FACTOR,
        }
        tightest, most = min(room.items(), key=lambda item: item[1])
        if self._rows is not None:
            if self._rows * row_bytes > most:
                raise NoRoomError(
                    f"{self._rows} rows hand over {format_bytes(self._rows * row_bytes)}, but "
                    f"{tightest} allows {format_bytes(most)}: --rows {int(most / row_bytes)} fits"
                )
            return self._rows
        wanted = min(DEFAULT_BYTES, machine.memory_bytes() / 12)
        if most < wanted:
            self._progress.note(f"flights: smaller than {format_bytes(wanted)}, for {tightest}")
        rows = int(min(most, wanted) * 0.99 / row_bytes)
        return max(rows // 10_000 * 10_000, 10_000)

    def _run_one(self, name: str, rows: int, total_bytes: float) -> dict[str, Any]:
        """Run the pipeline over one transport, and leave nothing of it behind."""
        os.sync()  # what an earlier way left to write must not slow this one
        self._warm_up(10_000)
        touch_memory(int(total_bytes * 3))
        with ExitStack() as stack:
            memory = PeakMemory()
            if self._vineyardd and name in STORE_FACTOR:
                size = int(total_bytes * STORE_FACTOR[name])
                instance = Instance(self._vineyardd, size, reserve=self._reserve)
                folder = stack.enter_context(instance).volume
                self._progress.note(f"flights: vineyardd is ready: {describe(instance.facts)}")
            else:
                base = self._in_memory if name == "shm_pickle" else self._on_disk
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=base)))
            stack.enter_context(memory)
            steps = run_pipeline(
                name,
                folder,
                rows,
                self._reports,
                lambda step: self._progress.started(name, step),
                lambda report: self._progress.finished(name, report),
            )
        entry = summarise(steps, memory.peak_bytes)
        if name in STORE_FACTOR:
            entry["instance"] = instance.facts
        if name == "disk_cold":
            entry["caches_dropped"] = all(s["caches_dropped"] for s in steps if s["inputs"])
            if not entry["caches_dropped"]:
                self._progress.note(
                    "flights: the page cache may not be dropped here (that takes root): "
                    "what stands as cold disk was read warm"
                )
        return entry


def median_run(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the run whose hand-over took the median time, with the times of all."""
    times = [run["handover_s"] for run in runs]
    middle = runs[times.index(statistics.median_low(times))]
    return middle | {"handover_runs_s": times}
