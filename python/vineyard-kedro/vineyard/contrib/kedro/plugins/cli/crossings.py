# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What becomes of the datasets that go from one task to another."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kedro.io import (
    AbstractDataset,
    CachedDataset,
    DatasetError,
    MemoryDataset,
    SharedMemoryDataset,
)
from vineyard.contrib.kedro.flows import Flows, bare
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.plugins.cli.manners import CommandFailed
from vineyard.contrib.kedro.plugins.cli.tasks import Task
from vineyard.contrib.kedro.settings import Use

#: Protocols of paths that are on this machine.
_LOCAL = ("file", "local")
_ENTRY = "an entry in the catalog (kedro vineyard catalog create)"


class Verdict(Enum):
    """What becomes of a dataset between tasks."""

    SHARED = "shared"
    COPIED = "copied"
    LOST = "lost"


@dataclass(frozen=True)
class Crossing:
    """A dataset that goes from one task to another.

    Attributes
    ----------
    dataset : str
        Its bare name.
    made_by, read_by : tuple of str
        Nodes.
    kept_as : str
        Types of the catalog.
    verdict : Verdict
    why, advice : str
        `advice` is empty where there is nothing to do.
    """

    dataset: str
    made_by: tuple[str, ...]
    read_by: tuple[str, ...]
    kept_as: str
    verdict: Verdict
    why: str
    advice: str

    def told(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return vars(self) | {"verdict": self.verdict.value}


@dataclass(frozen=True)
class _Way:
    """How a dataset is kept, by one of the names that nodes call it: with and without transcoding."""

    kind: str  # "vineyard", "memory" or "file"
    kept_as: str
    by_hook: bool = False
    name: str = ""  # of what is in vineyard
    local: bool = False


def crossings(tasks: Iterable[Task], catalog: Any, use: Use, *, hook: bool) -> list[Crossing]:
    """Return all datasets that go from one task to another, in the order of their names.

    Parameters
    ----------
    tasks : iterable of Task
    catalog : DataCatalog
    use : Use
        Of the project's settings.
    hook : bool
        Whether the plugin's hook is on.
    """
    tasks = list(tasks)
    nodes = [node for task in tasks for node in task.nodes]
    task_of = {node.name: task.select for task in tasks for node in task.nodes}
    flows = Flows.of(nodes)
    calls: dict[str, set[str]] = {}
    for node in nodes:
        for name in (*node.inputs, *node.outputs):
            calls.setdefault(bare(name), set()).add(name)
    found = []
    for name in sorted(flows.intermediate):
        made_by, read_by = flows.made_by[name], flows.read_by[name]
        if len({task_of[node] for node in made_by + read_by}) == 1:
            continue
        ways = [_way(catalog, call, use, hook) for call in sorted(calls[name])]
        kept_as = ", ".join(dict.fromkeys(way.kept_as for way in ways))
        found.append(Crossing(name, made_by, read_by, kept_as, *_judge(ways, use, hook)))
    return found


def _way(catalog: Any, name: str, use: Use, hook: bool) -> _Way:
    try:
        dataset = catalog.get(name) if name in catalog else None
    except DatasetError as error:
        raise CommandFailed(f"The entry '{name}' of the catalog can't be used: {error}") from error
    if isinstance(dataset, VineyardDataset):
        described = dataset._describe()
        return _Way("vineyard", "VineyardDataset", name=f"{described['name']}")
    memory = dataset is None or isinstance(dataset, (MemoryDataset, SharedMemoryDataset))
    kept_as = "not in the catalog" if dataset is None else type(dataset).__name__
    if hook and use is not Use.NEVER and (memory or use is Use.ALWAYS):
        return _Way("vineyard", kept_as, by_hook=True, name=bare(name))
    if memory:
        return _Way("memory", kept_as)
    return _file(dataset, kept_as)


def _file(dataset: AbstractDataset[Any, Any] | None, kept_as: str) -> _Way:
    within = dataset
    while isinstance(within, CachedDataset):  # whose cache is that of one process
        within = within._dataset
        kept_as = f"{kept_as} of {type(within).__name__}"
    if isinstance(within, (MemoryDataset, SharedMemoryDataset)):
        return _Way("memory", kept_as)
    protocol = getattr(within, "_protocol", None)
    path = getattr(within, "_filepath", None)
    if protocol is None and isinstance(path, (str, os.PathLike)):
        protocol = "file" if "://" not in str(path) else "remote"
    return _Way("file", kept_as, local=protocol in _LOCAL)


def _judge(ways: list[_Way], use: Use, hook: bool) -> tuple[Verdict, str, str]:
    kinds = {way.kind for way in ways}
    if len(kinds) > 1 or len({way.name for way in ways}) > 1:
        return (
            Verdict.LOST,
            "It is transcoded, and what one name of it writes, another does not read: they are kept in different places.",
            "Keep all of its names in vineyard under the same 'name', or all in files with the same 'filepath'.",
        )
    if "vineyard" in kinds:
        return _judge_shared(ways, use, hook)
    if "memory" in kinds:
        return _judge_lost(ways, use, hook)
    why = "It is written, and each task that reads it reads and parses it again."
    advice = (
        f"To share it: 'use': 'always' in VINEYARD of settings.py, or VineyardDataset as {_ENTRY}."
    )
    if any(way.local for way in ways):
        why += " Its path is of the machine: it is lost between pods that have no volume in common there."
    return Verdict.COPIED, why, advice


def _judge_shared(ways: list[_Way], use: Use, hook: bool) -> tuple[Verdict, str, str]:
    if any(way.by_hook for way in ways):
        why = f"By the plugin's hook ('use' is '{use.value}'), where an instance runs."
        return Verdict.SHARED, why, ""
    if hook:
        return Verdict.SHARED, "By the catalog.", ""
    return (
        Verdict.SHARED,
        "By the catalog; but the plugin's hook is off, so that all runs have the same names, and overwrite each other's.",
        "Take 'vineyard-kedro' out of DISABLE_HOOKS_FOR_PLUGINS in settings.py.",
    )


def _judge_lost(ways: list[_Way], use: Use, hook: bool) -> tuple[Verdict, str, str]:
    why = "It is kept in the memory of the task that makes it, and ends with that."
    if any(" of " in way.kept_as for way in ways):
        return Verdict.LOST, why, f"Give what is cached {_ENTRY}, or say 'use': 'always'."
    if not hook:
        why += " The plugin's hook, which would share it, is off (DISABLE_HOOKS_FOR_PLUGINS in settings.py)."
        return Verdict.LOST, why, f"Turn the hook on, or give the dataset {_ENTRY}."
    why += f" The plugin's hook, which would share it, is told not to: 'use' is '{use.value}'."
    advice = "Say 'auto' in VINEYARD of settings.py (or in VINEYARD_KEDRO, which counts more), or give the dataset "
    return Verdict.LOST, why, f"{advice}{_ENTRY}."
