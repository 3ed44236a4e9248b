# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Measure how the time to read an input grows with its size, and what computing on it then costs.

Inputs are float64 tables from 100 MB to 4 GB. Each is written once over vineyard and once as a
pickle file in /dev/shm, and read by several fresh processes, which then compute on it: a single
pass over the numbers (a sum, the least that computing can be), and the matrix product that a linear
regression starts with. What is shared comes in page by page as it is touched, so that its price
shows in the first of these; a private copy has paid already when read returns.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from harness import machine
from harness.instance import REPOSITORY, Instance, InstanceError, find_vineyardd
from harness.sizes import format_bytes, format_seconds, parse_count
from harness.step import fail
from harness.stopwatch import Stopwatch
from transports import TRANSPORTS

WAYS = ("vineyard", "shm_pickle")
COLUMNS = 32
SIZES = "100M,250M,500M,1G,2G,4G"
HEADROOM = 2.3  # the file or store, and one private copy
EXAMPLE = "example: scale.py --sizes 100M,1G --repeats 7"


def parse_arguments() -> argparse.Namespace:
    """Read the command line; what it says wrong ends the program with a line and status 2."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--sizes", default=SIZES, help="bytes, with commas (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="readers of each input")
    parser.add_argument("--vineyardd", metavar="FILE", help="the server; default: the one built")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "demo", metavar="DIR")
    parser.add_argument("--ways", default=",".join(WAYS), help=argparse.SUPPRESS)
    parser.add_argument(
        "--be", nargs=4, metavar=("ROLE", "WAY", "PATH", "BYTES"), help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    try:
        args.sizes = [parse_count(text) for text in args.sizes.split(",")]
    except ValueError as error:
        parser.error(f"--sizes: {error}")
    if args.repeats < 1:
        parser.error(f"--repeats: {args.repeats} is less than 1")
    return args


# ---- what the processes that write and read do


def be(role: str, way: str, path: str, size: int) -> dict[str, Any]:
    """Write or read one input, in a process that does nothing else, and return what it took."""
    transport = TRANSPORTS[way]()
    transport.start(path)
    if role == "writer":
        numbers = make_input(size)
        with Stopwatch() as writing:
            transport.write(numbers, path)
        return {"write_s": writing.seconds}
    with Stopwatch() as reading:
        numbers = transport.read(path)
    faults = _page_faults()
    with Stopwatch() as passing:
        total = float(numbers.sum())
    faults = _page_faults() - faults
    with Stopwatch() as multiplying:
        product = numbers.T @ numbers
    return {
        "read_s": reading.seconds,
        "pass_s": passing.seconds,
        "product_s": multiplying.seconds,
        "first_use_s": passing.seconds + multiplying.seconds,
        "page_faults": faults,
        "result": [total.hex(), float(product.sum()).hex()],
    }


def make_input(size: int) -> np.ndarray:
    """Return about `size` bytes of float64, shape (rows, 32): one random block again and again."""
    rows = max(size // (8 * COLUMNS), 1)
    block = np.random.default_rng(13).standard_normal((min(rows, 65_536), COLUMNS))
    return np.resize(block, (rows, COLUMNS))


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


# ---- what the driver does


def measure(way: str, folder: Path, size: int, repeats: int) -> dict[str, Any]:
    """Write one input, have it read `repeats` times, and return the medians in seconds."""
    path = str(folder / f"input-{size}")
    written = _spawn("writer", way, path, size)
    reads = [_spawn("reader", way, path, size) for _ in range(repeats)]
    medians = {
        key: statistics.median(read[key] for read in reads)
        for key in ("read_s", "pass_s", "product_s", "first_use_s", "page_faults")
    }
    slowest = max(read["read_s"] for read in reads)
    return written | medians | {"read_slowest_s": slowest, "result": reads[0]["result"]}


def _spawn(role: str, way: str, path: str, size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--be", role, way, path, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise InstanceError(f"{way}: {role} of {format_bytes(size)}: {words[-1]}")
    return json.loads(done.stdout)


def measure_size(size: int, args: argparse.Namespace, server: Path | None) -> dict[str, Any]:
    """Measure one size each way, one after another, so that only one is in memory at a time."""
    ways = {}
    for way in args.ways:
        with ExitStack() as stack:
            if server and way == "vineyard":
                folder = stack.enter_context(Instance(server, int(size * 1.05))).volume
            else:
                prefix = "vineyard-flights-"
                made = tempfile.TemporaryDirectory(prefix=prefix, dir="/dev/shm")
                folder = Path(stack.enter_context(made))
            ways[way] = measure(way, folder, size, args.repeats)
    rest = {}
    if len(ways) == len(WAYS):
        own, other = (ways[way] for way in WAYS)
        rest = {
            f"{key}_ratio": own[f"{key}_s"] / other[f"{key}_s"]
            for key in ("pass", "product", "first_use")
        } | {"identical": own["result"] == other["result"]}
    return {"bytes": size, **ways, **rest}


def line(row: dict[str, Any]) -> str:
    """Write one size as a line of the table."""
    cells = [format_bytes(row["bytes"])]
    for key in ("read_s", "pass_s", "product_s"):
        cells += [format_seconds(row[way][key]) if way in row else "–" for way in WAYS]
        ratio = row.get(key.replace("_s", "_ratio"))
        if key != "read_s":
            cells.append(f"{ratio:.2f} x" if ratio else "–")
    return "  ".join(f"{cell:>9}" for cell in cells)


HEAD = "\n".join(
    "  ".join(f"{cell:>9}" for cell in cells)
    for cells in (
        ("", "read", "", "one", "pass", "", "matrix", "product", ""),
        ("input", "vineyard", "/dev/shm", "vineyard", "/dev/shm", "", "vineyard", "/dev/shm", ""),
    )
)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all sizes that there is room for, with a line for each, and return them."""
    server = find_vineyardd(args.vineyardd) if "vineyard" in args.ways else None
    rows = []
    print(HEAD)
    for size in args.sizes:
        room = min(
            machine.free_memory_bytes() / HEADROOM, machine.free_disk_bytes(Path("/dev/shm")) * 0.95
        )
        if size > room:
            print(
                f"scale: {format_bytes(size)} left out: there is room for {format_bytes(room)}",
                file=sys.stderr,
            )
            continue
        rows.append(measure_size(size, args, server))
        print(line(rows[-1]), flush=True)
    return rows


def main() -> None:
    args = parse_arguments()
    args.ways = [way for way in WAYS if way in args.ways.split(",")]
    if args.be:
        role, way, path, size = args.be
        print(json.dumps(be(role, way, path, int(size))))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        facts = machine.facts(args.output)
        rows = run(args)
        target = args.output / "scale.json"
        target.write_text(json.dumps({"machine": facts, "sizes": rows}, indent=2) + "\n")
    except KeyboardInterrupt:
        fail("scale: interrupted; what it had started has ended", status=130)
    except (InstanceError, OSError) as error:
        fail(f"scale: {error}")
    print(f"wrote {os.path.relpath(target)}")
    if not all(row.get("identical", True) for row in rows):
        fail("scale: the same computation gave different results on the two ways' arrays")


if __name__ == "__main__":
    main()
