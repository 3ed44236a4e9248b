# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The picture of a result: how long handing over took, each way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.instance import describe as describe_instance
from harness.machine import describe
from harness.sizes import format_bytes, format_seconds
from transports import TRANSPORTS

WRITE, READ = "#9db8d3", "#1f5a96"
OWN_WRITE, OWN_READ = "#a8cf9a", "#2f7d32"


def draw(result: dict[str, Any], folder: Path) -> list[Path]:
    """Draw write and read time of each transport as bars on a logarithmic scale.

    Parameters
    ----------
    result : dict
        What ``result.json`` holds.
    folder : Path
        Where ``handover.png`` and ``handover.svg`` go.

    Returns
    -------
    list of Path
        The files written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "vineyard"
    from matplotlib.figure import Figure

    ran = {name: entry for name, entry in result["transports"].items() if entry["steps"]}
    height = 0.75 * len(ran) + 1.75  # inches: a row for each way, title and small print
    figure = Figure(figsize=(8, height), facecolor="white")
    axes = figure.subplots()
    for row, (name, entry) in enumerate(ran.items()):
        own = name.startswith("vineyard")
        _bar(axes, row - 0.19, entry["write_s"], OWN_WRITE if own else WRITE, "write")
        _bar(axes, row + 0.19, entry["read_s"], OWN_READ if own else READ, "read")
    _scale(axes, ran)
    axes.set_yticks(range(len(ran)), [_label(name, entry) for name, entry in ran.items()])
    axes.invert_yaxis()
    axes.set_title(
        f"Handing {format_bytes(result['bytes'])} from step to step, four processes, one machine",
        loc="left",
        fontsize=12,
        fontweight="bold",
        x=-0.2,
    )
    figure.text(0.01, 0.015, _small_print(result), fontsize=7.5, color="#555555", va="bottom")
    figure.subplots_adjust(left=0.19, right=0.97, top=1 - 0.45 / height, bottom=1.2 / height)
    files = [folder / "handover.png", folder / "handover.svg"]
    figure.savefig(files[0], dpi=160)
    figure.savefig(files[1], metadata={"Date": None})
    return files


def _bar(axes: Any, at: float, seconds: float, colour: str, what: str) -> None:
    axes.barh(at, seconds, height=0.36, color=colour)
    axes.annotate(
        f"{what} {format_seconds(seconds)}",
        (seconds, at),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )


def _scale(axes: Any, ran: dict[str, dict[str, Any]]) -> None:
    times = [entry[part] for entry in ran.values() for part in ("write_s", "read_s")]
    low = 10.0 ** min(-3, int(f"{min(times):e}".partition("e")[2]))
    axes.set_xscale("log")
    axes.set_xlim(low, max(times) * 4)
    axes.xaxis.set_major_formatter(lambda value, _: format_tick(value))
    axes.set_xlabel("sum over all steps, logarithmic scale: shorter is better", fontsize=9)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=10)


def format_tick(seconds: float) -> str:
    """Write a power of ten of seconds in the unit that people say.

    Examples
    --------
    >>> format_tick(0.01), format_tick(10)
    ('10 ms', '10 s')
    """
    if seconds >= 1:
        return f"{seconds:g} s"
    return f"{seconds * 1e3:g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:g} µs"


def _label(name: str, entry: dict[str, Any]) -> str:
    undropped = name == "disk_cold" and not entry["caches_dropped"]
    title = TRANSPORTS[name].title + (", not dropped" if undropped else "")
    return f"{title}\n{format_seconds(entry['handover_s'])} in all"


def _small_print(result: dict[str, Any]) -> str:
    return (
        f"{result['rows']:,} flights as pandas frames and one scikit-learn model; "
        f"interpreter start, imports and computing are not in these times.\n"
        f"{_server(result)}Disk writes end in the page cache (no fsync); cold: page cache dropped before each read.\n"
        f"{describe(result['machine'])}; "
        f"huge pages for shared memory: {result['machine']['shared_huge_pages']}."
    )


def _server(result: dict[str, Any]) -> str:
    facts = result["transports"]["vineyard"].get("instance")
    if not facts:
        return ""
    return f"vineyardd, started before: {describe_instance(facts)}. "
