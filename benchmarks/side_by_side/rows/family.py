# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a file of rows consists of: `Family`, its `Measure`s, their `Row`s, and the `Turn` of a system."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from side_by_side.machine import memory_available
from side_by_side.peers.peer import CannotDo

if TYPE_CHECKING:
    from side_by_side.session import Consumer, Session, Worker

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

#: A row's name, and its samples.
Found = Iterator[tuple[str, list[float]]]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    name : str
        Letters, digits and dashes; for ``--rows`` and for comparing.
    title : str
        What is measured.
    goal : str, optional
        What it is to reach.
    unit : str
        ``s``, ``B``, ``/s`` or ``1`` (a count): what the samples are in.
    note : str
        What a reader has to know to judge it.
    limits : sequence of str
        Which of the limits say something about this row.
    better : str
        ``less`` or ``more``.
    picture : bool
        Whether it is a panel of the picture.
    """

    name: str
    title: str
    goal: str | None = None
    unit: str = "s"
    note: str = ""
    limits: Sequence[str] = ()
    better: str = "less"
    picture: bool = False


@dataclass(frozen=True)
class Scale:
    """How much of everything: all, or just enough to see that it works."""

    quick: bool = False

    def count(self, full: int, quick: int = 2) -> int:
        return min(full, quick) if self.quick else full

    def size(self, full: int) -> int:
        """Bytes; in a quick run never more than 64 KiB."""
        return min(full, 64 * KIB) if self.quick else full


class Turn:
    """The turn of one system: its processes, and what is found out about the answers.

    Attributes
    ----------
    session : Session
    scale : Scale
    equal : bool
        Whether all that came back was what was put.
    round : int
    """

    def __init__(self, session: Session, scale: Scale, number: int) -> None:
        self.session = session
        self.scale = scale
        self.round = number
        self.equal = True

    @property
    def producer(self) -> Worker:
        return self.session.producer

    @property
    def consumer(self) -> Consumer:
        return self.session.consumer

    @property
    def is_limit(self) -> bool:
        return self.session.server.limit

    def verify(self, keys: Sequence[Any], value: str, count: int = 2) -> None:
        """Get some of the values, and compare; after all that is timed."""
        if not self.is_limit and not self.consumer.run("verify", keys=keys[-count:], value=value):
            self.equal = False

    def delete(self, keys: Sequence[Any]) -> None:
        self.producer.run("delete", keys=keys)

    def need(self, size: int) -> None:
        """Have this much memory free.

        Raises
        ------
        CannotDo
            There is less.
        """
        need_memory(size)


@dataclass(frozen=True)
class Measure:
    """Rows that are measured together, system by system."""

    rows: Sequence[Row]
    run: Callable[[Turn], Found]


@dataclass(frozen=True)
class Family:
    """Measures that share the running systems.

    Attributes
    ----------
    name : str
    title : str
    measures : sequence of Measure
    size : int
        Bytes that must fit into each system's memory.
    fresh : bool
        Whether each round has newly started systems: then only one is up at a time.
    systems : sequence of str, optional
        Which it is for; all without.
    rounds : int
        At most this many.
    """

    name: str
    title: str
    measures: Sequence[Measure]
    size: int = 2 * GIB
    fresh: bool = False
    systems: Sequence[str] | None = None
    rounds: int = 100


def wanted(row: Row, patterns: Sequence[str]) -> bool:
    """Whether a row was asked for: without patterns each is."""
    return not patterns or any(fnmatch(row.name, pattern) for pattern in patterns)


def need_memory(size: int) -> None:
    """See `Turn.need`."""
    free = memory_available()
    if free < size:
        raise CannotDo(f"needs {size / GIB:.0f} GiB of free memory, there are {free / GIB:.0f}")


def size_text(size: int) -> str:
    """Return the size as people say it.

    Examples
    --------
    >>> size_text(100), size_text(64 << 10), size_text(1 << 30)
    ('100 B', '64 KiB', '1 GiB')
    """
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
