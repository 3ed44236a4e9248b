# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The result as a picture: a panel for each row, on logarithmic scales. Runs where matplotlib is.

Usage: python -m side_by_side.picture RESULT.json PICTURE.svg
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

from side_by_side import machine
from side_by_side.table import quantity

_COLUMNS = 4
_OURS, _PEER, _LIMIT, _UNEQUAL = "#2f7d32", "#9db8d3", "#e0e0e0", "#d8b4a0"


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw the rows that are marked for it, and were measured with more than one system."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "vineyard"  # the same result gives the same file
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib.figure import Figure

    rows = [row for row in result["rows"] if row["picture"] and len(_bars(result, row)) > 1]
    if not rows:
        raise SystemExit("picture: no row has figures of two systems")
    lines = math.ceil(len(rows) / _COLUMNS)
    figure = Figure(figsize=(4.4 * _COLUMNS, 2.5 * lines + 1.2), facecolor="white")
    axes = figure.subplots(lines, _COLUMNS, squeeze=False)
    for panel, row in zip(axes.flat, rows, strict=False):
        _panel(panel, row, _bars(result, row))
    for panel in axes.flat[len(rows) :]:
        panel.set_visible(False)
    height = figure.get_size_inches()[1]
    figure.suptitle(
        "Vineyard beside its peers: Python to Python, two processes, one run"
        + (" (quick: no figures)" if result["settings"]["quick"] else ""),
        x=0.01,
        y=1 - 0.12 / height,
        ha="left",
        fontsize=15,
        fontweight="bold",
    )
    figure.text(0.01, 0.1 / height, _small_print(result), fontsize=9, color="#555555")
    figure.subplots_adjust(
        left=0.085,
        right=0.985,
        top=1 - 0.85 / height,
        bottom=0.85 / height,
        wspace=0.62,
        hspace=0.5,
    )
    figure.savefig(path, metadata={"Date": None})


def _bars(result: dict[str, Any], row: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (system, title, cell) of those that have figures: the best first, limits last."""
    found = [
        (name, result["systems"][name]["title"], cell)
        for name, cell in row["cells"].items()
        if "median" in cell and cell["median"] > 0
    ]
    sign = -1 if row["better"] == "more" else 1
    limit = {name: system["limit"] for name, system in result["systems"].items()}
    return sorted(found, key=lambda bar: (limit[bar[0]], sign * bar[2]["median"]))


def _panel(axes: Any, row: dict[str, Any], bars: list[tuple[str, str, dict[str, Any]]]) -> None:
    numbers = [cell["median"] for _, _, cell in bars]
    low = min(numbers) / 3
    for at, (name, title, cell) in enumerate(bars):
        colour = _OURS if name == "ours" else _LIMIT if title.startswith("memcpy") else _PEER
        if not cell["equal"]:
            colour = _UNEQUAL
        axes.barh(at, cell["median"] - low, left=low, height=0.78, color=colour)
        label = quantity(cell["median"], row["unit"]) + ("" if cell["equal"] else " ≠")
        axes.annotate(
            label,
            (cell["median"], at),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            fontweight="bold" if name == "ours" else "normal",
        )
    axes.set_xscale("log")
    axes.set_xlim(low, max(numbers) * (max(numbers) / low) ** 0.28)
    axes.set_yticks(range(len(bars)), [title for _, title, _ in bars], fontsize=8)
    for tick, (name, _, _) in zip(axes.get_yticklabels(), bars, strict=True):
        tick.set_fontweight("bold" if name == "ours" else "normal")
    axes.invert_yaxis()
    title = textwrap.fill(row["title"], 46)
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", x=-0.42)
    if row["better"] == "more":
        axes.set_xlabel("longer is better", fontsize=7.5)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: quantity(value, row["unit"]))
    axes.tick_params(axis="x", labelsize=6.5, length=2)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _small_print(result: dict[str, Any]) -> str:
    rounds = result["settings"]["rounds"]
    return (
        "Logarithmic scales; shorter is better unless a panel says otherwise. Grey: no system, but what "
        "the machine can do. ≠: what came back was not what was put.\n"
        f"Medians of {rounds} rounds, systems in turn. {machine.describe(result['machine'])}. "
        f"{result['when'].split()[0]}, commit {result['commit']}."
    )


if __name__ == "__main__":
    source, target = sys.argv[1:]
    draw(json.loads(Path(source).read_text()), Path(target))
