# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Stores with a server before them, which tests fill and empty alike: a made one, and an instance's."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import vineyard
from fake import FakeServer, Store
from vineyard.programs import find_program

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
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield from _instance(process, str(socket))
            finally:
                process.terminate()
                process.communicate()


def _instance(process: subprocess.Popen[str], socket: str) -> Iterator[InstanceStore]:
    log = []
    for line in process.stderr:
        log.append(line)
        if found := LISTENS.search(line):
            with vineyard.connect(socket) as client:
                yield InstanceStore(f"http://{found[1]}", client)
            return
    pytest.fail("vineyardd did not come up: " + "".join(log))
