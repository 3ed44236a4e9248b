# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Puts and gets of three data frames, beside copying the same bytes.

* ``houses``: 81 mixed columns of 1,460 rows: numbers, numbers with gaps, texts, categories;
* ``floats``: 10 columns of 10,000,000 floats in one block (800 MB);
* ``events``: 1,000,000 rows of texts (Arrow-backed), categories, datetimes with a time zone, and
  numbers with NaN and with gaps.

Each is put into an instance of the benchmark's own, twice, and got by another process: one is to
wake that up, the other is timed; it never was mapped there before. Beside each put: memcpy of the same
buffers into fresh memory by one thread. The times are medians; the ratio says how fast a put is where
memcpy is 1. The result also goes to build/bench/data_frames.json.

Usage: data_frames.py [--rows-of-floats=N] [--repeat=N]
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import vineyard
from vineyard.codecs import encode
from vineyard.launching import Instance

ROOT = Path(__file__).resolve().parent.parent
HUGE = 1 << 21

#: Gets objects that it never had, as many as a line names; prints the seconds of the last.
READER = """
import sys, time, pandas as pd, vineyard
client = vineyard.connect(sys.argv[1])
for line in sys.stdin:
    for number in line.split():
        object_id = vineyard.ObjectID(int(number))
        begin = time.perf_counter()
        frame = client.get(object_id)
        taken = time.perf_counter() - begin
    part = frame.iloc[:: len(frame) // 1000]
    print(repr(taken), int(pd.util.hash_pandas_object(part).sum()), flush=True)
    del frame, part
"""


def houses() -> pd.DataFrame:
    """81 mixed columns of 1,460 rows, in no order of their types."""
    rows = 1460
    random = np.random.default_rng(1)
    words = np.array(["TA", "Gd", "Fa", "Unfinished", "None at all"], object)
    columns = {}
    for i in range(81):
        if i < 30:
            column = random.integers(0, 10_000, rows)
        elif i < 41:
            column = np.where(random.random(rows) < 0.1, np.nan, random.random(rows))
        elif i < 75:
            gaps = random.random(rows) < (0.2 if i % 2 else 0)
            column = pd.Series(np.where(gaps, None, random.choice(words, rows)))
            column = column.astype("string[pyarrow]")
        else:
            column = pd.Categorical(random.choice(words, rows))
        columns[f"column {i}"] = column
    return pd.DataFrame({k: columns[k] for k in random.permutation(list(columns))})


def floats(rows: int) -> pd.DataFrame:
    """10 columns in one block."""
    return pd.DataFrame(np.random.default_rng(2).random((10, rows)).T)


def events() -> pd.DataFrame:
    """1,000,000 rows of a bit of everything."""
    rows = 1_000_000
    random = np.random.default_rng(3)
    codes = random.integers(0, 50, rows)
    users = pd.Series(random.integers(0, 100_000, rows)).astype(str).radd("user-")
    return pd.DataFrame(
        {
            "at": pd.date_range("2026-01-01", periods=rows, freq="s", tz="Europe/Berlin"),
            "user": users.astype("string[pyarrow]"),
            "kind": pd.Categorical.from_codes(codes, [f"kind {i}" for i in range(50)]),
            "amount": np.where(codes < 5, np.nan, random.random(rows)),
            "price": random.random(rows),
            "count": pd.array(codes, dtype="Int64"),
            "seen": pd.to_datetime(random.integers(0, 2**60, rows)),
            "text": users.where(codes != 7).astype("string[pyarrow]"),
        }
    )


def copied(buffers: list[np.ndarray]) -> float:
    """Seconds that copying the buffers into fresh memory takes; of huge pages, where there are any."""
    size = sum(b.nbytes for b in buffers) + 64 * len(buffers)
    begin = time.perf_counter()
    with mmap.mmap(-1, max(size + HUGE, 1)) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        target = np.frombuffer(memory, np.uint8)
        at = 0
        for buffer in buffers:
            np.copyto(target[at : at + buffer.nbytes], buffer)
            at += buffer.nbytes
        taken = time.perf_counter() - begin
        del target
    return taken


def flat(buffer: object) -> np.ndarray:
    """The bytes of a buffer."""
    return np.frombuffer(memoryview(buffer).cast("B"), np.uint8)


def checksum(frame: pd.DataFrame) -> int:
    """Of some thousand rows."""
    return int(pd.util.hash_pandas_object(frame.iloc[:: len(frame) // 1000]).sum())


def measure(
    client: vineyard.Client, reader: subprocess.Popen[str], frame: pd.DataFrame, repeat: int
) -> dict[str, float]:
    """Puts, copies and gets of a frame, `repeat` times in turn."""
    buffers = [flat(b) for b in encode(frame)[2]]
    expected = checksum(frame)
    puts, copies, gets = [], [], []
    for _ in range(repeat):
        ids = []
        for _ in range(2):
            begin = time.perf_counter()
            ids.append(client.put(frame))
            puts.append(time.perf_counter() - begin)
            copies.append(copied(buffers))
        reader.stdin.write(" ".join(str(int(i)) for i in ids) + "\n")
        reader.stdin.flush()
        taken, found = reader.stdout.readline().split()
        gets.append(float(taken))
        assert int(found) == expected, "the frame came back otherwise"
        client.delete(ids)
    put, copy = statistics.median(puts), statistics.median(copies)
    return {
        "bytes": sum(b.nbytes for b in buffers),
        "put_ms": put * 1e3,
        "memcpy_ms": copy * 1e3,
        "put_over_memcpy": copy / put,
        "get_ms": statistics.median(gets) * 1e3,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows-of-floats", type=int, default=10_000_000, metavar="N")
    parser.add_argument("--repeat", type=int, default=9, metavar="N")
    options = parser.parse_args()
    frames = {"houses": houses(), "floats": floats(options.rows_of_floats), "events": events()}
    result: dict[str, object] = {"load": os.getloadavg()[0]}
    instance = Instance.start(size="4Gi", exit_with=os.getpid())
    try:
        with (
            vineyard.connect(instance.socket) as client,
            subprocess.Popen(
                [sys.executable, "-c", READER, instance.socket],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            ) as reader,
        ):
            print("frame         MiB    put ms  memcpy ms  put/memcpy    get ms")
            for name, frame in frames.items():
                row = measure(client, reader, frame, options.repeat)
                result[name] = row
                print(
                    f"{name:8} {row['bytes'] / 2**20:8.1f} {row['put_ms']:9.2f}"
                    f" {row['memcpy_ms']:10.2f} {row['put_over_memcpy']:11.2f} {row['get_ms']:9.2f}"
                )
            reader.stdin.close()
    finally:
        instance.stop()
    out = ROOT / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "data_frames.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
