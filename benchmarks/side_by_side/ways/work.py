# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""numpy's and pandas' work with memory of the store, against the same with numpy's own allocator.

Each way has a process of its own. They take turns, task by task, so that what else the machine does
meets them alike; what is shown are the ratios of neighbours in time.
"""

from __future__ import annotations

from side_by_side.measuring import Cells, say
from side_by_side.peers.peer import CannotDo
from side_by_side.rows.family import GIB, MIB, Row, need_memory
from side_by_side.session import Consumer, Failed
from side_by_side.tasks import TASKS
from side_by_side.ways.comparison import Asked, Comparison

_SIZE = 100 * MIB
#: Bytes of the instance: inputs of three processes, and what they make.
_STORE = 8 * GIB

WAYS = {
    "numpy": "numpy's own allocator",
    "reused": "memory reused",
    "first": "first use",
    "put": "every result put",
}


def _measure(asked: Asked, cells: Cells) -> None:
    quick = asked.scale.quick
    if not quick:
        need_memory(_STORE + 4 * GIB)
    with asked.system.start(256 * MIB if quick else _STORE) as session:
        workers = dict(zip(WAYS, session.consumers_of(len(WAYS)), strict=True))
        names = list(WAYS)
        for number in range(asked.rounds):
            say(f"  round {number + 1} of {asked.rounds}: ", end="")
            first = number % len(names)
            for row in asked.rows:
                say(row.name, end=" ")
                _one(row, names[first:] + names[:first], workers, quick, cells)
            say("")


def _one(
    row: Row, order: list[str], workers: dict[str, Consumer], quick: bool, cells: Cells
) -> None:
    """Have each way do a task, one after another."""
    found: dict[str, list[float]] = {}
    digests: dict[str, int] = {}
    for way in order:
        if cells.refused(way, [row]):
            continue
        try:
            found[way], digests[way], declined = workers[way].run(
                "work",
                way=way,
                task=row.name.removeprefix("work-"),
                size=2 * MIB if quick else _SIZE,
                count=2 if quick else 7,
                pause=0.0 if quick else 0.05,
            )
        except CannotDo as error:
            cells.refuse(way, [row], "cannot", str(error))
            continue
        except Failed as error:
            say(f"\n  {way}: {error}")
            cells.refuse(way, [row], "failed", str(error))
            continue
        if declined:
            say(f"\n  {way}: the store had no memory for {declined} arrays")
    for way, samples in found.items():
        cells.add(way, {row.name: samples}, digests[way] == digests.get("numpy", digests[way]))


COMPARISON = Comparison(
    "numpy's and pandas' work under the allocator",
    WAYS,
    tuple(
        Row(f"work-{name}", title, "≤ 1.1 × the time" if name == "forks" else None)
        for name, (title, _) in TASKS.items()
    ),
    _measure,
    relative_to="numpy",
    goal="reused: never slower, ≥ 1.3 × as fast; first use, put: no slower",
)
