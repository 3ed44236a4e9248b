# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Changes stored values so that they lie: in their JSON where it means something, and in their bytes."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Sequence
from typing import Any

from corpus import Stored

_NUMBERS = [
    *(-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 8, 9, 11, 12, 13, 63, 64, 127, 128, 255, 256),
    *(2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**61, 2**62, 2**63 - 1, 2**63, 10**30),
]
_TEXTS = ["", "x", "\0", "é\ud800", "O", "|O8", "V0", "M8", "<U4", "pickle", "ref", "+l", "vu", "Z"]
_OTHERS = [
    None,
    True,
    False,
    0.5,
    1e300,
    [],
    {},
    [0],
    [[]],
    {"codec": "ref", "id": 0},
    {"codec": 7},
]


class Mutator:
    """Draws changed values; the same of the same random numbers."""

    def __init__(self, values: Sequence[Stored]) -> None:
        self._values = values
        self._nodes = [part for value in values for part, _, _ in _places(json.loads(value[1]))]
        self._texts = sorted({n for n in self._nodes if isinstance(n, str)}) + _TEXTS

    def changed(self, rng: random.Random) -> Stored:
        """One of the values, with some lies in it."""
        typename, metadata, buffers = rng.choice(self._values)
        buffers = list(buffers)
        node = json.loads(metadata)
        for _ in range(rng.choice([1, 1, 1, 2, 3, 5])):
            if buffers and rng.random() < 0.35:
                self._change_buffer(rng, buffers)
            else:
                self._change_node(rng, node)
        if rng.random() < 0.05:
            typename = rng.choice(self._values)[0]
        text = json.dumps(node)
        if rng.random() < 0.02:
            at = rng.randrange(len(text))
            text = (
                text[:at] + rng.choice(["", "{", "[", '"', "9" * 400, "[" * 5000]) + text[at + 1 :]
            )
        return typename, text, buffers

    def _change_node(self, rng: random.Random, root: Any) -> None:
        places = [place for place in _places(root) if place[1] is not None]
        if not places:
            return
        old, parent, key = rng.choice(places)
        way = rng.random()
        if way < 0.1:
            del parent[key]
        elif way < 0.15 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(old))
        elif way < 0.3:
            parent[key] = copy.deepcopy(rng.choice(self._nodes))
        elif way < 0.4:
            other = rng.choice(places)[0] if rng.random() < 0.5 else rng.choice(_OTHERS)
            parent[key] = copy.deepcopy(other)  # never a part of itself
        else:
            parent[key] = self._like(rng, old)

    def _like(self, rng: random.Random, old: Any) -> Any:
        """Another value of the same JSON type, near the old one or at some limit."""
        if type(old) is int:
            near = old + rng.choice([-1, 1, 8, -8])
            return rng.choice([near, near, old * 2, -old, rng.choice(_NUMBERS)])
        if isinstance(old, str):
            return rng.choice(
                [rng.choice(self._texts), old[:-1], old + rng.choice("x0,:<"), old.swapcase()]
            )
        if isinstance(old, list) and old:
            return rng.choice(
                [
                    old[::-1],
                    old[1:],
                    old + copy.deepcopy(old[-1:]),
                    copy.deepcopy(old) + old,
                    rng.sample(old, len(old)),
                ]
            )
        if isinstance(old, dict):
            return {
                **old,
                rng.choice(["version", "v", "id", "codec", "buffer"]): rng.choice(_NUMBERS),
            }
        return rng.choice([*_NUMBERS, *_OTHERS])

    def _change_buffer(self, rng: random.Random, buffers: list[bytes]) -> None:
        i = rng.randrange(len(buffers))
        data = bytearray(buffers[i])
        way = rng.random()
        if way < 0.2:
            data = data[: rng.randrange(len(data) + 1)]
        elif way < 0.3:
            data += rng.randbytes(rng.choice([1, 7, 8, 64]))
        elif way < 0.4:
            data = bytearray(rng.choice(buffers))
        elif data:
            for _ in range(rng.choice([1, 1, 2, 8])):
                code = rng.choice("bBhHiIqQfd")
                size = struct.calcsize(code)
                at = rng.randrange(len(data)) // size * size
                if at + size > len(data):
                    continue
                low = 0 if code.isupper() else -(1 << (size * 8 - 1))
                number = min(
                    max(rng.choice(_NUMBERS), low), -low - 1 if low else (1 << size * 8) - 1
                )
                some = struct.pack(code, number) if code not in "fd" else rng.randbytes(size)
                data[at : at + size] = some
        buffers[i] = bytes(data)


def _places(root: Any) -> list[tuple[Any, Any, Any]]:
    """All parts of some JSON, with what holds each and under which key."""
    found, todo = [], [(root, None, None)]
    while todo:
        place = todo.pop()
        found.append(place)
        part = place[0]
        if isinstance(part, dict):
            todo += [(inner, part, key) for key, inner in part.items()]
        elif isinstance(part, list):
            todo += [(inner, part, i) for i, inner in enumerate(part)]
    return found
