# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which nodes of a run are being run, and which have been: kept in vineyard, where all processes of the run see it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable

from kedro.io import DatasetError
from vineyard import Client
from vineyard.contrib.kedro.runs import Run
from vineyard.errors import ConflictException

#: After a run's prefix, what the names begin with that stand for nodes. No dataset's name begins so.
RUNNING, DONE = "#running/", "#done/"


_LONGEST = 1000  # bytes of a node's name that stand in a name in vineyard, which has 4,096 at most


def _mark(node: str) -> str:
    """What stands for a node in a name: Kedro makes up long names for nodes that have none."""
    whole = node.encode()
    return node if len(whole) <= _LONGEST else hashlib.sha256(whole).hexdigest()


class Progress:
    """What this process tells others of the nodes that it runs.

    Parameters
    ----------
    client : Client
    run : Run
    nodes : iterable of str
        Those that this process runs.
    """

    def __init__(self, client: Client, run: Run, nodes: Iterable[str]) -> None:
        self._client = client
        self._run = run
        self._nodes = tuple(nodes)
        self._claimed: list[str] = []

    def claim(self) -> None:
        """Say that this process runs its nodes. The instance forgets it when this process ends, in whatever way.

        Raises
        ------
        DatasetError
            Another process runs one of them.
        """
        here = {"process": os.getpid(), "host": socket.gethostname()}
        for node in self._nodes:
            name = self._run.prefix + RUNNING + _mark(node)
            try:
                self._client.put(here, name=name, if_version=0, linger=0)
            except ConflictException as error:
                self.give_up()
                raise DatasetError(
                    f"The node '{node}' of {self._run} is being run already, by {self._who(name)}. Two runs at "
                    "once need ids of their own: set VINEYARD_RUN_ID, to the same for all steps of one run, and to "
                    "something else for each run."
                ) from error
            self._claimed.append(name)

    def give_up(self) -> None:
        """This process runs its nodes no more."""
        for name in self._claimed:
            self._client.drop_name(name)
        self._claimed.clear()

    def finish(self, ttl: float | None) -> None:
        """Say, for so many seconds, that the nodes have been run."""
        for node in self._nodes:
            self._client.put(True, name=self._run.prefix + DONE + _mark(node), ttl=ttl)

    def have_run(self, nodes: Iterable[str]) -> bool:
        """Whether some process of the run has said so of each of these."""
        prefix = self._run.prefix + DONE
        done = {name.removeprefix(prefix) for name in self._client.list_names(prefix, prefix=True)}
        return {_mark(node) for node in nodes} <= done

    def _who(self, name: str) -> str:
        try:
            who = self._client.get(name=name)
            return f"process {who['process']} on {who['host']}"
        except (LookupError, TypeError):
            return "another process"


def names_of_datasets(names: Iterable[str], run: Run) -> list[str]:
    """Leave out those names of a run that stand for nodes."""
    marks = (run.prefix + RUNNING, run.prefix + DONE)
    return [name for name in names if not name.startswith(marks)]
