# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""From 8 bytes to 8 GiB: whether anything grows faster than the copy."""

from __future__ import annotations

from side_by_side.rows.family import GIB, KIB, MIB, Family, Found, Measure, Row, Turn, size_text

_SIZES = (8, 512, 4 * KIB, 32 * KIB, 256 * KIB, 2 * MIB, 16 * MIB, 128 * MIB, GIB, 8 * GIB)


def _measure(size: int) -> Measure:
    name = size_text(size).replace(" ", "").lower()

    def run(turn: Turn) -> Found:
        length = turn.scale.size(size)
        value = f"array:{length}"
        turn.need(2 * length + 3 * GIB)
        count = turn.scale.count(max(1, min(200, 128 * MIB // size)))
        samples, keys = turn.producer.run(
            "put", value=value, count=count, warm=int(size < 16 * MIB)
        )
        yield f"put-size-{name}", samples
        if not turn.is_limit:
            found = turn.consumer.run("get_mapped", keys=keys, count=turn.scale.count(3))
            yield f"get-size-{name}", found["first"]
        turn.verify(keys, value, 1)
        turn.delete(keys)

    text = size_text(size)
    return Measure(
        (
            Row(f"put-size-{name}", f"put an array of {text}", limits=("memcpy",)),
            Row(f"get-size-{name}", "get it, the first time in this process"),
        ),
        run,
    )


FAMILY = Family(
    "sizes",
    "Sizes",
    tuple(_measure(size) for size in _SIZES),
    size=9 * GIB,
    fresh=True,
    systems=("ours", "memcpy"),
    rounds=2,
)
