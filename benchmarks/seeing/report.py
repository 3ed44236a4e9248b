# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What was found, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from side_by_side.table import quantity

from seeing.answers import PAGE_LOAD, Answers
from seeing.cost import Idle, Row

GOAL_COST = 1.03
GOAL_PAGE = 0.2  # seconds
GOAL_COMMANDS = {"why": 0.1, "top": 0.1}


def cost(rows: list[Row], idle: Idle) -> Iterator[str]:
    """Tell what seeing makes of the processor time of puts and gets."""
    yield (
        f"| | nobody looks | nobody looks either | somebody looks, goal ≤ {GOAL_COST} "
        "| with the process for HTTP and the trace |"
    )
    yield "|---|--:|--:|--:|--:|"
    for row in rows:
        title = f"{row.step} {size_text(row.size)}"
        alone = quantity(statistics.median(row.unseen), "s")
        ratios = " | ".join(_ratio(row.ratios(times)) for times in (row.twin, row.seen, row.all))
        yield f"| {title} | {alone} | {ratios} |"
    yield ""
    yield (
        f"An instance with nothing else to do takes {idle.instance * 1000:.2g} ms of a processor in a second to tell of "
        f"itself; the process for HTTP and the trace take {idle.lookers * 1000:.2g} ms."
    )


def answers(found: Answers) -> Iterator[str]:
    """Tell how long the answers took."""
    yield "| answer | goal | median | worst | kept: median | worst |"
    yield "|---|:--|--:|--:|--:|--:|"
    yield f"| {PAGE_LOAD} | ≤ {_ms(GOAL_PAGE)} | {_middle_and_worst(found.page)} | | |"
    for path, times in found.first.items():
        yield f"| `{path}` | | {_middle_and_worst(times)} | {_middle_and_worst(found.kept[path])} |"
    for path, times in found.beside.items():
        yield f"| `{path}`, while the first list is made | | {_middle_and_worst(times)} | | |"
    for title, times in found.commands.items():
        goal = f"≤ {_ms(GOAL_COMMANDS[title])}" if title in GOAL_COMMANDS else ""
        yield f"| `vineyardctl {title}` | {goal} | {_middle_and_worst(times)} | | |"


def _ratio(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.3f} ({low:.3f}–{high:.3f})"


def _middle_and_worst(times: list[float]) -> str:
    return f"{_ms(statistics.median(times))} | {_ms(max(times))}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def size_text(size: int) -> str:
    """Say how large a value is.

    Examples
    --------
    >>> size_text(1 << 10), size_text(100 << 10), size_text(10_000_000)
    ('1 KiB', '100 KiB', '10 MB')
    """
    return f"{size >> 10} KiB" if size < 1 << 20 else f"{size // 1_000_000} MB"
