# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One gigabyte: in a fresh instance, after a delete, and back to back."""

from __future__ import annotations

from side_by_side.rows.family import GIB, Family, Found, Measure, Row, Turn

_LIMITS = ("memcpy", "memcpy_fresh")


def _large(turn: Turn) -> Found:
    value = f"array:{turn.scale.size(GIB)}"
    turn.need(4 * turn.scale.size(GIB))
    samples, keys = turn.producer.run("put", value=value, count=1)
    yield "put-1gib-fresh", samples
    turn.verify(keys, value)
    turn.delete(keys)
    pause = 1.0 if not turn.scale.quick else 0.01
    yield "put-1gib-again", turn.producer.run("put_over", value=value, count=3, pause=pause)
    yield "put-1gib-sustained", turn.producer.run("put_over", value=value, count=3)


FAMILY = Family(
    "large",
    "One gigabyte",
    (
        Measure(
            (
                Row(
                    "put-1gib-fresh",
                    "put 1 GiB, the first into a fresh instance",
                    "≤ 0.35 × Ray's, ≥ 0.9 of memcpy into fresh pages",
                    limits=_LIMITS,
                    note="memcpy into touched memory does less than any first put can",
                    picture=True,
                ),
                Row(
                    "put-1gib-again",
                    "put 1 GiB, one second after another was deleted",
                    "≥ 0.85 of memcpy, no slower than Ray",
                    limits=_LIMITS,
                    picture=True,
                ),
                Row(
                    "put-1gib-sustained",
                    "delete and put 1 GiB, back to back",
                    "≤ 0.6 × v6d's",
                    limits=_LIMITS,
                ),
            ),
            _large,
        ),
    ),
    size=3 * GIB,
    fresh=True,
    rounds=4,
)
