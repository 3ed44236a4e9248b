# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Cutting a pipeline into parts that run as processes of their own."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from vineyard.contrib.kedro.plugins.cli.manners import CommandFailed

By = Literal["node", "namespace"]


@dataclass(frozen=True)
class Task:
    """A part of a pipeline.

    Attributes
    ----------
    select : str
        The option of `kedro run` that runs it, which tells it from all others.
    name : str
        The node's, or the namespace.
    nodes : tuple of Node
    needs : tuple of str
        `select` of those that must have been run before.
    """

    select: str
    name: str
    nodes: tuple[Node, ...]
    needs: tuple[str, ...]


def split(pipeline: Pipeline, by: By) -> list[Task]:
    """Return the tasks, each after those that it needs.

    Raises
    ------
    CommandFailed
        Namespaces need each other, or `kedro run` can't be told to run a part.
    """
    part_of = {node: _select(node, by) for node in pipeline.nodes}
    nodes: dict[str, list[Node]] = {}
    needs: dict[str, dict[str, Node]] = {}
    for node in pipeline.nodes:
        select = part_of[node]
        nodes.setdefault(select, []).append(node)
        for parent in sorted(pipeline.node_dependencies[node]):
            if part_of[parent] != select:
                needs.setdefault(select, {}).setdefault(part_of[parent], node)
    try:
        order = graphlib.TopologicalSorter({one: needs.get(one, {}) for one in nodes})
        sequence = list(order.static_order())
    except graphlib.CycleError as error:
        raise CommandFailed(_circle(error.args[1], needs)) from error
    return [
        Task(select, _name(select), tuple(nodes[select]), tuple(needs.get(select, ())))
        for select in sequence
    ]


def _select(node: Node, by: By) -> str:
    option, name = "--nodes", node.name
    if by == "namespace" and node.namespace:
        option, name = "--namespaces", node.namespace.partition(".")[0]
    if not _can_be_told(name):
        raise CommandFailed(
            f"'kedro run {option}' can't name '{name}': commas, spaces at the ends and '{{{{' mean something else "
            "there. Give the node, or its namespace, another name."
        )
    return f"{option}={name}"


def _can_be_told(name: str) -> bool:
    return name == name.strip() and not any(sign in name for sign in (",", "{{", "\n", "[", "]"))


def _name(select: str) -> str:
    return select.partition("=")[2]


def _circle(sequence: Iterable[str], needs: dict[str, dict[str, Node]]) -> str:
    # Each is needed by the one after it.
    circle = list(sequence)
    steps = [
        f"'{_name(after)}' needs '{_name(before)}' (for its node '{needs[after][before].name}')"
        for before, after in itertools.pairwise(circle)
    ]
    return (
        f"Namespaces need each other, so that none can be run first: {', and '.join(steps)}. Say --by=node, or move "
        "nodes to namespaces of their own."
    )
