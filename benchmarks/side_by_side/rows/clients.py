# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Several processes at once: how many calls a second all of them make together."""

from __future__ import annotations

import time

from side_by_side.rows.family import Family, Found, Measure, Row, Turn
from side_by_side.session import run_all

_VALUE = "bytes:100"


def _measure(what: str, clients: int, goal: str) -> Measure:
    def run(turn: Turn) -> Found:
        workers = turn.session.consumers_of(clients)
        _, keys = turn.producer.run("put", value=_VALUE, count=50, batch=50)
        # A moment in which all have been told; the clock of the machine is the same for each.
        arguments = {"start": time.time() + 0.1, "seconds": 0.5 if not turn.scale.quick else 0.02}
        arguments |= {"value": _VALUE} | ({"keys": keys} if what == "get" else {})
        rates = run_all(workers, "throughput", [arguments] * clients)
        yield f"{what}-by-{clients}", [sum(rates)]
        turn.verify(keys, _VALUE)
        turn.delete(keys)

    many = f"{clients} processes" if clients > 1 else "one process"
    row = Row(
        f"{what}-by-{clients}",
        f"{what}s of 100 bytes a second by {many}",
        goal,
        unit="/s",
        better="more",
        picture=clients in (1, 2),
        note="more processes than cores share them" if clients == 8 else "",
    )
    return Measure((row,), run)


FAMILY = Family(
    "clients",
    "Several clients",
    (
        *(_measure("get", n, "≥ 1.7 × one's" if n == 2 else "") for n in (1, 2, 4, 8)),
        *(_measure("put", n, "no lower than one's" if n == 2 else "") for n in (1, 2, 4, 8)),
    ),
    systems=("ours", "v6d", "ray", "lmdb", "redis", "pickle_shm", "shm"),
)
