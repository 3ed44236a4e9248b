# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The hooks that have a run's datasets go through vineyard. Kedro finds `hooks` by the entry point ``kedro.hooks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from vineyard.contrib.kedro import flows, runner, runs, settings, sharing
from vineyard.contrib.kedro.io.dataset import VineyardDataset
from vineyard.contrib.kedro.io.place import Place
from vineyard.contrib.kedro.settings import Use


class VineyardHook:
    """Shares what nodes hand to each other; `vineyard.contrib.kedro.settings` says what a project may choose.

    A project has it by installing the plugin. One that names it among the ``HOOKS`` of its settings.py, as was needed
    with Kedro 0.18, has it once all the same.
    """

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
        if id(catalog) in sharing.running:  # by another hook of this kind
            return
        path, env = run_params["project_path"], run_params["env"]
        said = settings.read(project.settings.get("VINEYARD"), env)
        if said.use is Use.AUTO and runner.__name__ in str(run_params["runner"]):
            said = settings.Settings(Use.MEMORY, said.ttl)
        registered = flows.registered_pipelines()
        part = flows.Flows.of(pipeline.nodes)
        whole = flows.whole_of(part, pipeline, registered, flows.named_in(run_params))
        if set(whole.nodes) <= set(part.nodes):
            run = runs.whole_run(flows.named_run(run_params), _package(path))
        else:
            run = runs.partial_run(_package(path), path, env)
        readers = flows.readers(registered.values())
        sharing.Sharing(run, whole, part, said, readers).begin(pipeline, catalog)

    @hook_impl
    def after_pipeline_run(self, catalog: Any) -> None:
        """Remove what the run leaves and nobody else wants."""
        _end(catalog, finished=True)

    @hook_impl
    def on_pipeline_error(self, catalog: Any) -> None:
        """The same, but a node that did not come to its end is still to be run."""
        _end(catalog, finished=False)


def _end(catalog: Any, *, finished: bool) -> None:
    here = sharing.running.get(id(catalog))
    if here is not None:
        here.end(finished=finished)


def _package(path: str | Path) -> str:
    return project.PACKAGE_NAME or Path(path).name


#: The one that Kedro finds.
hooks = VineyardHook()
