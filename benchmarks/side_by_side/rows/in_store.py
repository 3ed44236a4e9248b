# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What was allocated in the store: its put copies nothing. Beside it: peers that copy."""

from __future__ import annotations

from side_by_side.peers.peer import CannotDo
from side_by_side.rows.family import GIB, MIB, Family, Found, Measure, Row, Turn, size_text


def _measure(name: str, size: int, goal: str, what: str = "") -> Measure:
    def run(turn: Turn) -> Found:
        length = turn.scale.size(size)
        value = f"frame:4x{length // 32}" if what else f"array:{length}"
        turn.need(length + 3 * GIB)
        # What the first of its kind imports is no cost of the others.
        _, keys = turn.producer.run("put", value="frame:4x10" if what else "array:80", count=1)
        turn.delete(keys)
        count = turn.scale.count(5 if size < GIB else 2)
        try:
            samples, keys = turn.producer.run("put_allocated", value=value, count=count)
        except CannotDo:
            if size > GIB:  # the copy of this size shows nothing that the smaller ones do not
                raise
            turn.need(4 * length)
            samples, keys = turn.producer.run("put", value=value, count=2)
        yield f"put-empty-{name}", samples
        turn.verify(keys, value, 1)
        turn.delete(keys)

    row = Row(
        f"put-empty-{name}",
        f"put {what}{size_text(size)} that was allocated in the store",
        goal,
        note="systems that have no such memory copy an ordinary array",
        picture=size == GIB and not what,
    )
    return Measure((row,), run)


FAMILY = Family(
    "in-store",
    "Arrays allocated in the store (`client.empty`)",
    (
        _measure("64mib", 64 * MIB, "≤ 0.15 ms"),
        _measure("1gib", GIB, "≤ 0.6 ms"),
        _measure("1gib-frame", GIB, "≤ 0.6 ms", "a frame of "),
        _measure("8gib", 8 * GIB, "≤ 4 ms"),
    ),
    size=9 * GIB,
    fresh=True,
    systems=("ours", "v6d", "ray", "lmdb"),
    rounds=3,
)
