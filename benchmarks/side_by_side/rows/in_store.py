# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays that were allocated in the store: their put copies nothing. Beside it: peers that copy."""

from __future__ import annotations

from side_by_side.peers.peer import CannotDo
from side_by_side.rows.family import GIB, MIB, Family, Found, Measure, Row, Turn, size_text


def _measure(name: str, size: int, goal: str) -> Measure:
    def run(turn: Turn) -> Found:
        length = turn.scale.size(size)
        value = f"array:{length}"
        turn.need(length + 3 * GIB)
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
        f"put {size_text(size)} that was allocated in the store",
        goal,
        note="systems that have no such memory copy an ordinary array",
        picture=size == GIB,
    )
    return Measure((row,), run)


FAMILY = Family(
    "in-store",
    "Arrays allocated in the store (`client.empty`)",
    (
        _measure("64mib", 64 * MIB, "≤ 0.15 ms"),
        _measure("1gib", GIB, "≤ 0.6 ms"),
        _measure("8gib", 8 * GIB, "≤ 4 ms"),
    ),
    size=9 * GIB,
    fresh=True,
    systems=("ours", "v6d", "ray", "lmdb"),
    rounds=3,
)
