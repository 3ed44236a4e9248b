#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How long one client's requests take, alone and beside a neighbour in another volume that floods.

The victim puts, gets and deletes small objects, now and then, as a program that waits for its data does. Each
flood is a process that asks for as much as it can of one thing. They take turns with quiet, several times, and with
as many busy processes as a flood keeps processors busy (itself, and the engine) that have nothing to do with the
instance: what these cost the victim is the scheduler's doing, and no instance could avoid it. The figures are of all
turns together.

Usage: neighbour.py [--seconds 3] [--turns 5] [--floods puts,lists,...]. Prints a table, and exits 1 where the
victim's 99th percentile more than doubles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import vineyard
from vineyard.launching import Instance
from vineyard.programs import find_program

MIB = 1 << 20
Times = dict[str, list[float]]  # seconds, by request


# ---- floods: each is told its socket, and goes on until it is killed


def puts(path: str) -> None:
    """Many small objects in one call, and their deletion in another."""
    client = vineyard.connect(path, progress=False)
    while True:
        client.delete(client.put_many([b"x" * 100] * 5000))


def large_puts(path: str) -> None:
    """More memory than its volume has, at once and all the time."""
    client = vineyard.connect(path, progress=False)
    value = np.ones(64 * MIB // 8)
    while True:
        client.delete(client.put(value))


def members(path: str) -> None:
    """Objects of many parts: one request of which makes, and one of which deletes, thousands."""
    client = vineyard.connect(path, progress=False)
    while True:
        client.delete(client.put([np.ones(4)] * 20000), deep=True)


def lists(path: str) -> None:
    """Everything there is, again and again."""
    client = vineyard.connect(path, progress=False)
    client.put_many([b"x"] * 100_000)
    while True:
        client.list_objects("*", limit=100_000)


def clients(path: str) -> None:
    """Connections that come and go."""
    while True:
        with contextlib.suppress(vineyard.VineyardException):
            vineyard.connect(path, progress=False).close()


def garbage(path: str) -> None:
    """Bytes that mean nothing."""
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(os.urandom(4096))


FLOODS: dict[str, Callable[[str], None]] = {
    f.__name__: f for f in (puts, large_puts, members, lists, clients, garbage)
}


# ---- the victim


class Victim:
    def __init__(self, path: str) -> None:
        self.client = vineyard.connect(path, progress=False)
        for i in range(50):
            self.client.put(b"y" * 100, name=f"there-{i}")

    def ask(self, seconds: float, times: Times) -> None:
        """One of each request every two milliseconds."""
        end = time.perf_counter() + seconds
        turn = 0
        while time.perf_counter() < end:
            turn += 1
            start = time.perf_counter()
            id = self.client.put(np.arange(16))
            put = time.perf_counter()
            self.client.get(name=f"there-{turn % 50}")
            got = time.perf_counter()
            self.client.delete(id)
            deleted = time.perf_counter()
            for what, took in (("put", put - start), ("get", got - put), ("delete", deleted - got)):
                times.setdefault(what, []).append(took)
            time.sleep(0.002)


def busy(_: str) -> None:
    """No flood: what any program does that computes."""
    while True:
        sum(range(1000))


def flooding(name: str, path: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "--flood", name, "--at", path])


def create_volume(instance: Instance, size: str) -> str:
    """Its socket."""
    command = [find_program("vineyardctl"), "volume", "create", "neighbour", "--size", size]
    made = subprocess.run(
        [*command, "-o", "json"],
        env=os.environ | {"VINEYARD_IPC_SOCKET": instance.socket},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(made.stdout)["socket"]


@contextlib.contextmanager
def beside(name: str, path: str, count: int = 1) -> Iterator[None]:
    others = [flooding(name, path) for _ in range(count)]
    try:
        time.sleep(1)  # its imports
        yield
        for other in others:
            if other.poll() is not None:
                raise SystemExit(f"the flood {name} ended with {other.returncode}")
    finally:
        for other in others:
            other.kill()
            other.wait()


def measure(options: argparse.Namespace) -> int:
    quiet: Times = {}
    computing: Times = {}
    loud: dict[str, Times] = {}
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance.start(socket=f"{folder}/vineyard.sock", size="2Gi")
        try:
            victim = Victim(instance.socket)
            other = create_volume(instance, "256Mi")
            for _ in range(options.turns):
                victim.ask(options.seconds, quiet)
                with beside("busy", other, count=2):
                    victim.ask(options.seconds, computing)
                for name in options.floods:
                    with beside(name, other):
                        victim.ask(options.seconds, loud.setdefault(name, {}))
        finally:
            instance.stop()
    return report({"two busy programs": computing} | loud, quiet)


def report(others: dict[str, Times], quiet: Times) -> int:
    worst = 0.0
    print(f"{'beside':<18} {'request':<8} {'p50':>9} {'p99':>9} {'p99 by that of quiet':>21}")
    for name, times in ({"nobody": quiet} | others).items():
        for what in quiet:
            median, high = np.percentile(times[what], (50, 99)) * 1e6
            ratio = high / (np.percentile(quiet[what], 99) * 1e6)
            if name in FLOODS:
                worst = max(worst, ratio)
            print(f"{name:<18} {what:<8} {median:6.0f} us {high:6.0f} us {ratio:20.2f}x")
    print(f"the worst 99th percentile is {worst:.2f} times that of a quiet instance")
    return 1 if worst > 2 else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--floods", type=lambda text: text.split(","), default=list(FLOODS))
    parser.add_argument("--flood", choices=[*FLOODS, "busy"], help=argparse.SUPPRESS)
    parser.add_argument("--at", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        (FLOODS | {"busy": busy})[options.flood](str(options.at))
    return measure(options)


if __name__ == "__main__":
    sys.exit(main())
