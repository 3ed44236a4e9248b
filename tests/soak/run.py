#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Random operations by several processes on one instance, while engines and clients are killed.

In rounds: the workers (`soak.worker`) do some hundreds of operations each, and what they find differ from
their models ends the run. Between rounds, when nobody does anything, the store's lists must be the union of
the models, what the instance says of its memory must be what the kernel says, and its processes' memory
must stay within bounds. In the end everything is deleted, and memory must be where it began.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import vineyard
from vineyard.launching import Instance

MIB = 1 << 20
#: Bytes that an instance may have besides: tables, journals, rings, the programs themselves.
FIXED = 64 * MIB
#: Seconds in which memory that was given back may still be on its way.
SETTLING = 30.0


class Failure(Exception):
    """A promise was broken."""


class Process:
    """A worker, and the next one where that is killed."""

    def __init__(self, socket: str, number: int, seed: int, folder: Path) -> None:
        self.log = folder / f"worker-{number}.log"
        self._arguments = [socket, str(number), str(seed), str(self.log)]
        self.deaths = 0
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soak.worker", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def begin(self, operations: int) -> None:
        self._tell(operations)

    def _tell(self, operations: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has been killed, and has no answer
            self._process.stdin.write(f"{operations}\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def answer(self) -> dict:
        """Wait until it is done; where it was killed, start the next one and ask that."""
        while True:
            line = self._process.stdout.readline()
            if line:
                return json.loads(line)
            code = self._process.wait()
            if code != -signal.SIGKILL:
                raise Failure(
                    f"worker {self._arguments[1]} ended with {code}; its log is {self.log}"
                )
            self.deaths += 1
            self.close()
            self._start()
            self._tell(0)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):  # it had not read the last line
            self._process.stdin.close()
        self._process.stdout.close()


def engine_of(instance: Instance) -> int | None:
    keeper = instance.process.pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return int(children[0]) if children else None


def family(instance: Instance) -> Iterator[int]:
    """The instance's processes."""
    waiting = [instance.process.pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def kernel_memory(instance: Instance) -> tuple[int, int]:
    """Bytes of shared memory that its processes hold, each file once; and of their own memory."""
    files: dict[int, int] = {}
    private = 0
    for pid in family(instance):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(entry).startswith("/memfd:"):
                    status = entry.stat()
                    files[status.st_ino] = status.st_blocks * 512
            except OSError:
                continue  # closed meanwhile
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                private += int(line.split()[1]) * 1024
    return sum(files.values()), private


def check_disk(disk: Path) -> None:
    """That nothing of what was deleted is left there. Files are removed a little later."""
    end = time.monotonic() + SETTLING
    while left := [*disk.rglob("*.spill"), *disk.rglob("*.part"), *disk.rglob("damaged/*")]:
        if time.monotonic() > end:
            raise Failure(f"{len(left)} files are left on the disk: {left[:3]}")
        time.sleep(0.1)


class Soak:
    def __init__(self, options: argparse.Namespace, instance: Instance, folder: Path) -> None:
        self.options = options
        self.instance = instance
        self.random = random.Random(options.seed)
        self.client = vineyard.connect(instance.socket, progress=False)
        self.start = self.client.status.memory_usage
        seeds = [self.random.randrange(1, 1 << 20) for _ in range(options.clients)]
        self.workers = [
            Process(instance.socket, number, seed, folder) for number, seed in enumerate(seeds)
        ]
        self.engines = self.clients = self.full = 0
        self.worst = 0.0

    def run(self) -> None:
        left = self.options.operations
        begin = shown = time.monotonic()
        while left > 0:
            each = min(self.options.round, -(-left // len(self.workers)))
            left -= each * len(self.workers)
            self.check(self.round(each))
            if left > 0 and time.monotonic() - shown > 10:
                shown = time.monotonic()
                self.report(self.options.operations - left, shown - begin)
        self.report(self.options.operations, time.monotonic() - begin)
        self.finish()

    def round(self, operations: int) -> list[dict]:
        for worker in self.workers:
            worker.begin(operations)
        over = threading.Event()
        killer = threading.Thread(target=self._kill, args=(over,))
        killer.start()
        try:
            return [worker.answer() for worker in self.workers]
        finally:
            over.set()
            killer.join()

    def _kill(self, over: threading.Event) -> None:
        while not over.wait(self.random.expovariate(1 / self.options.pause)):
            if self.options.kill_clients and self.random.random() < 0.5:
                self.random.choice(self.workers).kill()
                self.clients += 1
            elif self.options.kill_engines and (engine := engine_of(self.instance)) is not None:
                os.kill(engine, signal.SIGKILL)
                self.engines += 1

    # ---- promises

    def check(self, found: list[dict]) -> None:
        self.full = sum(one["full"] for one in found)
        ids = {id for one in found for id in one["ids"]}
        stored = {str(meta.id) for meta in self.client.list_metadatas("*", limit=None)}
        if missing := ids - stored:
            raise Failure(f"{len(missing)} acknowledged objects are lost: {sorted(missing)[:3]}")
        # Of a client that was killed while it put; nobody has been told of them.
        deaths = sum(worker.deaths for worker in self.workers)
        if len(stored - ids) > 8 * deaths:
            raise Failure(f"{len(stored - ids)} objects are there that nobody put")
        for id in stored - ids:
            self.client.delete(vineyard.ObjectID(id))
        for worker in self.workers:
            worker.deaths = 0
        names = {name: tuple(entry) for one in found for name, entry in one["names"].items()}
        listed = self.client.list_names()
        there = {name: str(id) for name, id in listed.items()}
        if there != {name: entry[0] for name, entry in names.items()}:
            raise Failure(
                f"names differ: {set(there.items()) ^ {(n, e[0]) for n, e in names.items()}}"
            )
        self.check_memory(sum(one["bytes"] for one in found))

    def check_memory(self, live: int) -> None:
        end = time.monotonic() + SETTLING
        while True:
            status = self.client.status
            shared, private = kernel_memory(self.instance)
            said = status.memory_held + status.memory_ready
            resident = shared + private - status.memory_ready
            agrees = abs(shared - said) <= FIXED
            if agrees and status.memory_lingering == 0 and resident <= live * 1.1 + FIXED:
                self.worst = max(self.worst, (resident - live * 1.1) / MIB)
                return
            if time.monotonic() > end:
                raise Failure(
                    f"live {live / MIB:.1f} MiB; held {status.memory_held / MIB:.1f}, ready "
                    f"{status.memory_ready / MIB:.1f}, lingering {status.memory_lingering / MIB:.1f}; the "
                    f"kernel says {shared / MIB:.1f} shared, {private / MIB:.1f} private"
                )
            time.sleep(0.1)

    def finish(self) -> None:
        for worker in self.workers:
            worker.close()
        self.client.clear()
        end = time.monotonic() + SETTLING
        while (used := self.client.status.memory_usage) != self.start:
            if time.monotonic() > end:
                raise Failure(f"{used - self.start} bytes are used, and nothing is stored")
            time.sleep(0.1)

    def report(self, done: int, seconds: float) -> None:
        print(
            f"soak: {done} operations in {seconds:.0f} s; killed: {self.engines} engines, "
            f"{self.clients} clients; puts that found no room: {self.full}; resident memory less "
            f"1.1 x live: {self.worst:.1f} MiB at most{self.spilled()}",
            flush=True,
        )

    def spilled(self) -> str:
        if not self.options.spill:
            return ""
        status = self.client.status
        return (
            f"; on the disk: {status.spilled_bytes / MIB:.1f} MiB, since the engine began "
            f"{status.evictions} evictions and {status.loads} loads"
        )

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.client.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=300_000, help="of all workers together")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--round", type=int, default=500, help="operations of a worker between checks"
    )
    parser.add_argument("--size", default="64Mi", help="of the instance: puts are to find it full")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--pause", type=float, default=0.5, help="seconds between kills, on average"
    )
    parser.add_argument(
        "--spill", action="store_true", help="large objects may go to a disk, below TMPDIR"
    )
    parser.add_argument("--kill-engines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--kill-clients", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    print(f"soak: seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="vineyard-soak-"))
    disk = folder / "disk"
    spill = [f"--spill_path={disk}"] if options.spill else []
    instance = Instance.start(size=options.size, exit_with=os.getpid(), arguments=spill)
    soak = None
    try:
        soak = Soak(options, instance, folder)
        soak.run()
        check_disk(disk)
    except Failure as failure:
        print(f"soak: {failure}; the workers' logs are in {folder}", file=sys.stderr)
        return 1
    finally:
        if soak is not None:
            soak.close()
        instance.stop()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
