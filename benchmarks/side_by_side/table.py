# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The result as Markdown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from side_by_side import machine
from side_by_side.result import relative

_UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "B": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")),
    "/s": ((1e6, "M/s"), (1e3, "k/s"), (1, "/s")),
    "1": ((1, ""),),
}


def of_file(path: Path) -> str:
    """Return the table of a result in JSON, and write it beside it as ``.md``."""
    text = of(json.loads(path.read_text()))
    path.with_suffix(".md").write_text(text + "\n")
    return text


def of(result: dict[str, Any]) -> str:
    """Return the tables, and what must be known to read them."""
    quick = result["settings"]["quick"]
    lines = [*facts(result), ""]
    if quick:
        lines += ["**A quick run: every value is tiny, whatever its row says.**", ""]
    for name in dict.fromkeys(row["family"] for row in result["rows"]):
        lines += [f"### {name}", "", *family(result, name), ""]
    if result["cpp"]:
        lines += ["### The layers in C++", "", *programs(result), ""]
    if result["profile"]:
        lines += ["### Where the time goes", "", *profile(result), ""]
    return "\n".join([*lines, *notes(result)])


def facts(result: dict[str, Any]) -> Iterator[str]:
    """Say where and how it was measured, and how to read it."""
    rounds = result["settings"]["rounds"]
    yield (
        f"{machine.describe(result['machine'])}. {result['when']} UTC, commit {result['commit']}, "
        f"{rounds} rounds; load of the machine at the start: {result['machine']['load_at_start']:.1f}."
    )
    yield ""
    yield "Medians of the rounds' medians; ± is the farther quartile, where it is more than 5 % away."
    yield "`≠`: what came back was not what was put. –: there is no way to do it. **Bold**: the best."


def programs(result: dict[str, Any]) -> Iterator[str]:
    """Say what the C++ programs found."""
    yield "| program | what | time |"
    yield "|---|---|--:|"
    for row in result["cpp"]:
        yield f"| {row['program']} | {row['name']} | {cell_text(row, 's')} |"


def profile(result: dict[str, Any]) -> Iterator[str]:
    """Say where the time of the most frequent operations goes."""
    yield "| operation | where | share | most of it in |"
    yield "|---|---|--:|---|"
    for entry in result["profile"]:
        for number, place in enumerate(entry["places"]):
            operation = entry["operation"] if number == 0 else ""
            symbols = ", ".join(f"`{symbol}`" for symbol in place["symbols"])
            yield f"| {operation} | {place['where']} | {place['share'] * 100:.0f} % | {symbols} |"


def family(result: dict[str, Any], title: str) -> Iterator[str]:
    """Return the table of one family of rows; nothing where none was measured."""
    rows = [row for row in result["rows"] if row["family"] == title]
    if not rows:
        return
    if title in result["ways"]:
        yield from _ways(result["ways"][title], rows)
        return
    names = [n for n in result["systems"] if any(_says(row["cells"].get(n)) for row in rows)]
    goals = any(row["goal"] for row in rows)
    head = ["", *(["goal"] if goals else []), *(result["systems"][n]["title"] for n in names)]
    yield f"| {' | '.join(head)} |"
    yield "|---|" + (":--|" if goals else "") + "--:|" * len(names)
    for row in rows:
        best = _best(result, row)
        cells = [cell_text(row["cells"].get(n), row["unit"], bold=n == best) for n in names]
        goal = [row["goal"] or ""] if goals else []
        yield f"| {' | '.join([row['title'], *goal, *cells])} |"


