#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What numpy's allocations from the store cost and gain: the same work with and without the allocator.

For each piece of work, the time with numpy's own allocator, and with the store's as a multiple of it, less is
better, in three columns:

    reused  memory that the program has freed before serves again
    first   every array is given memory that it never had before
    put     every result is put, and the put counts (first use, too: what is put can't be used again)

Each column is a process of its own. The processes take turns, so that what else the machine does meets them
alike; shown is the median of the rounds' ratios, with the smallest and the largest.

Usage: allocator.py [--mib 100] [--rounds 5] [--large] [--json FILE]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

COLUMNS = ["numpy", "reused", "first", "put"]
REPEATS = 7


# ---- the work, in a process of its own


def works(mib):
    """Name -> (a function that makes a result, its input is made once)."""
    import numpy as np
    import pandas as pd

    n = (mib << 20) // 8
    rng = np.random.default_rng(0)
    a, b = rng.random(n), rng.random(n)
    rows = n // 4
    frame = pd.DataFrame(
        {"key": rng.integers(0, 1000, rows), "x": rng.random(rows), "y": rng.random(rows)}
    )
    frame["z"] = frame["x"] * 2
    other = pd.DataFrame({"key": np.arange(1000), "weight": rng.random(1000)})

    def chain():
        t = a * 2.0
        t = t + b
        t = np.sqrt(t)
        return t - a

    def fork():
        """Four children that read what they inherit, while the parent writes to its copy."""
        mine = a.copy()
        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if mine.sum() > 0 else 1)
            children.append(pid)
            mine[: n // 8] += 1
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        return mine

    return {
        "np.ones": lambda: np.ones(n),
        "np.zeros, filled": lambda: np.add(np.zeros(n), 1),
        "a + b": lambda: a + b,
        "a * 2 + b, sqrt, - a": chain,
        "a.copy()": a.copy,
        "np.sort(a)": lambda: np.sort(a),
        "a[a > 0.5]": lambda: a[a > 0.5],
        "frame.copy()": frame.copy,
        "frame * 2": lambda: frame * 2,
        "frame[frame.x > 0.2]": lambda: frame[frame["x"] > 0.2],
        "frame.groupby.transform": lambda: frame.groupby("key").transform("mean"),
        "frame.groupby.sum": lambda: frame.groupby("key").sum(),
        "frame.sort_values": lambda: frame.sort_values("x"),
        "frame.merge": lambda: frame.merge(other, on="key"),
        "4 forks, and writing": fork,
    }


def work(column, mib, socket):
    """Prints the seconds of each piece of work: medians of some repeats."""
    import vineyard

    client = vineyard.connect(socket)
    memory = None
    if column != "numpy":
        assert vineyard.enable_allocator(client, limit=1 << 40)
        memory = vineyard.allocating.enabled_allocator()
    seconds = {}
    for name, make in works(mib).items():
        times = []
        for repeat in range(REPEATS + 1):
            if column in ("first", "put") and memory is not None:
                memory.give_back()
                time.sleep(0.05)  # the instance makes ready what it has got back
            start = time.perf_counter()
            result = make()
            ref = client.put(result) if column == "put" else None
            took = time.perf_counter() - start
            del result
            if ref is not None:
                client.delete(ref)
            if repeat > 0:
                times.append(took)
        seconds[name] = statistics.median(times)
    counts = {} if memory is None else {"declined": memory.declined}
    print(json.dumps({"seconds": seconds, **counts}))


def put_times(mib, repeats, socket):
    """Prints the seconds of puts of an array and of a frame that were allocated in the store."""
    import numpy as np
    import pandas as pd
    import vineyard

    client = vineyard.connect(socket)
    times = {"array": [], "frame": []}
    held = client.status.memory_held + (64 << 20)
    with vineyard.allocator(client, limit=1 << 40) as memory:
        for number in range(repeats + 1):
            for kind, kept in times.items():
                array = np.full((4, (mib << 17) // 4), float(number))
                value = array if kind == "array" else pd.DataFrame(array.T, copy=False)
                start = time.perf_counter()
                ref = client.put(value)
                if number > 0:
                    kept.append(time.perf_counter() - start)
                client.delete(ref)
                del array, value
                while (
                    client.status.memory_held > held
                ):  # what was deleted is closed behind our back
                    time.sleep(0.01)
    assert memory.declined == 0, "the store had too little memory"
    print(json.dumps(times))


# ---- the comparison


def run(*arguments):
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare(mib, rounds, socket):
    seconds = {column: [] for column in COLUMNS}
    for number in range(rounds):
        turn = COLUMNS[number % len(COLUMNS) :] + COLUMNS[: number % len(COLUMNS)]
        for column in turn:
            said = run("--work", column, "--mib", mib, "--socket", socket)
            seconds[column].append(said["seconds"])
            if said.get("declined"):
                print(f"{column}: {said['declined']} arrays were declined", file=sys.stderr)
    table = {}
    for name in seconds["numpy"][0]:
        row = {"numpy_ms": statistics.median(s[name] for s in seconds["numpy"]) * 1e3}
        for column in COLUMNS[1:]:
            pairs = zip(seconds[column], seconds["numpy"], strict=True)
            ratios = sorted(ours[name] / theirs[name] for ours, theirs in pairs)
            row[column] = [statistics.median(ratios), ratios[0], ratios[-1]]
        table[name] = row
    return table


def show(table):
    print(f"{'':26}{'numpy ms':>10}   " + "".join(f"{c:^22}" for c in COLUMNS[1:]))
    for name, row in table.items():
        cells = "".join(
            "{:>7.2f} ({:.2f}-{:.2f})".format(*row[column]).center(22) for column in COLUMNS[1:]
        )
        print(f"{name:26}{row['numpy_ms']:>10.1f}   {cells}")
    medians = [statistics.median(row[c][0] for row in table.values()) for c in COLUMNS[1:]]
    print(f"{'median':26}{'':>10}   " + "".join(f"{m:.2f}".center(22) for m in medians))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=100, help="size of the arrays")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also put 8 GiB (needs 11 GiB)")
    parser.add_argument("--json", help="also write the figures here")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--put", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--socket", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args.work, args.mib, args.socket)
    if args.put:
        return put_times(args.put, args.rounds, args.socket)

    from vineyard.launching import Instance

    size = max(11 if args.large else 6, args.mib * 24 >> 10)
    instance = Instance.start(size=f"{size}Gi", exit_with=os.getpid())
    try:
        table = compare(args.mib, args.rounds, instance.socket)
        print(f"{args.mib} MiB, times of numpy's own allocator; less is better")
        show(table)
        puts = {}
        for mib in [64, 1024] + [8192] * args.large:
            puts[mib] = run(
                "--put", mib, "--rounds", 9 if mib < 8192 else 2, "--socket", instance.socket
            )
            for kind, times in puts[mib].items():
                print(
                    f"put of {mib} MiB allocated in the store, {kind}: {statistics.median(times) * 1e3:.2f} ms "
                    f"({min(times) * 1e3:.2f}-{max(times) * 1e3:.2f})"
                )
    finally:
        instance.stop()
    if args.json:
        with open(args.json, "w") as out:
            json.dump({"mib": args.mib, "work": table, "put": puts}, out, indent=1)
    return None


if __name__ == "__main__":
    sys.exit(main())
