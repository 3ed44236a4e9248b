# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which datasets go from node to node, and which of them leave the process that runs a part of a pipeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kedro.framework import project
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

DEFAULT = "__default__"


def bare(dataset: str) -> str:
    """Return the dataset's name without what tells how it is read ("transcoding").

    Examples
    --------
    >>> bare("cars@spark")
    'cars'
    """
    return dataset.partition("@")[0]


def is_parameter(dataset: str) -> bool:
    return dataset == "parameters" or dataset.startswith("params:")


@dataclass(frozen=True)
class Flows:
    """Who makes and who reads each dataset of a pipeline.

    Attributes
    ----------
    made_by, read_by : dict
        Of each dataset's bare name: the names of nodes, in the pipeline's order.
    nodes : tuple of str
        All nodes.
    """

    made_by: Mapping[str, tuple[str, ...]]
    read_by: Mapping[str, tuple[str, ...]]
    nodes: tuple[str, ...]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> Flows:
        """Read them off the nodes."""
        made: dict[str, dict[str, None]] = defaultdict(dict)  # dicts keep the order
        read: dict[str, dict[str, None]] = defaultdict(dict)
        names: dict[str, None] = {}
        for node in nodes:
            names[node.name] = None
            for dataset in node.outputs:
                made[bare(dataset)][node.name] = None
            for dataset in node.inputs:
                if not is_parameter(dataset):
                    read[bare(dataset)][node.name] = None
        return cls(
            {name: tuple(made[name]) for name in made},
            {name: tuple(read[name]) for name in read},
            tuple(names),
        )

    @property
    def intermediate(self) -> set[str]:
        """Bare names of what one node makes and another reads."""
        return set(self.made_by) & set(self.read_by)

    def border(self, part: Flows) -> set[str]:
        """Bare names of those that the part shares with the rest: made or read outside of it as well."""
        within = set(part.nodes)
        return {
            name
            for name in self.intermediate & (set(part.made_by) | set(part.read_by))
            if not within.issuperset(self.made_by[name] + self.read_by[name])
        }


def whole_of(
    part: Flows, pipeline: Pipeline, registered: Mapping[str, Pipeline], names: Iterable[str]
) -> Flows:
    """Return the flows of the pipeline that a run runs a part of.

    That is the default pipeline where it has all nodes of the part, and else the pipelines that the run named.

    Parameters
    ----------
    part : Flows
        Of what is run.
    pipeline : Pipeline
        What is run.
    registered : dict
        All pipelines of the project.
    names : iterable of str
        Those that the run names; none: the default one.
    """
    everything = Flows.of(registered.get(DEFAULT, pipeline).nodes)
    if set(part.nodes) <= set(everything.nodes):
        return everything
    named = Flows.of(
        node for name in names if name in registered for node in registered[name].nodes
    )
    return named if set(part.nodes) <= set(named.nodes) else part


def readers(pipelines: Iterable[Pipeline]) -> dict[str, set[str]]:
    """Return who reads each dataset, in any of the pipelines."""
    found: dict[str, set[str]] = defaultdict(set)
    for pipeline in pipelines:
        for name, nodes in Flows.of(pipeline.nodes).read_by.items():
            found[name].update(nodes)
    return dict(found)


def registered_pipelines() -> dict[str, Pipeline]:
    """Return all pipelines of the project, also where Kedro has loaded only those that a run names."""
    pipelines: Any = project.pipelines
    requested = getattr(pipelines, "_requested_pipelines", None)
    if not requested:
        return dict(pipelines.items())
    pipelines.set_requested(None)
    try:
        return dict(pipelines.items())
    finally:
        pipelines.set_requested(requested)


def named_in(run_params: Mapping[str, Any]) -> list[str]:
    """Return the pipelines that a run names: Kedro calls them differently from release to release."""
    names = run_params.get("pipeline_names") or []
    one = run_params.get("pipeline_name")
    return [*names, *([one] if one else [])]


def named_run(run_params: Mapping[str, Any]) -> str:
    """Return the id that Kedro gave to a run, which was the session's before runs had their own."""
    return str(run_params.get("run_id") or run_params["session_id"])
