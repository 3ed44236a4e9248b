# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""An instance by itself: how soon it answers, what it holds and does while nobody asks."""

from __future__ import annotations

import time

from side_by_side import processes
from side_by_side.peers.peer import CannotDo
from side_by_side.rows.family import GIB, Family, Found, Measure, Row, Turn


def _instance(turn: Turn) -> Found:
    roots = turn.session.server.roots()
    if not roots:
        raise CannotDo("has no process of its own")
    (first,), keys = turn.producer.run("put", value="bytes:100", count=1)
    yield "start", [turn.session.seconds + turn.producer.seconds + first]
    turn.verify(keys, "bytes:100")
    turn.delete(keys)
    time.sleep(2.0 if not turn.scale.quick else 0.01)
    yield "idle-memory", [float(turn.session.memory(workers=False))]
    seconds = 4.0 if not turn.scale.quick else 0.05
    before = processes.switches_of(roots)
    time.sleep(seconds)
    yield "idle-wakeups", [(processes.switches_of(roots) - before) / seconds]


FAMILY = Family(
    "instance",
    "An instance by itself",
    (
        Measure(
            (
                Row(
                    "start",
                    "from starting the server to the first answered put",
                    "≤ 50 ms",
                    note="the server, then connecting, then a put of 100 bytes; not the client's "
                    "interpreter and imports",
                ),
                Row(
                    "idle-memory",
                    "memory of the server with nothing stored",
                    "≤ 20 MiB",
                    unit="B",
                    note="private and shared memory of its processes, each page once",
                ),
                Row("idle-wakeups", "wake-ups a second while idle", "0", unit="1"),
            ),
            _instance,
        ),
    ),
    size=1 * GIB,
    fresh=True,
    systems=("ours", "v6d", "ray", "redis"),
    rounds=3,
)
