# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Ordinary numpy and pandas work, timed in a worker process: with numpy's allocations from the store, or not.

Which way, is a worker's for good (`work`): numpy's allocator is the whole process's.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from side_by_side.steps import Clock, Samples

if TYPE_CHECKING:
    from side_by_side.peers.peer import Client

#: Samples that are taken even if a task lasts long.
FEWEST = 3


class Inputs:
    """What the work is done on: arrays `a` and `b` of `size` bytes, and frames of about as much."""

    def __init__(self, size: int) -> None:
        import pandas as pd

        random = np.random.default_rng(0)
        self.length = size // 8
        self.a, self.b = random.random(self.length), random.random(self.length)
        rows = self.length // 4
        numbers = {"key": random.integers(0, 1000, rows), "x": random.random(rows)}
        self.frame = pd.DataFrame(numbers | {"y": random.random(rows)})
        self.frame["z"] = self.frame["x"] * 2
        self.other = pd.DataFrame({"key": np.arange(1000), "weight": random.random(1000)})


def _chain(of: Inputs) -> Any:
    t = of.a * 2.0
    t = t + of.b
    t = np.sqrt(t)
    return t - of.a


def _forks(of: Inputs) -> Any:
    """Four children read what they inherit, while the parent writes to it."""
    mine = of.a.copy()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            well = False
            try:
                well = bool(mine.sum() > 0)
            finally:
                os._exit(0 if well else 1)
        children.append(pid)
        mine[: of.length // 8] += 1
    ends = [os.waitpid(pid, 0)[1] for pid in children]
    if any(ends):
        raise ChildProcessError(f"children ended with the states {ends}")
    return mine


#: Name -> what it does, in a table's words, and how.
TASKS: dict[str, tuple[str, Callable[[Inputs], Any]]] = {
    "ones": ("`np.ones`", lambda of: np.ones(of.length)),
    "zeros": ("`np.zeros`, and filled", lambda of: np.add(np.zeros(of.length), 1)),
    "add": ("`a + b`", lambda of: of.a + of.b),
    "chain": ("`sqrt(a * 2 + b) - a`, step by step", _chain),
    "copy": ("`a.copy()`", lambda of: of.a.copy()),
    "sort": ("`np.sort(a)`", lambda of: np.sort(of.a)),
    "filter": ("`a[a > 0.5]`", lambda of: of.a[of.a > 0.5]),
    "frame-copy": ("`frame.copy()`", lambda of: of.frame.copy()),
    "frame-times": ("`frame * 2`", lambda of: of.frame * 2),
    "frame-filter": ("`frame[frame.x > 0.2]`", lambda of: of.frame[of.frame["x"] > 0.2]),
    "transform": (
        "`frame.groupby('key').transform('mean')`",
        lambda of: of.frame.groupby("key").transform("mean"),
    ),
    "group": ("`frame.groupby('key').sum()`", lambda of: of.frame.groupby("key").sum()),
    "frame-sort": ("`frame.sort_values('x')`", lambda of: of.frame.sort_values("x")),
    "merge": ("`frame.merge(other, on='key')`", lambda of: of.frame.merge(of.other, on="key")),
    "forks": ("`a.copy()`, 4 forks that read it, and writing to it meanwhile", _forks),
}


_inputs = lru_cache(maxsize=1)(Inputs)


def work(
    client: Client, way: str, task: str, size: int, count: int, pause: float
) -> tuple[Samples, int, int]:
    """Do a task `count` times, after once without the clock.

    Parameters
    ----------
    way : str
        ``numpy``: with numpy's own allocator. ``reused``: in memory of the store, of which the process
        has some at hand that it has freed. ``first``: in memory of the store that it never had
        before. ``put``: like that, and the result is put, and the put counts.
    task : str
        One of `TASKS`.
    size : int
        Bytes of each array.
    pause : float
        Seconds in which the instance can make memory ready for the next.

    Returns
    -------
    samples : list of float
    digest : int
        Of the result; of what came back, where it was put.
    declined : int
        How many arrays were ordinary memory, since the store had none for them.
    """
    memory = None if way == "numpy" else client.allocator()
    of, make = _inputs(size), TASKS[task][1]
    declined = memory.declined if memory else 0
    samples = Samples()
    digest = 0
    clock = Clock(pause * count)
    for number in range(count + 1):
        if memory and way != "reused":
            memory.give_back()
            time.sleep(pause)
        begin = time.perf_counter()
        result = make(of)
        key = client.put(result) if way == "put" else None
        taken = time.perf_counter() - begin
        if number == 0:
            digest = digest_of(result if key is None else client.get(key))
        else:
            samples.append(taken)
        del result
        if key is not None:
            client.delete([key])
        if len(samples) >= FEWEST and clock.over():
            break
    if memory:
        declined = memory.declined - declined
        memory.give_back()
        time.sleep(2 * pause)  # else it would go on in the next one's time
    return samples, digest, declined


def digest_of(value: Any) -> int:
    """Return a number that is the same for the same elements."""
    if isinstance(value, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(value).data.cast("B"))
    digest = 0
    for name in value.columns:
        column = np.ascontiguousarray(value[name].to_numpy())
        digest = zlib.crc32(column.data.cast("B"), digest)
    return digest
