# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Stores with a server before them, which tests fill and empty alike: a made one, and an instance's."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import vineyard
from fake import FakeServer, Store
from vineyard.programs import find_program

T = TypeVar("T")
WATCHDOG = 60  # seconds
LISTENS = re.compile(r"HTTP is answered.*?(127\.0\.0\.1:\d+)")


class MadeStore:
    def __init__(self, url: str, store: Store) -> None:
        self.url = url
        self.store = store

    def put(self, name: str | None, size: int) -> str:
        return self.store.put(name, size=size)

    def delete(self, key: str) -> None:
        self.store.delete(key)

    def contents(self) -> dict[str, str | None]:
        """Each object's id, and its name."""
        objects = self.store.objects.values()
        return {stored.id: (stored.names or [None])[0] for stored in objects}


class InstanceStore:
    def __init__(self, url: str, client: vineyard.Client) -> None:
        self.url = url
        self.client = client

    def put(self, name: str | None, size: int) -> str:
        return str(self.client.put(np.zeros(size, dtype=np.uint8), name=name))

    def delete(self, key: str) -> None:
        self.client.delete(vineyard.ObjectID(key))

    def contents(self) -> dict[str, str | None]:
        names = {str(key): name for name, key in self.client.list_names(limit=1000).items()}
        return {str(meta.id): names.get(str(meta.id)) for meta in self.client.list_metadatas("*")}


@contextmanager
def running_fake() -> Iterator[MadeStore]:
    store = Store()
    server = FakeServer(store)
    try:
        yield MadeStore(server.url, store)
    finally:
        server.stop()


@contextmanager
def running_instance() -> Iterator[InstanceStore]:
    try:
        program = find_program("vineyardd")
    except FileNotFoundError as error:
        pytest.skip(f"no vineyardd was built: {error}")
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    if "--http" not in told:
        pytest.skip("this vineyardd has no --http")
    with tempfile.TemporaryDirectory(prefix="vineyard-web-") as folder:
        socket = Path(folder) / "vineyard.sock"
        command = [program, f"--socket={socket}", "--size=256Mi", "--http=127.0.0.1:0"]
        command.append(f"--exit_with_parent={os.getpid()}")
        log = Path(folder) / "log"
        with log.open("wb") as out, subprocess.Popen(command, stderr=out) as process:
            try:
                url = f"http://{_wait(lambda: LISTENS.search(log.read_text()), process, log)[1]}"
                _wait(lambda: _is_ready(url), process, log)
                with vineyard.connect(str(socket)) as client:
                    yield InstanceStore(url, client)
            finally:
                process.terminate()


def _wait(ask: Callable[[], T], process: subprocess.Popen[bytes], log: Path) -> T:
    end = time.monotonic() + WATCHDOG
    while not (answer := ask()):
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"vineyardd did not come up: {log.read_text()}")
        time.sleep(0.05)
    return answer


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=WATCHDOG):
            return True
    except HTTPError:
        return False
