# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A `Comparison` of ways, and how one is run: its rows go into the result as those of families do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from side_by_side.measuring import Cells, System, say
from side_by_side.peers.peer import CannotDo, NotToBeHad
from side_by_side.result import Result
from side_by_side.rows.family import Row, Scale, wanted
from side_by_side.session import Failed


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes
    ----------
    rows : sequence of Row
    rounds : int
    scale : Scale
    system : System
        Vineyard.
    """

    rows: Sequence[Row]
    rounds: int
    scale: Scale
    system: System


@dataclass(frozen=True)
class Comparison:
    """Rows that have a figure for each of some ways.

    Attributes
    ----------
    title : str
    ways : mapping of str to str
        Name -> title, in the order of the table.
    rows : sequence of Row
    measure : callable
        Puts what it finds into the cells. Where it raises `CannotDo` or `Failed`, every way lacks what
        it has not got yet.
    relative_to : str, optional
        The way whose time is the unit of the others'.
    goal : str, optional
        What the median of all rows is to reach, where they are relative.
    rounds : int
        At most this many.
    """

    title: str
    ways: Mapping[str, str]
    rows: Sequence[Row]
    measure: Callable[[Asked, Cells], None]
    relative_to: str | None = None
    goal: str | None = None
    rounds: int = 100


def run(
    comparison: Comparison,
    patterns: Sequence[str],
    rounds: int,
    scale: Scale,
    system: System,
    result: Result,
) -> None:
    """Measure what of the comparison is wanted, and add it to the result."""
    rows = [row for row in comparison.rows if wanted(row, patterns)]
    if not rows:
        return
    say(f"{comparison.title}:")
    cells = Cells()
    asked = Asked(rows, min(rounds, comparison.rounds), scale, system)
    try:
        comparison.measure(asked, cells)
    except (CannotDo, NotToBeHad) as error:
        refuse(comparison, rows, cells, "cannot", str(error))
    except Failed as error:
        refuse(comparison, rows, cells, "failed", str(error))
    result.ways[comparison.title] = {
        "columns": dict(comparison.ways),
        "relative_to": comparison.relative_to,
        "goal": comparison.goal,
    }
    for row in rows:
        result.add(comparison.title, row, cells.of(row, list(comparison.ways)))


def refuse(comparison: Comparison, rows: Sequence[Row], cells: Cells, how: str, why: str) -> None:
    say(f"  {why}")
    for way in comparison.ways:
        cells.refuse(way, rows, how, why)
