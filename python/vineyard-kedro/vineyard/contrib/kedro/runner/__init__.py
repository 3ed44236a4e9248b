# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Kedro's runners, with what nodes hand over in vineyard where the catalog doesn't say where it is kept.

``kedro run --runner vineyard.contrib.kedro.runner.SequentialRunner``: the way it was done with Kedro 0.18. The setting
``"use": "memory"`` does the same with any runner.
"""

from __future__ import annotations

from typing import Any

from kedro import runner
from kedro.pipeline import Pipeline
from vineyard.contrib.kedro import runs, sharing
from vineyard.contrib.kedro.flows import Flows
from vineyard.contrib.kedro.settings import Settings, Use


class _Sharing:
    """Shares while it runs, unless the hook does: a script may start a runner without a session."""

    def run(self, pipeline: Pipeline, catalog: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        base: Any = super()
        if id(catalog) in sharing.running:
            return base.run(pipeline, catalog, *args, **kwargs)  # type: ignore[no-any-return]
        part = Flows.of(pipeline.nodes)
        here = sharing.Sharing(runs.whole_run("script", "script"), part, part, Settings(Use.MEMORY))
        here.begin(pipeline, catalog)
        try:
            return base.run(pipeline, catalog, *args, **kwargs)  # type: ignore[no-any-return]
        finally:
            here.end(finished=False)


class SequentialRunner(_Sharing, runner.SequentialRunner):
    """One node after another."""


class ThreadRunner(_Sharing, runner.ThreadRunner):
    """Nodes in threads."""


class ParallelRunner(_Sharing, runner.ParallelRunner):
    """Nodes in processes."""
