# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The processor time of a put and a get while somebody looks, beside that while nobody does.

Three instances of the same build are there all the time, each with a client. They take turns of a second or two, each
doing the same number of operations. At one of them somebody looks, who is stopped while it is another's turn; what is
stopped asks at once when it goes on, so that a turn has somewhat more questions than its length would. At the others
nobody does: what differs between these two is what the figures are good for.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from side_by_side.result import quartiles

from seeing.instance import Instance, processor_ns, running
from seeing.looking import Lookers, lookers
from seeing.work import Worker

_SETTLE = 0.1  # seconds in which an instance ends what a turn has left to do
_IDLE = 10.0  # seconds of nothing


@dataclass
class Row:
    """One operation of one size.

    Attributes
    ----------
    step : str
        ``put`` (the deletion included) or ``get``.
    size : int
    count : int
        Operations of each turn.
    unseen, seen, all : list of float
        For each pair of turns the processor seconds of an operation: of client and instance while nobody looks, while
        somebody does, and then with the process that answers HTTP and the trace.
    twin : list of float
        The same as `unseen`, of another instance at which nobody looks.
    """

    step: str
    size: int
    count: int
    unseen: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)
    twin: list[float] = field(default_factory=list)

    def ratios(self, times: list[float]) -> tuple[float, float, float]:
        """Return the quartiles of these times to `unseen`, turn by turn; the second is the median."""
        return quartiles([time / unseen for time, unseen in zip(times, self.unseen, strict=True)])


@dataclass(frozen=True)
class Idle:
    """Processor seconds in a second of an instance that does nothing but tell: its own, and all others'."""

    instance: float
    lookers: float


@dataclass
class Side:
    """An instance, its client, and who looks."""

    instance: Instance
    worker: Worker
    lookers: Lookers | None

    def turn(self, step: str, size: int, count: int) -> tuple[float, float]:
        """Have it work; returns processor seconds of client and instance, and of who looks, for each operation."""
        if self.lookers is not None:
            self.lookers.begin()
        own, others = self._own(), self._others()
        self.worker.run(step, size, count)
        time.sleep(_SETTLE)
        own, others = self._own() - own, self._others() - others
        if self.lookers is not None:
            self.lookers.pause()
        return own / count / 1e9, others / count / 1e9

    def _own(self) -> int:
        return processor_ns([self.worker.pid, *self.instance.store_processes()])

    def _others(self) -> int:
        return 0 if self.lookers is None else self.lookers.processor_ns()


def measure(
    sizes: list[int], pairs: int, seconds: float, size: str, say: Callable[[str], None]
) -> list[Row]:
    """Compare puts and gets of the sizes, with turns of about so many seconds."""
    rows = []
    with (
        _side(size, seen=False) as unseen,
        _side(size, seen=True) as seen,
        _side(size, seen=False) as twin,
    ):
        for step in ("put", "get"):
            for bytes_each in sizes:
                count = _enough(unseen.worker, step, bytes_each, seconds)
                for side in (seen, twin):
                    side.worker.run(step, bytes_each, count)  # all have done it before
                row = Row(step, bytes_each, count)
                sides = [unseen, seen, twin]
                for _ in range(pairs):
                    for side in sides:
                        _take_turn(row, side, twin)
                    sides.append(sides.pop(0))  # each is the first in its turn
                say(f"  {step} {bytes_each} bytes: {row.ratios(row.seen)[1]:.3f}")
                rows.append(row)
    return rows


def measure_idle(size: str, seconds: float = _IDLE) -> Idle:
    """Look at an instance that has nothing to do."""
    with running(size, http=True) as instance, lookers(instance) as there:
        time.sleep(1)
        own, others = processor_ns(instance.store_processes()), there.processor_ns()
        time.sleep(seconds)
        own = processor_ns(instance.store_processes()) - own
        return Idle(own / seconds / 1e9, (there.processor_ns() - others) / seconds / 1e9)


def _take_turn(row: Row, side: Side, twin: Side) -> None:
    own, others = side.turn(row.step, row.size, row.count)
    if side.lookers is not None:
        row.seen.append(own)
        row.all.append(own + others)
    else:
        (row.twin if side is twin else row.unseen).append(own)


@contextlib.contextmanager
def _side(size: str, *, seen: bool) -> Iterator[Side]:
    with contextlib.ExitStack() as stack:
        instance = stack.enter_context(running(size, http=seen))
        there = stack.enter_context(lookers(instance)) if seen else None
        worker = Worker(instance.socket)
        stack.callback(worker.stop)
        worker.run("put", 1, 1)
        if there is not None:
            there.pause()
        yield Side(instance, worker, there)


def _enough(worker: Worker, step: str, size: int, seconds: float) -> int:
    """Return how many operations take about so long."""
    count = 1
    while True:
        took = worker.run(step, size, count)
        if took >= seconds / 2:
            return max(1, round(count * seconds / took))
        count = max(count * 2, min(count * 100, round(count * seconds * 0.7 / max(took, 1e-6))))
