# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Small values: what one call costs."""

from __future__ import annotations

from side_by_side.rows.family import KIB, Family, Found, Measure, Row, Turn


def _put_and_get(name: str, title: str, value: str, batch: int, goals: tuple[str, str]) -> Measure:
    """Puts in a burst, and gets of many different objects."""
    limits = ("memcpy",) if value.startswith("array:65536") else ()

    def run(turn: Turn) -> Found:
        count = turn.scale.count(20) * batch
        samples, keys = turn.producer.run("put", value=value, count=count, batch=batch, warm=batch)
        yield f"put-{name}", samples
        if not turn.is_limit:
            yield (
                f"get-{name}",
                turn.consumer.run("get", keys=keys, count=2 * count, batch=batch, warm=len(keys)),
            )
        turn.verify(keys, value)
        turn.delete(keys)

    put = Row(f"put-{name}", f"put {title}", goals[0], picture=True, limits=limits)
    get = Row(f"get-{name}", f"get {title}", goals[1], picture=True)
    return Measure((put, get), run)


def _many(turn: Turn) -> Found:
    count = turn.scale.count(5000, 20)
    samples, keys = turn.producer.run(
        "put_many", value="bytes:100", count=count, repeat=turn.scale.count(4)
    )
    yield "put-many", samples
    yield (
        "get-many",
        turn.consumer.run(
            "get_many", keys=keys[:count], value="bytes:100", repeat=turn.scale.count(5)
        ),
    )
    turn.delete(keys)


def _from_idle(turn: Turn) -> Found:
    samples, keys = turn.producer.run(
        "put", value="bytes:100", count=turn.scale.count(20), warm=1, pause=0.05
    )
    yield "put-100b-idle", samples
    turn.verify(keys, "bytes:100")
    turn.delete(keys)


FAMILY = Family(
    "small",
    "Small values",
    (
        _put_and_get("100b", "100 bytes", "bytes:100", 50, ("≤ 8 µs", "≤ 1.5 µs")),
        _put_and_get("8b-array", "an array of 8 bytes", "array:8", 50, ("", "≤ 2.5 µs")),
        _put_and_get(
            "64kib", "an array of 64 KiB", f"array:{64 * KIB}", 5, ("≤ 25 µs", "≤ 6.5 µs")
        ),
        Measure(
            (
                Row(
                    "put-many",
                    "put 100 bytes, one of 5,000 in a call",
                    "≤ 1 µs",
                    note="LMDB: one transaction; Redis: one MSET; where a system has no such call, one "
                    "after another",
                ),
                Row("get-many", "get 100 bytes, one of 5,000 in a call"),
            ),
            _many,
        ),
        Measure(
            (Row("put-100b-idle", "put 100 bytes after 50 ms of nothing", "≤ 60 µs"),), _from_idle
        ),
    ),
)
