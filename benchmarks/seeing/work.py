# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A program that works with the store, as it is told: `python -m seeing.work SOCKET`.

A line ``put SIZE COUNT`` or ``get SIZE COUNT`` is answered by a line with the seconds that it took.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import vineyard
from side_by_side import processes

from seeing.instance import environment

#: Bytes and objects that puts leave before they are deleted together.
_MOST_BYTES = 64 << 20
_MOST_OBJECTS = 1000
_GOT = 100  # objects that gets go round


class Worker:
    """The process, seen from the driver."""

    def __init__(self, socket: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "seeing.work", socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, step: str, size: int, count: int) -> float:
        """Have it put or get so many; returns the seconds that it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{step} {size} {count}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _put(client: vineyard.Client, size: int, count: int) -> None:
    value = np.zeros(size, dtype=np.uint8)
    most = max(1, min(_MOST_OBJECTS, _MOST_BYTES // size))
    keys = []
    for _ in range(count):
        keys.append(client.put(value))
        if len(keys) == most:
            client.delete(keys)
            keys.clear()
    if keys:
        client.delete(keys)


def _getter(client: vineyard.Client) -> Callable[[int, int], None]:
    there: dict[int, list[vineyard.ObjectID]] = {}

    def get(size: int, count: int) -> None:
        if size not in there:
            for keys in there.values():
                client.delete(keys)
            there.clear()
            objects = max(1, min(_GOT, _MOST_BYTES // size))
            there[size] = [client.put(np.zeros(size, dtype=np.uint8)) for _ in range(objects)]
        keys = there[size]
        for number in range(count):
            client.get(keys[number % len(keys)])

    return get


def main(socket: str) -> None:
    """Do what the lines say, until there are no more."""
    with vineyard.connect(socket, progress=False) as client:
        get = _getter(client)
        for line in sys.stdin:
            step, size, count = line.split()
            begun = time.perf_counter()
            if step == "put":
                _put(client, int(size), int(count))
            else:
                get(int(size), int(count))
            print(time.perf_counter() - begun, flush=True)


if __name__ == "__main__":
    processes.die_with_parent()
    main(sys.argv[1])
