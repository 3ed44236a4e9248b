# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""From the steps' reports to the result, its check, and its table."""

from __future__ import annotations

from typing import Any

from harness.sizes import format_bytes, format_seconds
from transports import TRANSPORTS

PARTS = ("write_s", "read_s", "compute_s")


def summarise(steps: list[dict[str, Any]], peak_bytes: int) -> dict[str, Any]:
    """Add up one transport's steps. All times in seconds.

    ``total_s`` is the sum of writing, reading, computing and ``startup_s``, which is what the
    transport itself needed to get ready (import and connect); starting Python is in none of them.
    """
    sums = {part: sum(step[part] for step in steps) for part in (*PARTS, "startup_s")}
    result = {part: sums[part] for part in PARTS}
    result |= {
        "total_s": sum(sums.values()),
        "peak_bytes": peak_bytes,
        "mse": steps[-1]["results"]["mse"],
        "startup_s": sums["startup_s"],
        "handover_s": sums["write_s"] + sums["read_s"],
        "steps": steps,
    }
    return result


def not_run(transport: str) -> dict[str, Any]:
    """Return the entry of a transport that was left out: every key, no value."""
    keys = (*PARTS, "total_s", "peak_bytes", "mse", "startup_s", "handover_s", "handover_runs_s")
    dropped = {"caches_dropped": False} if transport == "disk_cold" else {}
    return dict.fromkeys(keys) | {"steps": []} | dropped


def differences(transports: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line for each value that is not the same, bit by bit, in all transports."""
    lines = []
    seen: dict[str, tuple[str, Any]] = {}

    def same(what: str, where: str, value: Any) -> None:
        first_where, first = seen.setdefault(what, (where, value))
        if first != value:
            lines.append(f"{what} differs between {first_where} and {where}")

    for name, entry in transports.items():
        for step in entry["steps"]:
            for key, output in step["outputs"].items():
                same(key, f"{name} {step['step']}", output["sha256"])
            for key, entering in step["inputs"].items():
                same(key, f"{name} {step['step']}", entering["sha256"])
            for key, value in step["results"].items():
                same(key, f"{name} {step['step']}", value)
    return lines


def table(result: dict[str, Any]) -> str:
    """Write the result for people: each step, the sums, and how the ways compare."""
    ran = {name: entry for name, entry in result["transports"].items() if entry["steps"]}
    lines = [f"{'':19}  {'step':10}  {'read':>9}  {'write':>9}  {'compute':>9}"]
    for name, entry in ran.items():
        for step in entry["steps"]:
            cells = [
                format_seconds(step["read_s"]) if step["inputs"] else "–",
                format_seconds(step["write_s"]) if step["outputs"] else "–",
                format_seconds(step["compute_s"]),
            ]
            first = TRANSPORTS[name].title if step is entry["steps"][0] else ""
            lines.append(f"{first:19}  {step['step']:10}  " + "  ".join(f"{c:>9}" for c in cells))
    lines += ["", *_sums(ran), "", _verdict(result, ran)]
    return "\n".join(lines)


def _verdict(result: dict[str, Any], ran: dict[str, dict[str, Any]]) -> str:
    mse = next(iter(ran.values()))["mse"]
    if result["differences"]:
        return "NOT the same every way: " + "; ".join(result["differences"])
    return (
        f"mean squared error {mse!r}: bit by bit the same every way, and so are\n"
        "the coefficients and everything that was handed over"
    )


def _sums(ran: dict[str, dict[str, Any]]) -> list[str]:
    head = ("write", "read", "w + r", "ratio", "startup", "compute", "total", "ratio", "peak mem")
    lines = [f"{'all steps':19}  " + "  ".join(f"{cell:>8}" for cell in head)]
    base = ran.get("vineyard")
    for name, entry in ran.items():
        cells = [format_seconds(entry[key]) for key in ("write_s", "read_s", "handover_s")]
        cells.append(_ratio(entry, base, "handover_s"))
        cells += [format_seconds(entry[key]) for key in ("startup_s", "compute_s", "total_s")]
        cells.append(_ratio(entry, base, "total_s"))
        cells.append(format_bytes(entry["peak_bytes"]))
        lines.append(f"{TRANSPORTS[name].title:19}  " + "  ".join(f"{cell:>8}" for cell in cells))
    return lines


def _ratio(entry: dict[str, Any], base: dict[str, Any] | None, key: str) -> str:
    return f"{entry[key] / base[key]:.1f} x" if base else "–"
