# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A system that is up: its server, a producer and consumers. Stopped while others have their turn."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

from side_by_side import processes
from side_by_side.environments import Environment
from side_by_side.peers.peer import Address, CannotDo, NotToBeHad, Server

BENCHMARKS = Path(__file__).resolve().parents[1]

#: Seconds after which a step that has not answered is given up.
PATIENCE = 300.0


class Failed(Exception):
    """A step raised an error, or its process ended; the message says which."""


class Worker:
    """A process that takes steps (see `side_by_side.worker`)."""

    def __init__(
        self, peer: str, python: Path, address: Address, log: Path, variables: dict[str, str]
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            environment = processes.environment(variables | {"PYTHONPATH": str(BENCHMARKS)})
            self._process = subprocess.Popen(
                [python, "-m", "side_by_side.worker", peer, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._connection.send(address)
        self.seconds: float  # that connecting took
        self.versions: dict[str, str]
        self.seconds, self.versions = self._answer("connecting")

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, step: str, **arguments: Any) -> None:
        """Have it take a step; `result` waits for the end."""
        try:
            self._connection.send((step, arguments))
        except OSError as error:
            raise Failed(f"{step}: its process ended") from error

    def result(self, step: str = "a step") -> Any:
        return self._answer(step)

    def run(self, step: str, **arguments: Any) -> Any:
        """Take a step.

        Raises
        ------
        CannotDo
            The system has no way to do it.
        Failed
            It went wrong.
        """
        self.begin(step, **arguments)
        return self._answer(step)

    def _answer(self, step: str) -> Any:
        try:
            if not self._connection.poll(PATIENCE):
                processes.end([self.pid], grace=0)  # what it would answer is of no use any more
                raise Failed(f"{step}: no answer within {PATIENCE:.0f} s")
            how, result = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise Failed(f"{step}: its process ended") from error
        return unpacked(how, result)

    def stop(self) -> None:
        self._connection.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            processes.end([self._process.pid], grace=1)


class Actor:
    """A consumer that the producer has started: its steps go through the producer."""

    def __init__(self, producer: Worker) -> None:
        self.producer = producer
        self.number = producer.run("spawn")

    def run(self, step: str, **arguments: Any) -> Any:
        (result,) = run_all([self], step, [arguments])
        return result


Consumer = Worker | Actor


def run_all(
    consumers: Sequence[Consumer], step: str, arguments: Sequence[dict[str, Any]]
) -> list[Any]:
    """Have several take the step at once, each with arguments of its own."""
    results: list[Any] = []
    tasks: list[tuple[int, str, dict[str, Any]]] = []
    for consumer, own in zip(consumers, arguments, strict=True):
        if isinstance(consumer, Actor):
            tasks.append((consumer.number, step, own))
        else:
            consumer.begin(step, **own)
    for consumer in consumers:
        if isinstance(consumer, Worker):
            results.append(consumer.result(step))
    if tasks:
        actor = next(c for c in consumers if isinstance(c, Actor))
        results += [unpacked(how, what) for how, what in actor.producer.run("forward", steps=tasks)]
    return results


def unpacked(how: str, result: Any) -> Any:
    """Return what a step gave, or raise what it says."""
    if how == "cannot":
        raise CannotDo(result)
    if how == "failed":
        raise Failed(result)
    return result


class Session:
    """One system, running. Use it in a ``with`` block: whatever happens, nothing of it is left.

    Attributes
    ----------
    name : str
        The system's.
    producer : Worker
    consumer : Worker or Actor
        Another process; where nothing is shared (memcpy), the same.
    seconds : float
        How long the server took to come up.
    """

    #: Those that have not been stopped whole: an interrupt may come while one is.
    running: ClassVar[list[Session]] = []
    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self, name: str, kind: type[Server], environment: Environment, size: int) -> None:
        self.name = name
        self._environment = environment
        self._workers: list[Worker] = []
        number = next(self._numbers)
        self._folder = Path(tempfile.gettempdir()) / f"vybench-{os.getpid()}-{number}"
        self.server = kind(self._folder, size, environment.folder)
        self.running.append(self)
        try:
            self._folder.mkdir(mode=0o700)
            begin = time.perf_counter()
            self._address = self.server.start()
            self.seconds = time.perf_counter() - begin
            self.producer = self.start_worker()
            self.consumers: list[Consumer] = []
            self.consumer = self.consumers_of(1)[0]
        except BaseException as error:
            self.stop()
            if isinstance(error, Failed | FileNotFoundError):
                raise NotToBeHad(str(error)) from error
            raise

    def start_worker(self) -> Worker:
        """Start one more process with a client."""
        worker = Worker(
            self._environment.peer,
            self._environment.python,
            self._address,
            self._folder / "log",
            self.server.variables,
        )
        self._workers.append(worker)
        return worker

    def consumers_of(self, count: int) -> list[Consumer]:
        """Return this many other processes, started when they are first needed."""
        if not self.server.shared:
            return [self.producer]
        while len(self.consumers) < count:
            by_producer = self.server.consumers_by_producer()
            self.consumers.append(Actor(self.producer) if by_producer else self.start_worker())
        return self.consumers[:count]

    @property
    def address(self) -> Address:
        return self._address

    @property
    def versions(self) -> dict[str, str]:
        return self.producer.versions

    @property
    def log(self) -> str:
        """Return what its processes have printed."""
        try:
            return (self._folder / "log").read_text(errors="replace")
        except OSError:
            return ""

    def _roots(self) -> list[int]:
        return [*self.server.roots(), *(worker.pid for worker in self._workers)]

    def memory(self, workers: bool = True) -> int:
        """Return the bytes that its processes hold: with those of the workers, or without."""
        roots = self._roots() if workers else self.server.roots()
        return processes.memory_of(roots, self._address.get("folder"))

    def freeze(self) -> None:
        processes.freeze(self._roots())

    def thaw(self) -> None:
        processes.thaw(self._roots())

    def stop(self) -> None:
        """End it, and remove what it has left. Where this was interrupted, it can be repeated."""
        if self not in self.running:
            return
        roots = self._roots()
        everyone = processes.descendants(roots)
        processes.thaw(roots)
        for worker in self._workers:
            worker.stop()
        self.server.stop()
        processes.end(dict.fromkeys([*roots, *everyone]))
        self.server.clean()
        shutil.rmtree(self._folder, ignore_errors=True)
        self.running.remove(self)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