def _ways(ways: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    """Return the table of a comparison of ways; where they are relative, with the medians of all."""
    columns, base = ways["columns"], ways["relative_to"]
    yield f"| {' | '.join(['', 'goal', *columns.values()])} |"
    yield "|---|:--|" + "--:|" * len(columns)
    for row in rows:
        cells = [cell_text(*as_shown(row, way, base)) for way in columns]
        yield f"| {' | '.join([row['title'], row['goal'] or '', *cells])} |"
    if base is None:
        return
    cells = []
    for way in columns:
        found = [as_shown(row, way, base)[0] for row in rows]
        medians = [cell["median"] for cell in found if "median" in cell]
        text = quantity(statistics.median(medians), "x") if medians and way != base else ""
        cells.append(f"**{text}**" if text else "")
    yield f"| {' | '.join(['**median of these**', ways['goal'] or '', *cells])} |"


def as_shown(row: dict[str, Any], way: str, base: str | None) -> tuple[dict[str, Any], str]:
    """Return the cell of a way and its unit: relative to another way, where there is one."""
    found = row["cells"].get(way, {})
    if base in (None, way):
        return found, row["unit"]
    return relative(found, row["cells"].get(base, {})), "x"


def _says(cell: dict[str, Any] | None) -> bool:
    return cell is not None and ("median" in cell or "failed" in cell)


def _title(result: dict[str, Any], family: str, name: str) -> str:
    """Return what a column of a family is called."""
    if family in result["ways"]:
        return str(result["ways"][family]["columns"][name])
    return str(result["systems"][name]["title"])


def _best(result: dict[str, Any], row: dict[str, Any]) -> str | None:
    """Return the system that does best; what came back unequal, and limits, are not counted."""
    found = {
        name: cell["median"]
        for name, cell in row["cells"].items()
        if cell.get("equal") and not result["systems"][name]["limit"]
    }
    if len(found) < 2:
        return None
    choose = max if row["better"] == "more" else min
    return choose(found, key=lambda name: found[name])


def cell_text(cell: dict[str, Any] | None, unit: str, bold: bool = False) -> str:
    """Return what stands in a cell.

    Examples
    --------
    >>> cell_text({"median": 6.5e-6, "q1": 6e-6, "q3": 6.6e-6, "equal": True}, "s")
    '6.50 µs ±8 %'
    >>> cell_text({"cannot": "arrays alone"}, "s"), cell_text(None, "s")
    ('–', '')
    """
    if not cell:
        return ""
    if "failed" in cell:
        return "fails"
    if "cannot" in cell:
        return "–"
    text = quantity(cell["median"], unit)
    if bold:
        text = f"**{text}**"
    if not cell["equal"]:
        text += " ≠"
    middle = cell["median"]
    if middle > 0:
        off = max(cell["q3"] - middle, middle - cell["q1"]) / middle
        if off > 0.05:
            text += f" ±{off * 100:.0f} %"
    return text


def quantity(number: float, unit: str) -> str:
    """Return a number with three digits and the unit that people say.

    Examples
    --------
    >>> quantity(0.0123, "s"), quantity(3 << 20, "B"), quantity(12.0, "1")
    ('12.3 ms', '3.00 MiB', '12.0')
    """
    if unit == "x":
        return speed(number)
    units = _UNITS[unit]
    factor, name = next((u for u in units if abs(number) >= u[0]), units[-1])
    scaled = number / factor
    digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
    return f"{scaled:.{digits}f} {name}".rstrip()


def speed(ratio: float) -> str:
    """Return what a ratio of times means.

    Examples
    --------
    >>> speed(0.5), speed(1.25), speed(1.001)
    ('2.00 × as fast', '1.25 × as slow', 'as fast')
    """
    if 0.995 <= ratio <= 1.005:
        return "as fast"
    return f"{1 / ratio:.2f} × as fast" if ratio < 1 else f"{ratio:.2f} × as slow"


def notes(result: dict[str, Any]) -> Iterator[str]:
    """Say what each system is, what was left out, and why rows are empty."""
    yield "Systems:"
    yield ""
    for system in result["systems"].values():
        versions = ", ".join(f"{name} {version}" for name, version in system["versions"].items())
        if system["missing"]:
            yield f"- {system['title']}: **left out**: {system['missing']}"
        else:
            yield f"- {system['title']}: {system['settings']} ({versions})"
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in result["rows"]:
        for name, cell in row["cells"].items():
            for how in ("cannot", "failed"):
                if how in cell:
                    title = _title(result, row["family"], name)
                    reasons.setdefault((title, cell[how]), []).append(row["name"])
    if reasons:
        yield ""
        yield "Not measured:"
        yield ""
    for (title, why), rows in reasons.items():
        yield f"- {title}: {why} ({', '.join(rows)})"
    told = {row["note"]: row["title"] for row in result["rows"] if row["note"]}
    if told:
        yield ""
        yield "About rows:"
        yield ""
    for note, title in told.items():
        yield f"- {title}: {note}"
