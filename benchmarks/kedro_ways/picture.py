# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The result as a picture: both tables as bars, on logarithmic scales. Runs where matplotlib is.

Usage: python -m kedro_ways.picture RESULT.json PICTURE.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from side_by_side import machine

from kedro_ways.report import HANDING_OVER, SUM, seconds

_COLOURS = {"vineyard": "#2f7d32", "minio-s3": "#9db8d3", "cloudpickle": "#c9c2a5"}
_PANELS = {SUM: "All five nodes together", HANDING_OVER: "Of it, handing over: load and save"}


def draw(told: dict[str, Any], path: Path) -> None:
    """Draw a panel for each table."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "vineyard"  # the same result gives the same file
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), facecolor="white")
    for axes, (measure, title) in zip(figure.subplots(1, 2), _PANELS.items(), strict=True):
        _panel(axes, told, measure, title)
    figure.suptitle(
        "A Kedro pipeline, a process for each node"
        + (" (quick: no figures)" if told["settings"]["quick"] else ""),
        x=0.01,
        y=0.98,
        ha="left",
        fontsize=15,
        fontweight="bold",
    )
    small = (
        f"Logarithmic scales; shorter is better. Medians of {told['settings']['rounds']} rounds, ways in turn. "
        f"{machine.describe(told['machine'])}. {told['when'].split()[0]}, commit {told['commit']}."
    )
    figure.text(0.01, 0.02, small, fontsize=8, color="#555555")
    figure.subplots_adjust(left=0.06, right=0.99, top=0.82, bottom=0.19, wspace=0.14)
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Any, told: dict[str, Any], measure: str, title: str) -> None:
    scales, ways = told["scales"], told["ways"]
    width = 0.8 / len(ways)
    low = min(found[way][measure]["median"] for found in scales.values() for way in ways) / 3
    for number, (way, facts) in enumerate(ways.items()):
        places = [at + (number - (len(ways) - 1) / 2) * width for at in range(len(scales))]
        heights = [found[way][measure]["median"] for found in scales.values()]
        axes.bar(places, heights, width * 0.92, color=_COLOURS[way], label=facts["title"])
        for place, height in zip(places, heights, strict=True):
            axes.annotate(
                seconds(height), (place, height), (0, 2), textcoords="offset points",
                ha="center", fontsize=7.5, fontweight="bold" if way == "vineyard" else "normal",
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(bottom=low)
    axes.margins(y=0.15)
    axes.set_xticks(
        range(len(scales)), [f"{scale}\n{int(scale) * 1460:,} rows" for scale in scales]
    )
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: seconds(value))
    axes.tick_params(axis="y", labelsize=7.5, length=2)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False, fontsize=8.5)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    draw(json.loads(Path(source).read_text()), Path(target))
