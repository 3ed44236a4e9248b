# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""100,000 puts of 100 bytes by one process, then their gets by another, one client each.

Prints microseconds for each, beside one round trip over a unix socket between two sleeping
processes, measured before and after in the same run (what any request costs at least). The result
also goes to build/bench/small_objects.json.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNT = 100_000
BATCH = 10_000

WRITER = """
import sys, time, vineyard
client = vineyard.connect(sys.argv[1])
value = bytes(range(100))
count, batch = int(sys.argv[2]), int(sys.argv[3])
times, ids = [], []
for _ in range(count // batch):
    begin = time.perf_counter()
    for _ in range(batch):
        ids.append(client.put(value))
    times.append((time.perf_counter() - begin) / batch * 1e6)
print(" ".join(repr(t) for t in times))
print(" ".join(str(int(i)) for i in ids))
"""

READER = """
import sys, time, vineyard
client = vineyard.connect(sys.argv[1])
ids = [vineyard.ObjectID(int(i)) for i in sys.stdin.read().split()]
batch = int(sys.argv[3])
value = bytes(range(100))
times = []
for first in range(0, len(ids), batch):
    part = ids[first:first + batch]
    begin = time.perf_counter()
    for i in part:
        got = client.get(i)
    times.append((time.perf_counter() - begin) / batch * 1e6)
    assert got == value
print(" ".join(repr(t) for t in times))
"""


def round_trip(build: Path) -> float:
    """Microseconds of one round trip between two sleeping processes."""
    done = subprocess.run([build / "benchmarks/round_trip"], check=True, capture_output=True)
    return float(done.stdout)


def run_python(code: str, socket: str, **kwargs: object) -> list[str]:
    """Runs a step as a process of its own; its lines of output."""
    command = [sys.executable, "-c", code, socket, str(COUNT), str(BATCH)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **kwargs)
    return done.stdout.splitlines()


def main() -> int:
    build = ROOT / "build/release"
    with tempfile.TemporaryDirectory(prefix="vineyard-bench-") as folder:
        socket = f"{folder}/vineyard.sock"
        daemon = subprocess.Popen(
            [build / "bin/vineyardd", f"--socket={socket}", "--size=1Gi", "--log_level=warning"]
        )
        try:
            while not os.path.exists(socket):
                time.sleep(0.01)
            trips = [round_trip(build)]
            lines = run_python(WRITER, socket)
            puts = [float(t) for t in lines[0].split()]
            trips.append(round_trip(build))
            gets = [float(t) for t in run_python(READER, socket, input=lines[1])[0].split()]
            trips.append(round_trip(build))
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()
    result = {
        "round_trip_us": statistics.median(trips),
        "put_us": statistics.median(puts),
        "get_us": statistics.median(gets),
        "put_over_round_trip_us": statistics.median(puts) - statistics.median(trips),
        "count": COUNT,
    }
    print(f"round trip, sleeping processes {result['round_trip_us']:6.2f} us")
    print(f"put of 100 bytes               {result['put_us']:6.2f} us")
    print(f"get of 100 bytes               {result['get_us']:6.2f} us")
    out = ROOT / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "small_objects.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
