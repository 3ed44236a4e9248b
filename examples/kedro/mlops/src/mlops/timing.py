# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How long nodes take, and loading and saving in them; written only where ``MLOPS_TIMES`` names a file.

A line of JSON for each of these, appended to the file::

    {"what": "connect", "seconds": …}                   asking each table's store whether it is there
    {"what": "load", "node": …, "dataset": …, "seconds": …, "imported": […]}     inside the dataset's load()
    {"what": "save", "node": …, "dataset": …, "seconds": …, "imported": […]}     inside its save()
    {"what": "node", "node": …, "seconds": …}           from the first load to the end of the last save

Whether a table is there is asked before the first load: so that connections are made before any load is timed, in the
same way whatever the store. Modules that were imported while something was loaded or saved are noted; those that
``MLOPS_IMPORTS`` lists, with commas between, are imported before as well. So a first run tells what to import before the
next ones, and these have neither connecting nor importing in what is timed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node


class TimingHook:
    """Notes the times of a run of nodes one after another (Kedro's sequential runner)."""

    def __init__(self) -> None:
        self._node: str | None = None
        self._first = 0.0  # when that node began to load
        self._last = 0.0  # when it had loaded or saved

    @hook_impl(trylast=True)  # plugins may change the catalog
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        if not _file():
            return
        begun = time.perf_counter()
        for module in filter(None, os.environ.get("MLOPS_IMPORTS", "").split(",")):
            with contextlib.suppress(ImportError):  # it has another name in sys.modules
                importlib.import_module(module)
        tables = [name for name in sorted(pipeline.datasets()) if not name.startswith("params:")]
        for name in tables:
            catalog.exists(name)
        _write(what="connect", seconds=time.perf_counter() - begun)
        for name in tables:
            if (dataset := catalog.get(name)) is not None:
                # Not between Kedro's hooks: what it writes into its log takes longer than some loads.
                dataset.load = self._timed("load", name, dataset.load)
                dataset.save = self._timed("save", name, dataset.save)

    @hook_impl(trylast=True)
    def before_dataset_loaded(self, node: Node) -> None:
        self._begin(node)

    @hook_impl(trylast=True)
    def before_dataset_saved(self, node: Node) -> None:
        self._begin(node)

    @hook_impl
    def after_pipeline_run(self) -> None:
        self._end_node()

    def _timed(self, what: str, dataset: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call with its time noted."""

        def timed(*arguments: Any) -> Any:
            modules = set(sys.modules)
            begun = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self._last = time.perf_counter()
                _write(
                    what=what,
                    node=self._node,
                    dataset=dataset,
                    seconds=self._last - begun,
                    imported=sorted(set(sys.modules) - modules),
                )

        return timed

    def _begin(self, node: Node) -> None:
        if _file() and node.name != self._node:
            self._end_node()
            self._node, self._first = node.name, time.perf_counter()

    def _end_node(self) -> None:
        if self._node is not None:
            _write(what="node", node=self._node, seconds=self._last - self._first)
            self._node = None


def _file() -> str:
    return os.environ.get("MLOPS_TIMES", "")


def _write(**line: Any) -> None:
    with open(_file(), "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
