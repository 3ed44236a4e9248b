# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What vineyard has of a project."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from kedro.io import DatasetError
from vineyard import Client
from vineyard.connecting import find_socket
from vineyard.contrib.kedro.io.place import START, connect
from vineyard.contrib.kedro.plugins.cli.manners import CommandFailed
from vineyard.contrib.kedro.progress import DONE, RUNNING
from vineyard.contrib.kedro.runs import RUNS, project_prefix
from vineyard.errors import ObjectNotExistsException, VineyardException


@dataclass(frozen=True)
class Stored:
    """A name of a project.

    Attributes
    ----------
    name : str
        The whole.
    run : str or None
        None: it is an input or an output of the whole pipeline, and of no run.
    dataset : str
        What follows.
    """

    name: str
    run: str | None
    dataset: str

    @property
    def is_mark(self) -> bool:
        """Whether it stands for a node of the run, and for no dataset."""
        return self.run is not None and self.dataset.startswith((RUNNING, DONE))

    @property
    def running(self) -> str | None:
        """The node that is being run, where the name says that one is."""
        if self.run is None or not self.dataset.startswith(RUNNING):
            return None
        return self.dataset.removeprefix(RUNNING)


def reach() -> Client:
    """Return a client of the instance that datasets go to.

    Raises
    ------
    CommandFailed
        There is none.
    """
    try:
        socket = find_socket()
        if socket is None:
            raise CommandFailed(f"No vineyard instance runs on this machine. {START}")
        return connect(socket, embedded=False)
    except (DatasetError, VineyardException) as error:
        raise CommandFailed(str(error)) from error


def names_of(client: Client, package: str) -> Iterator[Stored]:
    """Return all names of a project."""
    quoted = quote(package, safe="")
    for name in sorted(client.list_names(RUNS, prefix=True)):
        run, _, rest = name.removeprefix(RUNS).partition("/")
        owner, _, dataset = rest.partition("/")
        if owner == quoted and dataset:
            yield Stored(name, unquote(run), dataset)
    kept = project_prefix(package)
    for name in sorted(client.list_names(kept, prefix=True)):
        yield Stored(name, None, name.removeprefix(kept))


def describe(client: Client, stored: Stored) -> dict[str, Any] | None:
    """Return what is known of a name's value; None where it has gone meanwhile."""
    try:
        info = client.name_info(stored.name)
        meta = client.get_meta(info.id)
        return {
            "run": stored.run,
            "dataset": stored.dataset,
            "type": meta.typename,
            "bytes": meta.memory_usage,
            "age": max(0.0, time.time() - meta.timestamp / 1000),
            "ttl": info.ttl,
            "process": info.client_pid or None,
            "name": stored.name,
            "id": repr(info.id),
        }
    except ObjectNotExistsException:
        return None
