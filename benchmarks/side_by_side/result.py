# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a run found: statistics, and the JSON that says everything.

The schema, which the file also carries under ``"schema"``::

    schema      text: this explanation
    version     1
    when        when the run began (UTC)
    commit      of the sources, with "+" if they were changed
    machine     facts of the machine (see machine.py)
    settings    quick, rounds, which rows and systems were asked for
    systems     name -> title, limit (no system, but what the machine can do), settings,
                versions, missing (why it was left out, or null)
    rows        list, in the order of the table:
      name, title, family, unit, better ("less" or "more"), goal (text or null), note
      cells     system, or way -> one of
                  {"median", "q1", "q3", "min", "max", "rounds": [medians of each round],
                   "samples": how many in all, "equal": whether what came back was what was put}
                  {"cannot": why it has no way to do this}
                  {"failed": what went wrong}
    ways        family -> columns (way -> title), relative_to (the way that the table has the others'
                times divided by, or null), goal; for families whose cells are of ways instead of systems
    cpp         what the Google Benchmark programs found: list of program, name, and the fields of a cell
    profile     where the time of frequent operations goes: list of operation, samples, places (where,
                share, symbols); see profile.py

Times are in seconds whatever the unit of the table, memory in bytes, rates per second. The median of a
cell is that of its rounds' medians, and q1 and q3 are the quartiles of these: what varies from round
to round, not from call to call.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from side_by_side import machine
from side_by_side.peers.peer import ROOT
from side_by_side.rows.family import Row

Cell = dict[str, Any]


def cell(rounds: Sequence[Sequence[float]], equal: bool) -> Cell:
    """Summarise the samples of each round."""
    medians = [statistics.median(samples) for samples in rounds]
    low, middle, high = quartiles(medians)
    return {
        "median": middle,
        "q1": low,
        "q3": high,
        "min": min(min(samples) for samples in rounds),
        "max": max(max(samples) for samples in rounds),
        "rounds": medians,
        "samples": sum(len(samples) for samples in rounds),
        "equal": equal,
    }


def relative(found: Cell, base: Cell) -> Cell:
    """Divide the times of each round by another's of the same round: less than 1 is faster.

    Examples
    --------
    >>> relative(cell([[1.0], [4.0]], True), cell([[2.0], [4.0]], True))["median"]
    0.75
    """
    if "median" not in found or "median" not in base:
        return found
    pairs = zip(found["rounds"], base["rounds"], strict=False)  # where one failed, it has fewer
    ratios = [[own / other] for own, other in pairs]
    return cell(ratios, found["equal"] and base["equal"])


def quartiles(numbers: Sequence[float]) -> tuple[float, float, float]:
    """Return the first quartile, the median and the third.

    Examples
    --------
    >>> quartiles([1.0]), quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    ((1.0, 1.0, 1.0), (2.0, 3.0, 4.0))
    """
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


@dataclass
class Result:
    """A run's result, as it goes into the JSON."""

    settings: dict[str, Any]
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    ways: dict[str, dict[str, Any]] = field(default_factory=dict)
    cpp: list[dict[str, Any]] = field(default_factory=list)
    profile: list[dict[str, Any]] = field(default_factory=list)
    when: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    machine: dict[str, Any] = field(default_factory=machine.facts)
    commit: str = field(default_factory=lambda: commit_of(ROOT))

    def add(self, family: str, row: Row, cells: dict[str, Cell]) -> None:
        entry = asdict(row) | {"family": family, "cells": cells, "limits": list(row.limits)}
        self.rows.append(entry)

    def write(self, path: Path) -> None:
        """Write the JSON, whole or not at all."""
        assert __doc__ is not None
        text = json.dumps({"schema": __doc__, "version": 1} | asdict(self), indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_text(text + "\n")
        path.with_suffix(".new").rename(path)


def commit_of(checkout: Path) -> str:
    """Return the short name of the commit, with "+" if files were changed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--match=", "--abbrev=10"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
