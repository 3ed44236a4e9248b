# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What was found, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from side_by_side import machine
from side_by_side.result import relative
from side_by_side.table import cell_text, quantity

OURS = "vineyard"
SUM, HANDING_OVER = "sum", "handing_over"

# What is to be reached: measure, scale, the other way, the ratio to it.
GOALS = (
    (HANDING_OVER, "500", "minio-s3", 0.1),
    (HANDING_OVER, "500", "cloudpickle", 0.2),
    (HANDING_OVER, "1", "cloudpickle", 1.0),
    (SUM, "500", "minio-s3", 0.63),
)
_SAYS = {SUM: "all nodes' time", HANDING_OVER: "handing over"}


def of(told: dict[str, Any]) -> Iterator[str]:
    """Tell what a run found."""
    settings = told["settings"]
    if settings["quick"]:
        yield "**A quick run: its figures say nothing.**"
        yield ""
    yield (
        f"{machine.describe(told['machine'])}. {told['when']} UTC, commit {told['commit']}, {settings['rounds']} rounds; "
        f"load of the machine at the start: {told['machine']['load_at_start']:.1f}."
    )
    yield ""
    yield "The time of all five nodes together:"
    yield ""
    yield from table(told, SUM)
    yield ""
    yield "Of it, handing over: the time inside load and save of what one node hands to another, or leaves:"
    yield ""
    yield from table(told, HANDING_OVER)
    yield ""
    yield "Apart from both, of the five processes together:"
    yield ""
    yield from apart(told)
    yield ""
    if not settings["quick"] and (lines := list(goals(told))):
        yield from lines
        yield ""
    yield equality(told)
    yield ""
    for way in told["ways"].values():
        yield f"- {way['title']}: {way['settings']}"


def table(told: dict[str, Any], measure: str) -> Iterator[str]:
    """Return one of the tutorial's tables, and what vineyard's time is to the others' of the same round."""
    ways = told["ways"]
    others = [way for way in ways if way != OURS] if OURS in ways else []
    head = ["Data scale", "rows", *(way["title"] for way in ways.values())]
    head += [f"{ways[OURS]['title']} to {ways[other]['title']}" for other in others]
    yield f"| {' | '.join(head)} |"
    yield "|--:|--:|" + "--:|" * (len(head) - 2)
    for scale, found in told["scales"].items():
        cells = [cell_text(found[way][measure], "s") for way in ways]
        cells += [ratio_text(found[OURS][measure], found[other][measure]) for other in others]
        yield f"| {' | '.join([scale, f'{int(scale) * 1460:,}', *cells])} |"


def apart(told: dict[str, Any]) -> Iterator[str]:
    """Return what is in neither table, at the smallest scale: it does not depend on that."""
    scale, found = next(iter(told["scales"].items()))
    yield f"| at scale {scale} | {' | '.join(way['title'] for way in told['ways'].values())} |"
    yield "|---|" + "--:|" * len(told["ways"])
    for measure, title in (
        ("connect", "connecting, and imports that wait for it"),
        ("start", "starting Python, imports, Kedro's own"),
    ):
        cells = [cell_text(found[way][measure], "s") for way in told["ways"]]
        yield f"| {title} | {' | '.join(cells)} |"


def goals(told: dict[str, Any]) -> Iterator[str]:
    """Say of each goal whether it is reached, where both ways were measured at that scale."""
    for measure, scale, other, goal in GOALS:
        found = told["scales"].get(scale, {})
        if OURS in found and other in found:
            middle = relative(found[OURS][measure], found[other][measure])["median"]
            title = told["ways"][other]["title"]
            reached = "reached" if middle <= goal else "**not reached**"
            yield (
                f"- {_SAYS[measure]} at scale {scale}, to {title}: {middle:.3f}, goal ≤ {goal:g}: {reached}"
            )


def ratio_text(ours: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the median of the rounds' ratios, with their quartiles.

    Examples
    --------
    >>> from side_by_side.result import cell
    >>> ratio_text(cell([[1.0], [1.0]], True), cell([[2.0], [2.0]], True))
    '0.500 (0.500–0.500)'
    """
    found = relative(ours, other)
    return f"{found['median']:.3f} ({found['q1']:.3f}–{found['q3']:.3f})"


def equality(told: dict[str, Any]) -> str:
    """Say whether all ways had the same tables."""
    if told["unequal"]:
        return "**Results differ**: " + "; ".join(told["unequal"]) + "."
    return "The tables are equal in all ways, to the bit."


def seconds(number: float) -> str:
    """Return a time for a label of the picture."""
    return quantity(number, "s")
