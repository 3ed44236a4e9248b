# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrays of `client.empty` beside ordinary ones: to allocate, fill, put, put again, and write to.

In turn, in one run: memcpy of the bytes into fresh memory by one thread; an ordinary array that is
allocated, filled and put; one of `empty` that is. Both kinds are put a second time unchanged, then
all of them is written to, which after a put in place copies each page. Medians in milliseconds, which
also go to build/bench/arrays_in_store.json.

Usage: arrays_in_store.py [--mib=256] [--repeat=9]
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import vineyard
from vineyard.launching import Instance

ROOT = Path(__file__).resolve().parent.parent
HUGE = 1 << 21
STEPS = ("allocate", "fill", "put", "in all", "put again", "write to")

Times = dict[tuple[str, str], list[float]]


@contextmanager
def timed(times: Times, kind: str, step: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    times[kind, step].append((time.perf_counter() - begin) * 1e3)


def copy(times: Times, source: np.ndarray) -> None:
    """Into fresh memory; of huge pages, where there are any."""
    with timed(times, "memcpy", "in all"), mmap.mmap(-1, source.nbytes + HUGE) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        target = np.frombuffer(memory, np.float64, source.size)
        np.copyto(target, source)
        del target


def use(
    times: Times,
    kind: str,
    client: vineyard.Client,
    allocate: Callable[[int], np.ndarray],
    source: np.ndarray,
) -> None:
    with timed(times, kind, "in all"):
        with timed(times, kind, "allocate"):
            array = allocate(source.size)
        with timed(times, kind, "fill"):
            np.copyto(array, source)
        with timed(times, kind, "put"):
            ref = client.put(array, copy=False)
    with timed(times, kind, "put again"):
        again = client.put(array, copy=False)
    with timed(times, kind, "write to"):
        array += 1
    got = client.get(ref)
    assert got[0] == source[0]
    assert got[-1] == source[-1]
    assert array[-1] == source[-1] + 1
    del array, got
    client.delete([ref, again])


def measure(client: vineyard.Client, count: int, repeat: int) -> dict[str, dict[str, float]]:
    source = np.random.default_rng(1).random(count)
    times: Times = defaultdict(list)
    for _ in range(repeat):
        copy(times, source)
        for kind, allocate in (("ordinary", np.empty), ("in store", client.empty)):
            use(times, kind, client, allocate, source)
            time.sleep(0.3)  # its memory is being closed, and made for the next
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    for (kind, step), taken in times.items():
        rows[kind][step] = statistics.median(taken)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=256, metavar="N")
    parser.add_argument("--repeat", type=int, default=9, metavar="N")
    options = parser.parse_args()
    instance = Instance.start(size=f"{options.mib * 5 + 64}Mi", exit_with=os.getpid())
    try:
        with vineyard.connect(instance.socket) as client:
            rows = measure(client, (options.mib << 20) // 8, options.repeat)
    finally:
        instance.stop()
    print(f"{options.mib} MiB, ms  " + "".join(f"{step:>11}" for step in STEPS))
    for kind, row in rows.items():
        print(f"{kind:12} " + "".join(f"{row[s]:11.2f}" if s in row else " " * 11 for s in STEPS))
    out = ROOT / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    result = {"load": os.getloadavg()[0], "mib": options.mib, "rows": rows}
    (out / "arrays_in_store.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
