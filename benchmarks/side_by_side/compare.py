# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Two results side by side: by how much rows differ, and whether that is more than their spread.

Usage: python -m side_by_side.compare BASE.json NEW.json
   or: python -m side_by_side.compare RESULT.json       of a run with two builds of vineyard in turn
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from side_by_side import machine
from side_by_side.table import as_shown, quantity

Cell = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One row, measured twice.

    Attributes
    ----------
    ratio : float
        New over base.
    low, high : float
        Between these the ratio lies when each side is taken at its quartiles.
    better : str
        ``less`` or ``more``.
    """

    name: str
    unit: str
    base: Cell
    new: Cell
    ratio: float
    low: float
    high: float
    better: str

    @property
    def verdict(self) -> str:
        """Return ``better``, ``worse``, or nothing where the spreads overlap."""
        if self.low <= 1.0 <= self.high or abs(self.ratio - 1) < 0.02:
            return ""
        less = self.ratio < 1
        return "better" if less == (self.better == "less") else "worse"


def difference(row: dict[str, Any], base: Cell, new: Cell) -> Difference | None:
    """Compare two cells; None where one has no figure, or is zero."""
    if "median" not in base or "median" not in new:
        return None
    if min(base["q1"], new["q1"]) <= 0:
        return None
    return Difference(
        row["name"],
        row["unit"],
        base,
        new,
        new["median"] / base["median"],
        new["q1"] / base["q3"],
        new["q3"] / base["q1"],
        row["better"],
    )


def of_two(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    """Compare vineyard in two results."""
    cells = {name: cell for _, name, cell in _ours(base)}
    for row, name, cell in _ours(new):
        found = difference(row | {"name": name}, cells.get(name, {}), cell)
        if found:
            yield found


def _ours(result: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Cell]]:
    """Return row, name and cell of what was measured of vineyard: also each way, as the table has it."""
    for row in result["rows"]:
        ways = result.get("ways", {}).get(row["family"])
        if ways is None:
            yield row, row["name"], row["cells"].get("ours", {})
            continue
        base = ways["relative_to"]
        for way in ways["columns"]:
            cell, unit = as_shown(row, way, base)
            yield row | {"unit": unit}, f"{row['name']}, {way}", cell


def of_one(result: dict[str, Any]) -> Iterator[Difference]:
    """Compare the two builds of vineyard in one result, where they were measured in turn."""
    for row in result["rows"]:
        found = difference(row, row["cells"].get("base", {}), row["cells"].get("ours", {}))
        if found:
            yield found


def of_programs(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    """Compare what the C++ programs found."""
    cells = {row["name"]: row for row in base["cpp"]}
    for row in new["cpp"]:
        found = difference(row | {"unit": "s", "better": "less"}, cells.get(row["name"], {}), row)
        if found:
            yield found


def table(differences: list[Difference]) -> str:
    """Return them as Markdown, and how many are more than noise."""
    lines = ["| row | base | new | new / base | spread | |", "|---|--:|--:|--:|:-:|---|"]
    for d in differences:
        lines.append(
            f"| {d.name} | {quantity(d.base['median'], d.unit)} | {quantity(d.new['median'], d.unit)} "
            f"| {d.ratio:.2f} | {d.low:.2f}–{d.high:.2f} | {d.verdict} |"
        )
    better = sum(d.verdict == "better" for d in differences)
    worse = sum(d.verdict == "worse" for d in differences)
    same = len(differences) - better - worse
    lines += ["", f"{better} better, {worse} worse, {same} within the spread."]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    try:
        results = [json.loads(Path(argument).read_text()) for argument in arguments]
    except (OSError, ValueError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    if len(results) == 1:
        found = list(of_one(results[0]))
    elif len(results) == 2:
        found = [*of_two(*results), *of_programs(*results)]
        if machine.describe(results[0]["machine"]) != machine.describe(results[1]["machine"]):
            print("These were measured on different machines: the ratios say nothing.\n")
    else:
        print(__doc__, file=sys.stderr)
        return 2
    if not found:
        print("compare: no row has figures on both sides", file=sys.stderr)
        return 1
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
