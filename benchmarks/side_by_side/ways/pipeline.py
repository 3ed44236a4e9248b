# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A pipeline whose steps hand gigabytes to each other: examples/flights, run as it is."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from side_by_side import processes
from side_by_side.measuring import Cells, say
from side_by_side.peers.peer import ROOT, CannotDo
from side_by_side.rows.family import GIB, Row, need_memory
from side_by_side.session import Failed
from side_by_side.ways.comparison import Asked, Comparison

PROGRAM = ROOT / "examples/flights/run.py"

#: Two gigabytes to hand over.
_ROWS = 4_680_000
#: What the program's steps, the store and the files take at most, and some.
_MEMORY = 10 * GIB
#: Seconds in which it removes what it has written, when it is told to end.
_GRACE = 30.0

WAYS = {
    "vineyard": "vineyard, put",
    "vineyard_allocated": "vineyard, put of what was allocated in the store",
    "shm_pickle": "pickle, /dev/shm",
    "disk_warm": "pickle, disk",
}


def _measure(asked: Asked, cells: Cells) -> None:
    if asked.scale.quick:
        raise CannotDo("is left out of a quick run")
    need_memory(_MEMORY)
    assert asked.system.environment is not None
    python = asked.system.environment.python
    for number in range(asked.rounds):
        say(f"  round {number + 1} of {asked.rounds}")
        found = run_program([python, PROGRAM, "--rows", _ROWS, "--transports", ",".join(WAYS)])
        for way in WAYS:
            entry = found["transports"][way]
            samples = {row.name: [entry[_PARTS[row.name]]] for row in asked.rows}
            cells.add(way, samples, not found["differences"])


def run_program(command: Sequence[str | Path | int]) -> dict[str, Any]:
    """Run the example, and return what it found.

    Raises
    ------
    CannotDo
        It could not be run here; with its own words.
    Failed
        It ended without a result.
    """
    disk = ROOT / "build/bench"
    disk.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vybench-flights-") as folder:
        options = ["--output", folder, "--disk", str(disk)]
        process = subprocess.Popen(
            [*map(str, command), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=processes.environment(),
            start_new_session=True,  # a Ctrl-C is for the driver, which ends it in its own order
        )
        try:
            _, log = process.communicate()
        except BaseException:
            _end(process)
            raise
        result = Path(folder) / "result.json"
        if result.exists():  # also where what came back differed, which it says
            return dict(json.loads(result.read_text()))
        last = (log.strip().splitlines() or [f"it ended with status {process.returncode}"])[-1]
        if process.returncode == 1:
            raise CannotDo(f"examples/flights: {last}")
        raise Failed(f"examples/flights: {last}")


def _end(process: subprocess.Popen[str]) -> None:
    """Have it end what it has started, and remove what it has written."""
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


#: Row -> what the program calls it.
_PARTS = {
    "pipeline-write": "write_s",
    "pipeline-read": "read_s",
    "pipeline-compute": "compute_s",
    "pipeline-total": "total_s",
}

COMPARISON = Comparison(
    "A pipeline that hands over 2 GB",
    WAYS,
    (
        Row(
            "pipeline-write",
            "write, all steps together",
            "≤ 0.3 s; allocated: ≤ 0.02 s",
            note="examples/flights: a table of 0.8 GB, 0.2 GB of it strings that Arrow holds, and "
            "arrays of 1.2 GB; the instance has its memory before the first step",
        ),
        Row("pipeline-read", "read, all steps together", "≤ 0.02 s"),
        Row("pipeline-compute", "compute: the steps' own work"),
        Row("pipeline-total", "all of it, with imports and connecting"),
    ),
    _measure,
    rounds=3,
)
