# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One process that does random operations and compares all that it finds with its model.

It may be killed at any point. Before an operation it writes down what it is about to do, and after it
what came of that, so that the next one knows all but whether the last operation has happened, and looks.

Usage: python -m soak.worker SOCKET NUMBER SEED LOG. Each line on stdin is a number of operations; the
answer is a line of JSON: the objects and names that it must find in the store, and their bytes.
"""

from __future__ import annotations

import json
import os
import random
import sys

import numpy as np
import vineyard

from soak.model import Model

#: Bytes: in records, in chunks of ordinary pages, in huge ones.
SIZES = (8, 100, 1000, 10_000, 100_000, 300_000, 1 << 20, 3 << 20)
WEIGHTS = (10, 30, 20, 15, 10, 8, 5, 2)
MOST_OBJECTS = 60
NAMES = 12
#: Seconds in which memory may come free; longer waits would make it a test of patience.
PATIENCE = 0.3


class Difference(Exception):
    """The store holds something else than it must."""


def content(size: int, seed: int) -> np.ndarray:
    return np.arange(seed, seed + size // 8, dtype=np.uint64)


class Worker:
    def __init__(self, socket: str, number: int, seed: int, log: str) -> None:
        self.client = vineyard.connect(socket, progress=False)
        self.number = number
        self.random = random.Random(seed)
        self.model = Model()
        self.seeds = seed << 20
        self.full = 0
        self.log = os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._recall()

    def _recall(self) -> None:
        """Read what the one before has done; find out whether its last operation has happened."""
        with open(self.log, closefd=False) as file:
            file.seek(0)
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        while lines:
            operation = tuple(lines.pop(0))
            if lines:
                ids = lines.pop(0)
            else:
                ids = self._find(operation)
                self._note(ids)
            if ids is not None:
                self.model.apply(operation, ids)
                self.seeds = max(self.seeds, self._last_seed(operation) + 1)

    @staticmethod
    def _last_seed(operation: tuple) -> int:
        if operation[0] == "put_many":
            return operation[2] + operation[3]
        return operation[-1] if operation[0].startswith("put") else 0

    def _find(self, operation: tuple) -> list[str] | None:
        """The ids that an operation made; None: it has not happened.

        Of an unnamed put that nobody has heard of again an object is left, which `soak.run` allows for.
        """
        what, *of = operation
        if what in ("put", "put_many"):
            return None
        if what in ("put_named", "name"):
            if self._version(of[0]) == self.model.version(of[0]):
                return None
            return [str(self.client.get_name(of[0]))]
        if what == "drop":
            return None if self._version(of[0]) else []
        return None if self.client.exists(vineyard.ObjectID(of[0])) else []

    def _version(self, name: str) -> int:
        try:
            return self.client.name_info(name).version
        except vineyard.ObjectNotExistsException:
            return 0

    # ---- operations

    def step(self) -> None:
        if len(self.model.objects) > MOST_OBJECTS:
            return self.do("delete", self.random.choice(list(self.model.objects)))
        kind = self.random.choices(
            ("put", "put_named", "put_many", "name", "drop", "delete", "get", "absent"),
            (10, 10, 3, 5, 4, 8, 50, 5),
        )[0]
        size = self.random.choices(SIZES, WEIGHTS)[0]
        name = f"{self.number}/{self.random.randrange(NAMES)}"
        seed = self.seeds = self.seeds + 8
        if kind == "put":
            self.do("put", size, seed)
        elif kind == "put_named":
            self.do("put_named", name, size, seed)
        elif kind == "put_many":
            self.do("put_many", min(size, 10_000), seed, self.random.randrange(1, 8))
        elif kind == "absent":
            self.check_absent(name)
        elif self.model.objects:
            id = self.random.choice(list(self.model.objects))
            if kind == "name":
                self.do("name", name, id)
            elif kind == "delete":
                self.do("delete", id)
            elif kind == "drop" and name in self.model.names:
                self.do("drop", name)
            else:
                self.check(id, name)

    def do(self, *operation) -> None:
        self._note(operation)
        try:
            ids = self._done(*operation)
        except vineyard.NotEnoughMemoryException:
            self.full += 1
            return self._note(None)
        self._note(ids)
        self.model.apply(operation, ids)

    def _done(self, what: str, *of) -> list[str]:
        client = self.client
        if what == "put":
            return [str(client.put(content(*of), timeout=PATIENCE))]
        if what == "put_named":
            return [str(client.put(content(*of[1:]), name=of[0], timeout=PATIENCE))]
        if what == "put_many":
            size, seed, count = of
            return [
                str(id) for id in client.put_many([content(size, seed + n) for n in range(count)])
            ]
        if what == "name":
            client.put_name(vineyard.ObjectID(of[1]), of[0])
        elif what == "drop":
            client.drop_name(of[0])
        else:
            client.delete(vineyard.ObjectID(of[0]))
        return []

    def _note(self, line) -> None:
        os.write(self.log, (json.dumps(line) + "\n").encode())

    # ---- comparing

    def check(self, id: str, name: str) -> None:
        held = self.model.objects[id]
        self._compare(self.client.get(vineyard.ObjectID(id)), held.size, held.seed, id)
        if name in self.model.names:
            target, version = self.model.names[name]
            info = self.client.name_info(name)
            if (str(info.id), info.version) != (target, version):
                raise Difference(f"name {name} is {info}, and was put for {target} as {version}")
            held = self.model.objects[target]
            self._compare(self.client.get(name=name), held.size, held.seed, name)

    def check_absent(self, name: str) -> None:
        if name not in self.model.names and self._version(name):
            raise Difference(f"name {name} is there, and was dropped")
        for id in self.model.gone:
            if self.client.exists(vineyard.ObjectID(id)):
                raise Difference(f"object {id} is there, and was deleted")

    @staticmethod
    def _compare(got: np.ndarray, size: int, seed: int, what: str) -> None:
        wanted = content(size, seed)
        if got.dtype != wanted.dtype or not np.array_equal(got, wanted):
            raise Difference(
                f"{what} begins {got[:3]}, and was put as {wanted[:3]} of {size} bytes"
            )

    def summary(self) -> str:
        objects = self.model.objects
        for id, held in objects.items():
            self._compare(self.client.get(vineyard.ObjectID(id)), held.size, held.seed, id)
        names = {name: list(entry) for name, entry in self.model.names.items()}
        size = sum(held.size for held in objects.values())
        return json.dumps({"ids": list(objects), "names": names, "bytes": size, "full": self.full})


def main() -> None:
    socket, number, seed, log = sys.argv[1:]
    worker = Worker(socket, int(number), int(seed), log)
    for line in sys.stdin:
        for _ in range(int(line)):
            worker.step()
        print(worker.summary(), flush=True)


if __name__ == "__main__":
    main()
