# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Cost as it grows: ten, ten thousand and a million objects; many columns, members and volumes."""

from __future__ import annotations

from side_by_side.peers.peer import CannotDo
from side_by_side.rows.family import GIB, Family, Found, Measure, Row, Turn

_VALUE = "bytes:100"
#: How many objects there are: in a full run, in a quick one.
_COUNTS = ((10, 10), (10_000, 200), (1_000_000, 1000))

#: Seconds that filling a system may take; who would take longer is left out of the last rows.
_PATIENCE = 60.0


def _objects(turn: Turn) -> Found:
    """Fill in three steps; measure after each."""
    begin = turn.session.memory()
    there, seconds = 0, 0.0
    for full, quick in _COUNTS:
        count = turn.scale.count(full, quick)
        if there and seconds * (count - there) / there > _PATIENCE:
            raise CannotDo(f"{count:,} puts would take more than {_PATIENCE:.0f} s")
        more = count - there
        seconds, keys = turn.producer.run(
            "fill", value=_VALUE, count=more, every=max(more // 1000, 1)
        )
        there = count
        batches = turn.scale.count(40)
        yield (
            f"get-of-{full}",
            turn.consumer.run("get", keys=keys, count=batches * 50, batch=50, warm=len(keys)),
        )
    yield "memory-of-million", [(turn.session.memory() - begin) / there]
    turn.verify(keys, _VALUE)
    limit = turn.scale.count(1000, 100)
    yield "list-1000", turn.consumer.run("listing", limit=limit, repeat=turn.scale.count(10))


def _shape(name: str, prefix: str, full: int, quick: int, title: str) -> Measure:
    def run(turn: Turn) -> Found:
        value = prefix + str(turn.scale.count(full, quick))
        _, keys = turn.producer.run("put", value=f"{prefix}3", count=1)
        turn.verify(keys, f"{prefix}3")
        turn.delete(keys)
        samples, keys = turn.producer.run("put", value=value, count=3)
        yield f"put-{name}", samples
        yield f"get-{name}", turn.consumer.run("get", keys=keys, count=3)
        turn.verify(keys, value, 1)
        turn.delete(keys)

    return Measure((Row(f"put-{name}", f"put {title}"), Row(f"get-{name}", f"get {title}")), run)


def _volumes(turn: Turn) -> Found:
    """Further volumes stand beside the one that is used."""
    for count in (1, 10, 100):
        turn.producer.run("make_volumes", count=count)
        batch = turn.scale.count(50)
        samples, keys = turn.producer.run(
            "put", value=_VALUE, count=20 * batch, batch=batch, warm=batch
        )
        yield f"put-volumes-{count}", samples
        yield (
            f"get-volumes-{count}",
            turn.consumer.run("get", keys=keys, count=20 * batch, batch=batch, warm=len(keys)),
        )
        turn.delete(keys)
    yield "memory-volumes-100", [float(turn.session.memory(workers=False))]


_GOALS = {1_000_000: "≤ 1.5 × that of 10"}

_OBJECTS = Measure(
    (
        *(
            Row(f"get-of-{count}", f"get 100 bytes among {count:,} objects", _GOALS.get(count))
            for count, _ in _COUNTS
        ),
        Row(
            "memory-of-million",
            "memory for each of a million objects of 100 bytes",
            "≤ 512 B",
            unit="B",
            note="what all processes of the system hold more than before, clients included",
        ),
        Row("list-1000", "list a page of 1,000 of them", "≤ 2 ms"),
    ),
    _objects,
)

OBJECTS = Family(
    "growth",
    "A million objects",
    (_OBJECTS,),
    fresh=True,
    systems=("ours", "v6d", "ray", "lmdb", "redis", "pickle_shm"),
    rounds=2,
)

SHAPES = Family(
    "shapes",
    "Many parts",
    (
        _shape("columns", "columns:", 10_000, 20, "a frame of 10,000 columns, 10 rows"),
        _shape("members", "members:", 100_000, 20, "a dict of 100,000 arrays of 8 bytes"),
    ),
    size=1 * GIB,
    systems=("ours", "v6d", "ray", "lmdb", "redis", "pickle_shm", "arrow"),
    rounds=3,
)

VOLUMES = Family(
    "volumes",
    "Many volumes",
    (
        Measure(
            (
                *(
                    Row(
                        f"{what}-volumes-{n}",
                        f"{what} 100 bytes, with {n} volume{'s' if n > 1 else ''}",
                    )
                    for n in (1, 10, 100)
                    for what in ("put", "get")
                ),
                Row("memory-volumes-100", "memory of an instance with 100 volumes", unit="B"),
            ),
            _volumes,
        ),
    ),
    size=1 * GIB,
    fresh=True,
    systems=("ours",),
    rounds=3,
)
