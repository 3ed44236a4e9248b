# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Deciding which datasets of a catalog go through vineyard in a run, and having them do so."""

from __future__ import annotations

import atexit
import contextlib
import logging
from dataclasses import dataclass, field
from typing import Any

from kedro.io import AbstractDataset, DatasetError, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Pipeline
from vineyard import Client
from vineyard.connecting import find_socket
from vineyard.contrib.kedro.flows import Flows, bare
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.io.place import START, Place, connect
from vineyard.contrib.kedro.progress import Progress
from vineyard.contrib.kedro.runs import ROOT, Run
from vineyard.contrib.kedro.settings import Settings, Use
from vineyard.errors import VineyardException

logger = logging.getLogger("kedro.vineyard")

#: Seconds that what a whole run shares outlives a process of it that was killed.
_LINGER = 60.0

#: Who shares now, by the id of the catalog: the hook, or a runner that was started without one.
running: dict[int, Sharing] = {}


@atexit.register
def _end_all() -> None:
    """Ctrl-C ends a run of which Kedro tells no hook."""
    for sharing in list(running.values()):
        with contextlib.suppress(DatasetError, VineyardException):  # the instance has gone first
            sharing.end(finished=False)


@dataclass
class Sharing:
    """One run's use of vineyard.

    Attributes
    ----------
    run : Run
    flows : Flows
        Of the whole pipeline.
    part : Flows
        Of what this process runs.
    settings : Settings
    readers : dict, optional
        Of each dataset's bare name the nodes of any pipeline of the project that read it; by default those of `flows`.
    """

    run: Run
    flows: Flows
    part: Flows
    settings: Settings
    readers: dict[str, set[str]] | None = None
    _catalog: Any = None
    _sockets: set[str] = field(default_factory=set)
    _progress: list[Progress] = field(default_factory=list)

    def begin(self, pipeline: Pipeline, catalog: Any) -> None:
        """Have the catalog's datasets go through vineyard, as the settings say.

        Raises
        ------
        DatasetError
            There is no instance, where one is needed; or a node of this run is being run already.
        """
        wanted = self._wanted(pipeline, catalog)
        bound = self._bound(pipeline, catalog)
        socket, absence = self._instance(wanted, bound)
        if wanted and socket is None:
            self._tell_what_is_lost(wanted, pipeline, absence)
            wanted = []
        for name in wanted:
            catalog[name] = bound[name] = VineyardDataset(bare(name))
        for name, dataset in bound.items():
            dataset.bind(self._place(name, socket))
            self._sockets.add(dataset.socket or socket or "")
        if not self.run.whole:
            self._claim_nodes()
        if wanted:
            named = ", ".join(sorted(set(map(bare, wanted))))
            logger.info("Through vineyard (%s): %s", socket, named)
        self._catalog = catalog
        running[id(catalog)] = self

    def end(self, *, finished: bool) -> None:
        """Remove what nobody wants any more: what belongs to this run alone, and what all have read.

        Parameters
        ----------
        finished : bool
            Whether all nodes of this process have been run.
        """
        running.pop(id(self._catalog), None)
        for progress in self._progress:
            progress.give_up()
            if finished and self.run.kind == "workflow":
                progress.finish(self.settings.ttl)
                self._free_what_was_read(progress)
        self._progress.clear()
        if self.run.whole:
            for socket in self._sockets:
                remove(connect(socket or None, embedded=False), self.run.prefix)

    def _claim_nodes(self) -> None:
        """At one instance, the same for all processes of the run that run the same nodes."""
        for socket in sorted(self._sockets)[:1]:
            progress = Progress(connect(socket or None, embedded=False), self.run, self.part.nodes)
            progress.claim()
            self._progress.append(progress)

    # ---- which

    def _wanted(self, pipeline: Pipeline, catalog: Any) -> list[str]:
        """Return the datasets, as the pipeline names them, that are to be replaced."""
        if self.settings.use is Use.NEVER:
            return []
        between = self.flows.intermediate
        if self.settings.use is Use.AUTO and not isinstance(catalog, SharedMemoryDataCatalog):
            between = self.flows.border(self.part)
        return [
            name
            for name in sorted(pipeline.datasets())
            if bare(name) in between and self._replaces(kept_as(catalog, name))
        ]

    def _replaces(self, kept: type[AbstractDataset[Any, Any]] | None) -> bool:
        if kept is not None and issubclass(kept, VineyardDataset):
            return False
        return self.settings.use is Use.ALWAYS or kept is None or issubclass(kept, MemoryDataset)

    def _bound(self, pipeline: Pipeline, catalog: Any) -> dict[str, VineyardDataset]:
        """Return the datasets that the catalog has in vineyard already."""
        found = {}
        for name in sorted(pipeline.datasets()):
            kept = kept_as(catalog, name)
            if kept is not None and issubclass(kept, VineyardDataset):
                found[name] = catalog.get(name)
        return found

    # ---- where

    def _instance(
        self, wanted: list[str], bound: dict[str, VineyardDataset]
    ) -> tuple[str | None, str]:
        """Return the instance's socket, or None and why there is none."""
        socket, asked = find_socket(), self.settings.use is not Use.AUTO
        if socket is None:
            # A private one serves where all nodes run in this process' tree, and somebody asked for vineyard.
            needed = any(not dataset.socket for dataset in bound.values())
            if self.run.whole and ((asked and wanted) or needed):
                return connect(None, embedded=True).ipc_socket, ""
            return None, "No vineyard instance runs on this machine."
        if (
            wanted and not asked
        ):  # whoever asked for it hears from the first dataset that it isn't there
            try:
                connect(socket, embedded=False)
            except DatasetError as error:
                return None, str(error).removesuffix(START)
        return socket, ""

    def _place(self, name: str, socket: str | None) -> Place:
        story = self._story(bare(name))
        if bare(name) not in self.flows.intermediate:
            # An input or an output of the whole pipeline: the project's, and nothing that a run takes away.
            prefix = f"{ROOT}{self.run.package}/"
            return Place(prefix, socket, frees=False, embedded=self.run.whole, story=story)
        # Kedro lets go of "x@pandas" also when "x@spark" is still to be read.
        frees = bare(name) == name
        if self.run.whole:
            return Place(
                self.run.prefix, socket, linger=_LINGER, frees=frees, ephemeral=True, story=story
            )
        return Place(
            self.run.prefix,
            socket,
            ttl=self.settings.ttl,
            frees=frees and name not in self.flows.border(self.part),
            embedded=False,
            story=story,
        )

    def _free_what_was_read(self, progress: Progress) -> None:
        """Remove each dataset between nodes that all who read it have read."""
        readers = self.readers or {name: set(read) for name, read in self.flows.read_by.items()}
        for name in self.part.read_by.keys() & self.flows.intermediate:
            dataset = self._catalog.get(name) if name in self._catalog else None
            if isinstance(dataset, VineyardDataset) and progress.have_run(readers[name]):
                dataset.free()

    # ---- what is said

    def _story(self, name: str) -> str:
        makers = self.flows.made_by.get(name, ())
        if not makers:
            return "No node makes it: save it first, or give its entry in the catalog another type."
        made = " and ".join(f"'{maker}'" for maker in makers)
        if set(makers) <= set(self.part.nodes):
            return f"It is made by the node {made}, which has not saved it in {self.run}."
        ends = [f"goes {_duration(self.settings.ttl)}"]
        if self.run.kind == "workflow":
            ends.append("and once all nodes that read it have been run")
        return (
            f"It is made by the node {made}: run that first (kedro run --nodes={','.join(makers)}), in the same run: "
            f"this is {self.run}. What parts of a run share {' '.join(ends)}."
        )

    def _tell_what_is_lost(self, wanted: list[str], pipeline: Pipeline, absence: str) -> None:
        """There is no instance: say what that means for what a part needs from the rest, or makes for it."""
        missing = sorted(name for name in wanted if name in pipeline.inputs())
        if missing:
            makers = self.flows.made_by[bare(missing[0])]
            raise DatasetError(
                f"'{missing[0]}' is made by the node '{makers[0]}', which is not part of this run, and the catalog "
                f"doesn't say where it is kept. Vineyard could hand it over. {absence} {START}"
            )
        if not self.run.whole:
            named = ", ".join(sorted(set(map(bare, wanted))))
            logger.warning("Other processes won't get %s. %s %s", named, absence, START)


def _duration(ttl: float | None) -> str:
    if ttl is None:
        return "when it is removed (kedro vineyard clean)"
    hours = ttl / 3600
    return f"{hours:g} hours after it was saved" if hours >= 1 else f"{ttl:g} s after it was saved"


def kept_as(catalog: Any, name: str) -> type[AbstractDataset[Any, Any]] | None:
    """Return the type that the catalog gives a dataset; None where it gives none."""
    if name not in catalog:
        return None
    dataset = catalog.get(name)
    return None if dataset is None else type(dataset)


def remove(client: Client, prefix: str) -> list[str]:
    """Remove all names that begin so, with what nothing else refers to; returns those that were there."""
    return [name for name in client.list_names(prefix, prefix=True) if client.drop_name(name)]
