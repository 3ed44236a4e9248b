# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard check`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import click
from vineyard.connecting import find_socket, shared_client
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.crossings import Crossing, Verdict, crossings
from vineyard.contrib.kedro.plugins.cli.project import Project
from vineyard.contrib.kedro.plugins.cli.tasks import split
from vineyard.errors import VineyardException


@click.command(
    epilog="""
    \b
    -o json prints
      {"datasets": [{"dataset", "made_by": [...], "read_by": [...], "kept_as",
      "verdict", "why", "advice"}, ...], "tasks", "instance": {"socket",
      "answers", "error"}}

    \b
    example: what would happen if each namespace of the pipeline were a pod
      kedro vineyard check --pipeline=training --by=namespace
    """
)
@manners.pipeline_option("The pipeline")
@manners.env_option()
@manners.by_option()
@manners.output_option()
@click.pass_obj
def check(metadata: Any, pipeline: str | None, env: str | None, by: Any, output: str) -> None:
    """Show what parts of a pipeline lose or copy when each runs as a process of its own.

    It looks at each dataset that one task makes and another reads, and says what becomes of it:

    \b
      shared    through vineyard: readers map the pages that the writer filled
      copied    written to a file or a database, read and parsed again
      lost      in the memory of a process that has ended

    Nothing is run. The exit code is 1 if something is lost.
    """
    project = Project(metadata, env)
    tasks = split(project.pipeline(pipeline), by)
    found = crossings(tasks, project.catalog(), project.settings().use, hook=project.shares())
    instance = _instance()
    if output == "json":
        manners.print_json(
            {
                "datasets": [crossing.told() for crossing in found],
                "tasks": len(tasks),
                "instance": instance,
            }
        )
    else:
        _show(found, len(tasks), instance)
    lost = [crossing.dataset for crossing in found if crossing.verdict is Verdict.LOST]
    if lost:
        raise manners.CommandFailed(f"Lost between tasks: {', '.join(lost)}.")
    if not instance["answers"] and any(one.verdict is Verdict.SHARED for one in found):
        manners.remark(
            "No instance answers here. Where the tasks run there must be one, or what is shared would be lost."
        )


def _instance() -> dict[str, Any]:
    """Return which instance tasks on this machine would use, and whether it answers now."""
    socket = None
    try:
        socket = find_socket()
        if socket is not None:
            shared_client(socket).status  # noqa: B018  (it asks)
            return {"socket": socket, "answers": True, "error": None}
        error = "none runs on this machine"
    except VineyardException as problem:
        error = str(problem)
    return {"socket": socket, "answers": False, "error": error}


def _show(found: list[Crossing], tasks: int, instance: dict[str, Any]) -> None:
    if found:
        manners.print_table(
            ["DATASET", "MADE BY", "READ BY", "KEPT AS", "VERDICT"],
            [
                [
                    crossing.dataset,
                    ", ".join(crossing.made_by),
                    ", ".join(crossing.read_by),
                    crossing.kept_as,
                    crossing.verdict.value,
                ]
                for crossing in found
            ],
        )
    else:
        click.echo(f"Nothing goes from one to another of {tasks} tasks.")
    for (verdict, why, advice), names in _alike(found).items():
        click.echo(f"\n{verdict.value}: {', '.join(names)}\n  {why}")
        if advice:
            click.echo(f"  {advice}")
    said = "answers" if instance["answers"] else f"does not answer: {instance['error']}"
    click.echo(f"\nThe vineyard instance {instance['socket'] or ''} {said}".replace("  ", " "))


def _alike(found: list[Crossing]) -> dict[tuple[Verdict, str, str], list[str]]:
    groups: dict[tuple[Verdict, str, str], list[str]] = defaultdict(list)
    for crossing in found:
        groups[crossing.verdict, crossing.why, crossing.advice].append(crossing.dataset)
    return groups
