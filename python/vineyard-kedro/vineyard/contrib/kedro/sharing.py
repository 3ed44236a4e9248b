# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Deciding which datasets of a catalog go through vineyard in a run, and having them do so."""

from __future__ import annotations

import logging
import os
import socket as sockets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kedro.io import AbstractDataset, DatasetError, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Pipeline
from vineyard import Client
from vineyard.connecting import find_socket
from vineyard.contrib.kedro.flows import Flows, bare
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.io.place import START, Place, connect
from vineyard.contrib.kedro.runs import ROOT, Run
from vineyard.contrib.kedro.settings import Settings, Use
from vineyard.errors import ConflictException

logger = logging.getLogger("kedro.vineyard")

#: Seconds that what a whole run shares outlives a process of it that was killed.
_LINGER = 60.0
#: What the names begin with that say which nodes of a run are being run; no dataset's begins so.
CLAIM = "#running/"


@dataclass(frozen=True)
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
    """

    run: Run
    flows: Flows
    part: Flows
    settings: Settings
    _claims: list[tuple[Client, str]] = field(default_factory=list)

    def begin(self, pipeline: Pipeline, catalog: Any) -> None:
        """Have the catalog's datasets go through vineyard, as the settings say.

        Raises
        ------
        DatasetError
            There is no instance, where one is needed; or a node of this run is being run already.
        """
        wanted = self._wanted(pipeline, catalog)
        bound = self._bound(pipeline, catalog)
        socket = find_socket()
        if socket is None and self._embeds(wanted, bound):
            socket = connect(None, embedded=True).ipc_socket
        if socket is None and wanted:
            self._tell_what_is_lost(wanted, pipeline)
            wanted = []
        for name in wanted:
            catalog[name] = bound[name] = VineyardDataset(bare(name))
        for name, dataset in bound.items():
            dataset.bind(self._place(name, socket))
        if bound and not self.run.whole:
            self._claim(connect(socket, embedded=False))
        if wanted:
            logger.info(
                "Through vineyard (%s): %s", socket, ", ".join(sorted(set(map(bare, wanted))))
            )

    def end(self) -> None:
        """Remove what belongs to this run alone."""
        for client, name in self._claims:
            client.drop_name(name)
        self._claims.clear()
        socket = find_socket()
        if self.run.whole and socket is not None:
            remove(connect(socket, embedded=False), self.run.prefix)

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
                dataset = catalog.get(name)
                assert isinstance(dataset, VineyardDataset)
                found[name] = dataset
        return found

    # ---- where

    def _embeds(self, wanted: list[str], bound: dict[str, VineyardDataset]) -> bool:
        """Whether to start a private instance: all nodes run in this process' tree, and somebody asked for vineyard."""
        asked = self.settings.use is Use.ALWAYS and wanted
        return self.run.whole and bool(asked or bound)

    def _place(self, name: str, socket: str | None) -> Place:
        between = bare(name) in self.flows.intermediate
        story = self._story(bare(name))
        if not between:
            # An input or an output of the whole pipeline: the project's, and nothing that a run takes away.
            prefix = f"{ROOT}{self.run.package}/"
            return Place(prefix, socket, frees=False, embedded=self.run.whole, story=story)
        if self.run.whole:
            # "x@pandas" may be let go by Kedro when only "x@spark" is still to be read.
            frees = bare(name) == name
            return Place(
                self.run.prefix, socket, linger=_LINGER, frees=frees, ephemeral=True, story=story
            )
        return Place(
            self.run.prefix,
            socket,
            ttl=self.settings.ttl,
            frees=bare(name) == name and name not in self.flows.border(self.part),
            embedded=False,
            story=story,
        )

    def _story(self, name: str) -> str:
        makers = self.flows.made_by.get(name, ())
        if not makers:
            return "No node makes it: save it first, or give its entry in the catalog another type."
        made = " and ".join(f"'{maker}'" for maker in makers)
        if set(makers) <= set(self.part.nodes):
            return f"It is made by the node {made}, which has not saved it in {self.run}."
        return (
            f"It is made by the node {made}: run that first (kedro run --nodes={','.join(makers)}), in the same run: "
            f"this is {self.run}. What parts of a run share goes {_duration(self.settings.ttl)}."
        )

    def _tell_what_is_lost(self, wanted: list[str], pipeline: Pipeline) -> None:
        """There is no instance: say what that means for what a part of the pipeline needs from the rest, or makes for it."""
        missing = sorted(name for name in wanted if name in pipeline.inputs())
        if missing:
            name = missing[0]
            raise DatasetError(
                f"'{name}' is made by the node '{self.flows.made_by[bare(name)][0]}', which is not part of this run. The "
                f"catalog doesn't say where it is kept, and there is no vineyard instance to hand it over. {START}"
            )
        if self.run.whole:
            return
        logger.warning(
            "No vineyard instance runs: other processes won't get %s. %s", ", ".join(wanted), START
        )

    # ---- one process for each node

    def _claim(self, client: Client) -> None:
        """Say that this process runs its nodes; the instance forgets it when this process ends, in whatever way."""
        here = {"process": os.getpid(), "host": sockets.gethostname()}
        for node in self.part.nodes:
            name = f"{self.run.prefix}{CLAIM}{node}"
            try:
                client.put(here, name=name, if_version=0, linger=0)
            except ConflictException as error:
                self.end()
                raise DatasetError(
                    f"The node '{node}' of {self.run} is being run already, by {_who(client, name)}. Two runs at once "
                    "need ids of their own: set VINEYARD_RUN_ID to something else for each, the same for all steps of "
                    "one run."
                ) from error
            self._claims.append((client, name))


def _who(client: Client, name: str) -> str:
    try:
        who = client.get(name=name)
        return f"process {who['process']} on {who['host']}"
    except (LookupError, TypeError):
        return "another process"


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
    """Remove all names that begin so, and with them what nothing else refers to; returns those that were there."""
    return [name for name in client.list_names(prefix, prefix=True) if client.drop_name(name)]


def names_of_datasets(names: Iterable[str]) -> list[str]:
    """Leave out those names that are of no dataset."""
    return [name for name in names if f"/{CLAIM}" not in name]
