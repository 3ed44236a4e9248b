# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One client of `soak.spilling`: puts, gets and deletes objects whose contents it can tell from their seeds.

Usage: python -m soak.spilling_worker SOCKET SEED DEADLINE SMALLEST LARGEST. Each line on stdin is an order in
JSON, and is answered by a line: what was done, and what went wrong. It goes on after an error: how many
there are is of interest.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import vineyard

WORDS_OF_A_PAGE = 512
#: Of so many gets one compares every byte, the others a word of each page.
COMPARED = 16
#: id, words, seed
Stored = tuple[str, int, int]


class Difference(Exception):
    """An object holds something else than was put."""


class Pattern:
    """Contents that cost little to make and to check, and that no disk finds easy.

    An object is the beginning of one array of random words that every client has, but for the first word of
    each page: that tells the seed and the page.
    """

    def __init__(self, most_bytes: int) -> None:
        self.words = np.random.default_rng(1).integers(
            0, 2**64, most_bytes // 8 + WORDS_OF_A_PAGE, dtype=np.uint64
        )

    @staticmethod
    def _stamps(words: int, seed: int) -> np.ndarray:
        pages = np.arange(-(-words // WORDS_OF_A_PAGE), dtype=np.uint64)
        return pages + np.uint64(seed << 24)

    def fill(self, words: int, seed: int) -> np.ndarray:
        """Valid until the next call."""
        value = self.words[:words]
        value[::WORDS_OF_A_PAGE] = self._stamps(words, seed)
        return value

    def check(self, value: np.ndarray, words: int, seed: int, whole: bool) -> None:
        if value.shape != (words,) or value.dtype != np.uint64:
            raise Difference(f"{value.dtype}{value.shape} instead of {words} words")
        stamps = self._stamps(words, seed)
        if not np.array_equal(value[::WORDS_OF_A_PAGE], stamps):
            wrong = int(np.flatnonzero(value[::WORDS_OF_A_PAGE] != stamps)[0])
            raise Difference(f"page {wrong} of seed {seed} is another")
        if whole and not np.array_equal(value, self.fill(words, seed)):
            raise Difference(f"an object of seed {seed} differs within its pages")


@contextlib.contextmanager
def watched(deadline: float) -> Iterator[None]:
    """Where it lasts much longer than it may, this process ends, and says what it was at."""
    faulthandler.dump_traceback_later(3 * deadline, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class Tally:
    """What was done since the last order."""

    def __init__(self) -> None:
        self.bytes = {"put": 0, "get": 0}
        self.took: dict[str, list[float]] = {"put": [], "get": [], "delete": []}
        self.errors: list[str] = []
        self.late = 0


class Worker:
    def __init__(self, socket: str, seed: int, deadline: float, sizes: tuple[int, int]) -> None:
        self.client = vineyard.connect(socket, timeout=deadline, progress=False)
        self.deadline = deadline
        self.random = random.Random(seed)
        self.next_seed = seed << 20
        self.sizes = sizes
        self.pattern = Pattern(sizes[1])
        self.own: list[Stored] = []
        self.shared: list[Stored] = []
        self.tally = Tally()

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        self.tally = Tally()
        getattr(self, order.pop("do"))(**order)
        return vars(self.tally) | {"own": self.own}

    # ---- orders

    def put(self, bytes: int) -> None:
        """So many bytes, one object after another."""
        while self.tally.bytes["put"] < bytes and not self.fails():
            self.put_one()

    def get(self, bytes: int, objects: list[Stored]) -> None:
        """So many bytes, of any of these objects."""
        while self.tally.bytes["get"] < bytes and not self.fails():
            self.get_one(self.random.choice(objects))

    def share(self, objects: list[Stored]) -> None:
        """These objects, its own among them, are everybody's from now on, and are not deleted."""
        self.shared = objects
        ids = {id for id, _, _ in objects}
        self.own = [one for one in self.own if one[0] not in ids]

    def mix(self, seconds: float, keep: int) -> None:
        """A half of gets, the others puts and deletes, so that about `keep` bytes are its own."""
        live = sum(words * 8 for _, words, _ in self.own)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.fails():
            objects = self.random.choice([one for one in (self.own, self.shared) if one] or [[]])
            if objects and self.random.random() < 0.5:
                self.get_one(self.random.choice(objects))
            elif live < keep:
                live += self.put_one()
            elif self.own:
                live -= self.delete_one()

    def check(self, objects: list[Stored]) -> None:
        """Every byte of these objects."""
        for one in objects:
            self.get_one(one, whole=True)

    def delete(self, objects: list[Stored]) -> None:
        for one in objects:
            self._call("delete", lambda one=one: self.client.delete(vineyard.ObjectID(one[0])))
        self.own = []

    # ---- one call each

    def fails(self) -> bool:
        """So often that it need not go on."""
        return len(self.tally.errors) >= 100

    def put_one(self) -> int:
        smallest, largest = self.sizes
        # As many of 1 to 2 MiB as of 2 to 4, and so on.
        exact = math.exp(self.random.uniform(math.log(smallest), math.log(largest)))
        words = int(exact) // 8
        seed, self.next_seed = self.next_seed, self.next_seed + 1
        value = self.pattern.fill(words, seed)
        id = self._call("put", lambda: self.client.put(value))
        if id is not None:
            self.own.append((str(id), words, seed))
            self.tally.bytes["put"] += words * 8
        return words * 8 if id is not None else 0

    def get_one(self, one: Stored, whole: bool = False) -> None:
        id, words, seed = one
        value = self._call("get", lambda: self.client.get(vineyard.ObjectID(id)))
        if value is None:
            return
        self.tally.bytes["get"] += words * 8
        try:
            self.pattern.check(value, words, seed, whole or self.random.randrange(COMPARED) == 0)
        except Difference as difference:
            self.tally.errors.append(f"get of {id}: {difference}")

    def delete_one(self) -> int:
        at = self.random.randrange(len(self.own))
        self.own[at], self.own[-1] = self.own[-1], self.own[at]
        id, words, _ = self.own.pop()
        self._call("delete", lambda: self.client.delete(vineyard.ObjectID(id)))
        return words * 8

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        begin = time.monotonic()
        try:
            with watched(self.deadline):
                return call()
        except (vineyard.VineyardException, OSError) as error:
            self.tally.errors.append(f"{what}: {type(error).__name__}: {error}")
            return None
        finally:
            took = time.monotonic() - begin
            self.tally.took[what].append(took)
            self.tally.late += took > self.deadline


def main() -> None:
    socket, seed, deadline, smallest, largest = sys.argv[1:]
    worker = Worker(socket, int(seed), float(deadline), (int(smallest), int(largest)))
    for line in sys.stdin:
        print(json.dumps(worker.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
