# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Frames and tables."""

from __future__ import annotations

from side_by_side.rows.family import GIB, Family, Found, Measure, Row, Turn

_KINDS = (
    # name, of what, rows in a full run, in a quick one, title, goals
    ("frame", "frame:10x", 10_000_000, 1000, "a frame of 10 × 10M float64", "≤ 45 ms", "≤ 0.4 ms"),
    (
        "objects",
        "objects:",
        1_000_000,
        1000,
        "1M mixed rows, strings as Python objects",
        "≤ 80 ms",
        "≤ 45 ms",
    ),
    (
        "strings",
        "strings:",
        1_000_000,
        1000,
        "1M mixed rows, strings held by Arrow",
        "≤ 12 ms",
        "≤ 1 ms",
    ),
    (
        "table",
        "table:",
        1_000_000,
        1000,
        "an Arrow table of 1M rows, int64 and string",
        "≤ 4 ms",
        "≤ 0.3 ms",
    ),
)

_PUT = "half a second after another like it was deleted"


def _measure(
    name: str, prefix: str, rows: int, quick: int, title: str, put: str, get: str
) -> Measure:
    def run(turn: Turn) -> Found:
        value = prefix + str(turn.scale.count(rows, quick))
        turn.need(0 if turn.scale.quick else 4 * GIB)
        # What the first of its kind imports is no cost of the others.
        _, keys = turn.producer.run("put", value=f"{prefix}10", count=1)
        turn.verify(keys, f"{prefix}10")
        turn.delete(keys)
        pause = 0.5 if not turn.scale.quick else 0.0
        yield f"put-{name}", turn.producer.run("put_over", value=value, count=3, pause=pause)
        _, keys = turn.producer.run("put", value=value, count=2)
        found = turn.consumer.run("get_mapped", keys=keys, count=3)
        yield f"get-{name}", found["first"]
        yield f"get-{name}-again", found["again"]
        turn.verify(keys, value, 1)
        turn.delete(keys)

    return Measure(
        (
            Row(f"put-{name}", f"put {title}", put, picture=True, note=_PUT),
            Row(f"get-{name}", f"get {title}, the first time in this process", get, picture=True),
            Row(f"get-{name}-again", "again, after it was dropped"),
        ),
        run,
    )


FAMILY = Family(
    "tables",
    "Frames and tables",
    tuple(_measure(*kind) for kind in _KINDS),
    size=4 * GIB,
    fresh=True,
    rounds=3,
)
