#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Several clients work on more than the memory holds, for as long as one likes, and the disk is asked beside.

In phases: `put` (the working set is written in a row, after as much as the memory holds), `get` (as much as the
working set, at random), and `mixed` for the rest of the time: gets, puts and deletes, of what is one's own and of
what everybody reads. Each get is checked. Then every byte is, and all is deleted: memory and folder must be empty.
Before and after each phase fio says what the disk itself does in that minute.

It fails if anything went wrong: an error of any call, a call that took longer than its deadline, a client that does
not answer any more, contents that differ, or anything left in the end. How fast it was is printed, and judged by nobody.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vineyard
from vineyard.launching import Instance

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak import disk_speed
from soak.run import Failure, check_disk, engine_of

MIB = 1 << 20
GIB = 1 << 30


class Client:
    """A worker process."""

    def __init__(self, socket: str, seed: int, options: argparse.Namespace) -> None:
        arguments = [socket, seed, options.deadline, *options.objects]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "soak.spilling_worker", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.own: list[list[Any]] = []

    def tell(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended, as its answer will say
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"a client ended with {self.process.wait()}; what it was at may be above")
        answer = json.loads(line)
        self.own = answer.pop("own")
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


class Figures:
    """What all clients did in a phase, and the disk."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.bytes = {"put": 0, "get": 0}
        self.took: dict[str, list[float]] = {"put": [], "get": [], "delete": []}
        self.written = self.read = 0
        self.disk = disk_speed.Speeds()
        self.new_files = disk_speed.Speeds()

    def add(self, answer: dict[str, Any]) -> None:
        for what, bytes in answer["bytes"].items():
            self.bytes[what] += bytes
        for what, took in answer["took"].items():
            self.took[what] += took

    def rate(self, bytes: int) -> float:
        return bytes / GIB / self.seconds if self.seconds else 0.0


class Soak:
    def __init__(self, options: argparse.Namespace, instance: Instance, folder: Path) -> None:
        self.options = options
        self.instance = instance
        self.folder = folder
        self.client = vineyard.connect(instance.socket, timeout=options.deadline, progress=False)
        self.start = self.client.status.memory_usage
        self.clients = [
            Client(instance.socket, options.seed % (1 << 16) + number, options)
            for number in range(options.clients)
        ]
        self.shared: list[list[Any]] = []
        self.errors = self.late = self.calls = 0
        self.seconds = 0.0
        self.with_fio = options.fio and disk_speed.is_there()

    def run(self) -> None:
        each = self.options.working_set // len(self.clients)
        room = self.client.status.memory_limit // len(self.clients)
        print(f"{'':8}{'GiB/s:':>10}{'put':>8}{'got':>8}{'written':>9}{'read':>8}  fio", flush=True)
        self.order(Figures(), do="put", bytes=room)
        self.phase("put", "write", lambda figures: self.put(figures, max(each - room, room)))
        self.phase("get", "read", lambda figures: self.get(figures, each))
        self.phase("mixed", "randrw", lambda figures: self.mix(figures, each))
        self.check()
        self.finish()

    # ---- phases

    def put(self, figures: Figures, each: int) -> None:
        self.order(figures, do="put", bytes=each)

    def get(self, figures: Figures, each: int) -> None:
        objects = [one for client in self.clients for one in client.own]
        self.order(figures, do="get", bytes=each, objects=objects)

    def mix(self, figures: Figures, each: int) -> None:
        """A half of what there is stays for all; what a client has besides comes and goes."""
        shared = [one for client in self.clients for one in client.own[::2]]
        self.order(Figures(), do="share", objects=shared)
        self.shared = shared
        shown = self.seconds
        while (left := self.options.seconds - self.seconds) > 0:
            seconds = min(left, 10.0)
            self.order(figures, do="mix", seconds=seconds, keep=each // 2)
            if self.seconds - shown > 60:
                shown = self.seconds
                print(
                    f"soak: {self.calls} calls in {shown:.0f} s, {self.errors} errors, "
                    f"{self.late} late",
                    flush=True,
                )

    def phase(self, name: str, work: str, do: Callable[[Figures], None]) -> None:
        figures = Figures()
        self.ask_disk(work, figures)
        do(figures)
        # As many of its requests are to be reads as ours were.
        moved = figures.read + figures.written
        self.ask_disk(work, figures, round(100 * figures.read / moved) if moved else 50)
        self.report(name, figures)

    def ask_disk(self, work: str, figures: Figures, reads: int | None = None) -> None:
        if self.with_fio and (work != "randrw" or reads is not None):
            disk_speed.measure(
                self.folder, work, self.options.fio_seconds, figures.disk, reads or 50
            )
        if self.with_fio and work == "write":
            disk_speed.measure_new(self.folder, figures.new_files)

    # ---- orders

    def order(self, figures: Figures, **order: Any) -> None:
        """Have all clients do it, and wait; what they did is added to the figures."""
        disk, begin = self.moved(), time.monotonic()
        for client in self.clients:
            client.tell(order)
        self.take_answers(figures)
        took = time.monotonic() - begin
        self.seconds += took
        figures.seconds += took
        read, written = self.moved()
        figures.read += read - disk[0]
        figures.written += written - disk[1]

    def take_answers(self, figures: Figures) -> None:
        for client in self.clients:
            answer = client.answer()
            figures.add(answer)
            self.calls += sum(map(len, answer["took"].values()))
            self.late += answer["late"]
            self.errors += len(answer["errors"])
            for error in answer["errors"][:5]:
                print(f"soak: {error}", file=sys.stderr, flush=True)
        if self.errors >= 100:
            raise Failure("too many errors to go on")

    def moved(self) -> tuple[int, int]:
        """Bytes that the engine has read from the disk and written to it."""
        engine = engine_of(self.instance)
        if engine is None:
            raise Failure("the engine is gone")
        lines = Path(f"/proc/{engine}/io").read_text().splitlines()
        figures = dict(line.split(": ") for line in lines)
        return int(figures["read_bytes"]), int(figures["write_bytes"])

    # ---- the end

    def check(self) -> None:
        for number, client in enumerate(self.clients):
            everybodys = self.shared[number :: len(self.clients)]
            client.tell({"do": "check", "objects": client.own + everybodys})
        self.take_answers(Figures())

    def finish(self) -> None:
        for client in self.clients:
            client.tell({"do": "delete", "objects": client.own})
        self.take_answers(Figures())
        for client in self.clients:
            client.close()
        self.client.clear()
        end = time.monotonic() + self.options.deadline
        while (used := self.client.status.memory_usage) != self.start:
            if time.monotonic() > end:
                raise Failure(f"{used - self.start} bytes are used, and nothing is stored")
            time.sleep(0.1)

    def report(self, name: str, figures: Figures) -> None:
        rates = [
            figures.rate(n)
            for n in (figures.bytes["put"], figures.bytes["get"], figures.written, figures.read)
        ]
        line = f"{name:8}{'':10}{rates[0]:8.2f}{rates[1]:8.2f}{rates[2]:9.2f}{rates[3]:8.2f}"
        ours = {"put": rates[2], "get": rates[3]}.get(name, rates[2] + rates[3])
        for speeds, what in ((figures.disk, ""), (figures.new_files, "; new files: ")):
            if speeds.of:
                depth, best = speeds.best()
                line += (
                    f"{what or '  '}{speeds.at(4):.2f}, that is {ours / speeds.at(4):.2f} of it"
                    f" (depth 4; best, {depth}: {best:.2f})"
                )
        print(line, flush=True)
        for what, took in figures.took.items():
            if took:
                took.sort()
                half, most = took[len(took) // 2], took[int(len(took) * 0.99)]
                print(
                    f"{'':10}{len(took)} calls of {what}: half within {half * 1e3:.1f} ms, "
                    f"99 % within {most * 1e3:.1f}, the slowest {took[-1] * 1e3:.1f}",
                    flush=True,
                )

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.client.close()


def size(text: str) -> int:
    """'64Mi' and the like."""
    for unit, bytes in (("Ki", 1 << 10), ("Mi", MIB), ("Gi", GIB)):
        if text.endswith(unit):
            return int(text[: -len(unit)]) * bytes
    return int(text)


def sizes(text: str) -> tuple[int, int]:
    smallest, _, largest = text.partition("-")
    return size(smallest), size(largest or smallest)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1800.0, help="in all, without fio's")
    parser.add_argument("--size", default="1Gi", help="of the instance")
    parser.add_argument("--working-set", type=size, default=4 * GIB, help="bytes of all objects")
    parser.add_argument(
        "--objects", type=sizes, default=(MIB, 64 * MIB), help="their sizes: 16Mi, or 1Mi-64Mi"
    )
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--deadline", type=float, default=60.0, help="of each call, in seconds")
    parser.add_argument("--spill-path", type=Path, default=None, help="by default below TMPDIR")
    parser.add_argument("--vineyardd", default=None, help="another program than this checkout's")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--fio", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--fio-seconds", type=float, default=6.0, help="of each measurement")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 16)
    return options


def main() -> int:
    options = parse()
    print(f"soak: seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="vineyard-soak-", dir=options.spill_path))
    arguments = [f"--spill_path={folder}"]
    instance = Instance.start(
        size=options.size,
        exit_with=os.getpid(),
        arguments=arguments,
        program=options.vineyardd,
    )
    soak = None
    try:
        soak = Soak(options, instance, folder)
        soak.run()
        check_disk(folder)
    except Failure as failure:
        print(f"soak: {failure}", file=sys.stderr)
        return 1
    finally:
        if soak is not None:
            soak.close()
        instance.stop()
        shutil.rmtree(folder)
    print(f"soak: {soak.calls} calls, {soak.errors} errors, {soak.late} later than their deadlines")
    return 1 if soak.errors or soak.late else 0


if __name__ == "__main__":
    sys.exit(main())
