# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a system has to offer to be measured: a `Server` and a `Client`."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from side_by_side import processes

Address = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]


class CannotDo(Exception):
    """The system has no way to do this; the message says why."""


class NotToBeHad(Exception):
    """The system can't be started on this machine; the message says why."""


class Server:
    """A system as the driver sees it: where it comes from, how it is started and ended.

    Attributes
    ----------
    title : str
        As the table calls it.
    requirements : str, optional
        Of ``requirements/``: makes an environment of its own for the system's workers. Without, they
        run in the project's.
    limit : bool
        Whether it is no system, but what the machine could do.
    shared : bool
        Whether another process can get what one has put.
    settings : str
        For the reader of the result.
    variables : dict
        Environment variables of its processes and workers.
    """

    title: ClassVar[str]
    requirements: ClassVar[str | None] = None
    limit: ClassVar[bool] = False
    shared: ClassVar[bool] = True
    settings: ClassVar[str] = ""
    variables: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path, size: int, environment: Path) -> None:
        self.folder = folder  # for sockets and files; removed by the driver
        self.size = size  # bytes that have to fit
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Address:
        """Start it, and return when it answers, with what a `Client` needs."""
        return {"folder": str(self.folder), "size": self.size}

    def stop(self) -> None:
        """Ask it to end. What is left of its processes the driver ends."""
        if self.process is not None:
            self.process.terminate()

    def clean(self) -> None:
        """Remove what it has left outside of its folder. Called when its processes have ended."""

    def roots(self) -> list[int]:
        """Return the processes that it consists of, and whose children belong to it."""
        return [] if self.process is None else [self.process.pid]

    def consumers_by_producer(self) -> bool:
        """Whether reading processes are started by the producer (see `Client.spawn`)."""
        return False

    def launch(
        self, command: Sequence[str | Path], executable: str | None = None, **environment: str
    ) -> None:
        """Start its process; what it prints goes to ``log`` in its folder."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                executable=executable,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=processes.environment(environment),
                start_new_session=True,  # a Ctrl-C is for the driver
                preexec_fn=processes.die_with_parent,
            )

    def wait_for(self, ready: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait until it is up.

        Raises
        ------
        NotToBeHad
            It has ended, or takes too long; with the last line that it printed.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
                raise NotToBeHad(f"{what} did not start: {lines[-1] if lines else 'no output'}")
            time.sleep(0.001)


class Client(ABC):
    """A system as a worker sees it.

    Every one can put, get and delete; a value of a kind that it does not hold, and whatever else it has
    no way to do, raises `CannotDo`.
    """

    #: Modules that are imported before the clock of connecting starts.
    imports: ClassVar[Sequence[str]] = ()
    #: Packages whose versions belong to the result.
    packages: ClassVar[Sequence[str]] = ()

    def __init__(self, address: Address) -> None:
        self.address = address

    def prepare(self, value: Any) -> None:
        """Be told of the value of the next puts. For limits; a system has no such chance."""

    @abstractmethod
    def put(self, value: Any) -> Any:
        """Store a value so that other processes can get it, and return a key."""

    @abstractmethod
    def get(self, key: Any) -> Any:
        """Return the value; it stays valid until `forget`."""

    @abstractmethod
    def delete(self, keys: Sequence[Any]) -> None:
        """Delete values, so that their memory can be used again."""

    def put_many(self, values: Sequence[Any]) -> list[Any]:
        """Store many: in one call where the system has one for it."""
        return [self.put(value) for value in values]

    def get_many(self, keys: Sequence[Any]) -> list[Any]:
        return [self.get(key) for key in keys]

    def empty(self, shape: Any, dtype: Any) -> Any:
        """Return an array whose memory belongs to the store already."""
        raise CannotDo("has no memory of the store to allocate from")

    def allocator(self) -> Any:
        """Have all large arrays that numpy makes from now on lie in the store; return what counts them."""
        raise CannotDo("has no memory of the store to allocate from")

    def make_volumes(self, count: int) -> None:
        """Have this many isolated spaces of objects, in all."""
        raise CannotDo("has no volumes")

    def list_page(self, limit: int) -> Sequence[Any]:
        """Return this many of the keys that there are."""
        raise CannotDo("has no list of what there is")

    def keep(self, keys: Sequence[Any]) -> None:
        """Have these values stay, though nobody has their keys. Where keys are not counted, they do."""

    def forget(self) -> None:
        """Let go of what was kept for values that were got, and are dropped now."""

    def key_out(self, key: Any) -> Any:
        """Return what the key is sent to other processes as."""
        return key

    def key_in(self, sent: Any) -> Any:
        """Return the key for what `key_out` returned."""
        return sent

    def spawn(self) -> int:
        """Start a reading process; only for systems that hand keys over in no other way."""
        raise CannotDo("has its reading processes started by the driver")

    def forward(self, steps: Sequence[tuple[int, str, dict[str, Any]]]) -> list[tuple[str, Any]]:
        """Have spawned processes take a step each, at once."""
        raise CannotDo("has no processes of its own that read")

    def versions(self) -> dict[str, str]:
        """Return the versions of what does the work."""
        found = {"python": ".".join(map(str, sys.version_info[:3]))}
        for package in self.packages:
            try:
                found[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                found[package] = "none"
        return found

    def close(self) -> None:
        """End the connection."""


class FileClient(Client):
    """Files of a folder, one for each value."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.folder = address["folder"]
        self._next = 0
        self._prefix = f"{self.folder}/{os.getpid()}-"

    def new_path(self) -> str:
        self._next += 1
        return self._prefix + str(self._next)

    def delete(self, keys: Sequence[Any]) -> None:
        for key in keys:
            os.unlink(key)


def pickled(value: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickle with large buffers apart, which then are copied once instead of twice."""
    buffers: list[pickle.PickleBuffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < 1 << 14:
            return True  # among the rest
        buffers.append(buffer)
        return False

    return pickle.dumps(value, protocol=5, buffer_callback=keep), buffers


class Kept(deque[Any]):
    """The newest of what must outlive the values got from it."""

    def __init__(self, count: int = 256) -> None:
        super().__init__(maxlen=count)
