# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A copy of the project in a folder of its own, and the times of its nodes there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from side_by_side import processes
from side_by_side.peers.peer import ROOT

SOURCE = ROOT / "examples/kedro/mlops"
PYTHON = ROOT / "build/peers/kedro/bin/python"
# Nodes, in an order that they can be run in, and the table that each hands over or leaves. What the first one reads is
# the same file in every way.
NODES = {
    "outliers_node": "house_prices_no_outliers",
    "create_target_node": "y_train",
    "drop_cols_node": "house_prices_drop",
    "fill_na_node": "house_prices_no_na",
    "total_sf_node": "house_prices_clean",
}
TABLES = tuple(NODES.values())
_DIGESTS = Path(__file__).with_name("digests.py")


class Failed(Exception):
    """A process of the project failed; the message has what it said."""


@dataclass
class Times:
    """Seconds of one run of all nodes, one after another.

    Attributes
    ----------
    nodes : dict
        Of each node: from its first load to the end of its last save.
    load, save : dict
        Of each node: inside the datasets' load and save, of tables that are handed over.
    connect : float
        Before all nodes' first load: having each store say whether the tables are there, and importing what it is
        known to import later.
    processes : float
        Of all five processes: from being started to having ended.
    imported : set of str
        Modules that were imported while something was loaded or saved.
    """

    nodes: dict[str, float] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    save: dict[str, float] = field(default_factory=dict)
    connect: float = 0.0
    processes: float = 0.0
    imported: set[str] = field(default_factory=set)

    @property
    def sum(self) -> float:
        return sum(self.nodes.values())

    @property
    def handing_over(self) -> float:
        return sum(self.load.values()) + sum(self.save.values())

    @property
    def start(self) -> float:
        """Of all processes: what is no node's time and no connecting; the interpreter, imports, and Kedro's own."""
        return self.processes - self.sum - self.connect


class Project:
    """The project, copied, so that runs leave nothing in the checkout and don't meet.

    Parameters
    ----------
    folder : Path
        Is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", "data", "logs", "*.egg-info")
        shutil.copytree(SOURCE, folder, ignore=ignored)
        generate = [sys.executable, "src/mlops/generate.py", "data/01_raw/train.csv"]
        _run(generate, folder, {})

    def run(
        self,
        environment: str,
        multiplier: int,
        variables: dict[str, str],
        look: Callable[[str], None] = lambda table: None,
    ) -> Times:
        """Run all nodes in an environment, each in a process of its own.

        Parameters
        ----------
        environment : str
        multiplier : int
        variables : dict
            Environment variables of the processes.
        look : callable, optional
            Is called after each node with the name of the table that it made: later the table may have gone, because
            all have read it.

        Raises
        ------
        Failed
        """
        times = Times()
        log = self.folder / "times.jsonl"
        variables = variables | {
            "DATA_AUGMENT_MULTIPLIER": str(multiplier),
            "MLOPS_TIMES": str(log),
        }
        for node in NODES:
            log.unlink(missing_ok=True)
            command = [PYTHON, "-m", "kedro", "run", "--env", environment, "--nodes", node]
            begun = time.perf_counter()
            _run(command, self.folder, variables)
            times.processes += time.perf_counter() - begun
            add(times, node, map(json.loads, log.read_text().splitlines()))
            look(NODES[node])
        return times

    def digest(self, environment: str, table: str, variables: dict[str, str]) -> str:
        """Return a digest of a table as a process that reads it now gets it.

        Raises
        ------
        Failed
        """
        command = [PYTHON, "-P", _DIGESTS, environment, table]
        return _run(command, self.folder, variables).splitlines()[-1]


def add(times: Times, node: str, lines: Iterable[dict[str, Any]]) -> None:
    """Add what the project's timing noted of a node (see examples/kedro/mlops/src/mlops/timing.py).

    Examples
    --------
    >>> times = Times()
    >>> add(times, "a", [{"what": "load", "node": "a", "dataset": "y_train", "seconds": 1.5, "imported": []},
    ...                  {"what": "load", "node": "a", "dataset": "house_prices", "seconds": 8.0, "imported": []},
    ...                  {"what": "node", "node": "a", "seconds": 12.0}])
    >>> times.handing_over, times.sum
    (1.5, 12.0)
    """
    times.load[node] = times.save[node] = 0.0
    for line in lines:
        what, seconds = line["what"], line["seconds"]
        if what == "connect":
            times.connect += seconds
        elif what == "node":
            times.nodes[node] = seconds
        elif line["dataset"] in TABLES:
            (times.load if what == "load" else times.save)[node] += seconds
            times.imported.update(line["imported"])
    if node not in times.nodes:
        raise Failed(f"{node} noted no time")


def _run(command: list[Any], folder: Path, variables: dict[str, str]) -> str:
    """Run a process in the folder, and return what it said on stdout."""
    environment = processes.environment(variables | {"DO_NOT_TRACK": "1"})  # Kedro's telemetry
    environment.pop("PYTHONPATH", None)  # the driver's
    if "VINEYARD_IPC_SOCKET" not in variables:
        environment["VINEYARD_KEDRO"] = "never"  # an instance of the machine has no part in this
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=processes.die_with_parent,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(map(str, command))
        raise Failed(f"'{words}' exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
