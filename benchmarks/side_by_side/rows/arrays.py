# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays of some megabytes: copying, and mapping what another process has put."""

from __future__ import annotations

from side_by_side.rows.family import KIB, MIB, Family, Found, Measure, Row, Turn, size_text


def _put(name: str, size: int, count: int, goal: str) -> Measure:
    def run(turn: Turn) -> Found:
        value = f"array:{turn.scale.size(size)}"
        samples, keys = turn.producer.run("put", value=value, count=turn.scale.count(count), warm=2)
        yield f"put-{name}", samples
        turn.verify(keys, value)
        turn.delete(keys)

    row = Row(
        f"put-{name}",
        f"put an array of {size_text(size)}",
        goal,
        limits=("memcpy", "memcpy_fresh"),
        picture=size >= MIB,
    )
    return Measure((row,), run)


def _put_fresh(name: str, size: int, count: int, goal: str) -> Measure:
    """Where no memory can be ready: nothing like it was asked for before."""

    def run(turn: Turn) -> Found:
        value = f"array:{turn.scale.size(size)}"
        # What the first put of an array imports is no cost of the copy.
        _, keys = turn.producer.run("put", value="array:800", count=1)
        turn.delete(keys)
        samples, keys = turn.producer.run("put", value=value, count=turn.scale.count(count))
        yield f"put-{name}-fresh", samples
        turn.verify(keys, value)
        turn.delete(keys)

    row = Row(
        f"put-{name}-fresh",
        f"put an array of {size_text(size)}, one of the first {count} into a fresh instance",
        goal,
        limits=("memcpy", "memcpy_fresh"),
        picture=True,
        note="none is deleted before the next is put",
    )
    return Measure((row,), run)


def _put_ready(name: str, size: int, count: int, goal: str) -> Measure:
    """Where one like it was deleted, and its memory could be made ready for the next."""

    def run(turn: Turn) -> Found:
        value = f"array:{turn.scale.size(size)}"
        pause = 0.5 if not turn.scale.quick else 0.0
        samples = turn.producer.run(
            "put_over", value=value, count=turn.scale.count(count), pause=pause
        )
        yield f"put-{name}-ready", samples

    row = Row(
        f"put-{name}-ready",
        f"put an array of {size_text(size)}, half a second after one like it was deleted",
        goal,
        limits=("memcpy",),
        picture=True,
    )
    return Measure((row,), run)


def _get(name: str, size: int, count: int) -> Measure:
    """Of `count` arrays that this process has never seen."""

    def run(turn: Turn) -> Found:
        value = f"array:{turn.scale.size(size)}"
        _, keys = turn.producer.run("put", value=value, count=turn.scale.count(count))
        found = turn.consumer.run("get_mapped", keys=keys, count=turn.scale.count(8))
        for which, samples in found.items():
            yield f"get-{name}-{which}", samples
        turn.verify(keys, value)
        turn.delete(keys)

    text = size_text(size)
    return Measure(
        (
            Row(f"get-{name}-first", f"get {text}, the first time in this process", "≤ 20 µs"),
            Row(
                f"get-{name}-again",
                f"get {text} again, after it was dropped",
                "≤ 5 µs",
                picture=True,
            ),
            Row(f"get-{name}-held", f"get {text} again, while it is held", "≤ 5 µs"),
        ),
        run,
    )


def _get_and_sum(name: str, size: int) -> Measure:
    def run(turn: Turn) -> Found:
        value = f"array:{turn.scale.size(size)}"
        _, keys = turn.producer.run("put", value=value, count=turn.scale.count(3))
        found = turn.consumer.run("get_mapped", keys=keys, count=turn.scale.count(3), touch=True)
        yield f"sum-{name}-first", found["first"]
        yield f"sum-{name}-again", found["again"]
        yield f"sum-{name}-held", found["held"]
        turn.verify(keys, value)
        turn.delete(keys)

    text = size_text(size)
    note = "memcpy: summing the process's own array"
    return Measure(
        (
            Row(
                f"sum-{name}-first",
                f"get and sum {text}, the first time",
                "≤ 1.1 × the own array's",
                note=note,
                limits=("memcpy",),
                picture=True,
            ),
            Row(
                f"sum-{name}-again",
                f"get and sum {text}, after it was dropped",
                note=note,
                limits=("memcpy",),
            ),
            Row(
                f"sum-{name}-held",
                f"get and sum {text}, while it is held",
                "≤ 1.05 × the own array's",
                note=note,
                limits=("memcpy",),
            ),
        ),
        run,
    )


FAMILY = Family(
    "arrays",
    "Arrays",
    (
        _put("300kib", 300 * KIB, 40, "≤ 125 µs"),
        _put("1mib", MIB, 30, "≤ 125 µs"),
        _put_ready("64mib", 64 * MIB, 4, "≤ 4.5 ms"),
        _get("1mib", MIB, 8),
        _get("64mib", 64 * MIB, 4),
        _get_and_sum("64mib", 64 * MIB),
    ),
    size=1 << 30,
)

FRESH = Family(
    "arrays-fresh",
    "Arrays, the first into a fresh instance",
    (_put_fresh("64mib", 64 * MIB, 3, "≤ 9 ms"),),
    size=1 << 30,
    fresh=True,
)
