# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The hooks that have a run's datasets go through vineyard. Kedro finds `hooks` by the entry point ``kedro.hooks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from vineyard.contrib.kedro import runs, settings
from vineyard.contrib.kedro.flows import Flows, named_in, named_run, whole_of
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.io.place import Place
from vineyard.contrib.kedro.sharing import Sharing


class VineyardHook:
    """Shares what nodes hand to each other; `vineyard.contrib.kedro.settings` says what a project may choose.

    A project has it by installing the plugin. One that names it among the ``HOOKS`` of its settings.py, as was needed
    with Kedro 0.18, has it once all the same.
    """

    #: Of each catalog that runs now. Shared by all hooks, so that a second one finds that it has nothing to do.
    _running: ClassVar[dict[int, Sharing]] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """For notebooks, where nothing runs: datasets in vineyard are those of steps that were run by hand."""
        run = runs.partial_run(
            _package(context.project_path), str(context.project_path), context.env
        )
        VineyardDataset.outside_of_runs = Place(run.prefix)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Any
    ) -> None:
        """Put datasets in vineyard into the catalog, before the runner looks for what is missing there."""
        if id(catalog) in self._running:
            return
        path, env = run_params["project_path"], run_params["env"]
        said = settings.read(project.settings.get("VINEYARD"), env)
        part = Flows.of(pipeline.nodes)
        flows = whole_of(pipeline, named_in(run_params))
        if set(flows.nodes) <= set(part.nodes):
            run = runs.whole_run(named_run(run_params), _package(path))
        else:
            run = runs.partial_run(_package(path), path, env)
        sharing = Sharing(run, flows, part, said)
        sharing.begin(pipeline, catalog)
        self._running[id(catalog)] = sharing

    @hook_impl
    def after_pipeline_run(self, catalog: Any) -> None:
        """Remove what the run leaves and nobody else wants."""
        self._end(catalog)

    @hook_impl
    def on_pipeline_error(self, catalog: Any) -> None:
        """The same."""
        self._end(catalog)

    def _end(self, catalog: Any) -> None:
        sharing = self._running.pop(id(catalog), None)
        if sharing is not None:
            sharing.end()


def _package(path: str | Path) -> str:
    return project.PACKAGE_NAME or Path(path).name


#: The one that Kedro finds.
hooks = VineyardHook()
