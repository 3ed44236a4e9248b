# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard clean`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import click
from vineyard.contrib.kedro import runs
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.project import Project
from vineyard.contrib.kedro.plugins.cli.stored import Stored, describe, names_of, reach
from vineyard.progress import size_text


@click.command(
    epilog="""
    \b
    -o json prints
      {"runs": [{"run", "values", "bytes", "running": [WHAT, ...], "removed"},
      ...], "values", "bytes"}, where "removed" is false with --dry-run and for
      what is being run

    \b
    example: what all runs have left, and away with it
      kedro vineyard clean --all --dry-run
      kedro vineyard clean --all
    """
)
@click.option(
    "--run",
    "run_id",
    metavar="ID",
    help="Of this run: the id of a workflow, or as 'kedro vineyard list' shows it. By default the one that the "
    "environment tells of (VINEYARD_RUN_ID, ARGO_WORKFLOW_UID, ...), else what was run by hand, step by step.",
)
@click.option("--all", "of_all", is_flag=True, help="Of all runs of this project.")
@manners.env_option()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@manners.force_option("Also of a run of which a node is being run now.")
@manners.output_option()
@click.pass_obj
def clean(
    metadata: Any,
    run_id: str | None,
    of_all: bool,
    env: str | None,
    dry_run: bool,
    force: bool,
    output: str,
) -> None:
    """Remove from vineyard what runs of this project have left there.

    That is what nodes have handed to each other. Inputs and outputs of whole pipelines belong to no run, and stay.
    What a reader still has mapped stays readable for it.
    """
    if of_all and run_id is not None:
        raise click.UsageError(
            "--run names one run, and --all means all of them: say one of the two."
        )
    if run_id == "":
        raise click.BadParameter("it is empty, and no run's id.", param_hint="'--run'")
    project = Project(metadata, env)
    client = reach()
    asked = None if of_all else run_id if run_id is not None else _run_here(project)
    left: dict[str, list[Stored]] = defaultdict(list)
    for stored in names_of(client, project.package):
        if stored.run is not None and asked in (None, stored.run):
            left[stored.run].append(stored)
    told = []
    for run, names in left.items():
        values = [one for name in names if not name.is_mark and (one := describe(client, name))]
        sizes = {value["id"]: value["bytes"] for value in values}  # two names may share a value
        running = _who_runs(names, values)
        removed = not dry_run and (force or not running)
        if removed:
            for name in names:
                client.drop_name(name.name)
        told.append(
            {
                "run": run,
                "values": len(values),
                "bytes": sum(sizes.values()),
                "running": running,
                "removed": removed,
            }
        )
    _tell(told, asked, output, dry_run=dry_run, force=force)


def _who_runs(names: list[Stored], values: list[dict[str, Any]]) -> list[str]:
    """Return the nodes of a run that are being run; of a run of everything, which names no nodes, the process."""
    nodes = sorted(node for name in names if (node := name.running) is not None)
    processes = sorted({value["process"] for value in values} - {None})
    return nodes or [f"process {process}" for process in processes]


def _run_here(project: Project) -> str:
    return runs.partial_run(project.package, str(project.path), project.env).id


def _tell(
    told: list[dict[str, Any]], asked: str | None, output: str, *, dry_run: bool, force: bool
) -> None:
    if output == "json":
        sums = {key: sum(run[key] for run in told) for key in ("values", "bytes")}
        manners.print_json({"runs": told, **sums})
    for run in told if output == "table" else ():
        count = f"{run['values']} value{'s'[: run['values'] != 1]}, {size_text(run['bytes'])}"
        verb = "removed" if run["removed"] else "would be removed" if dry_run else "left"
        click.echo(f"{run['run']}: {count} {verb}")
    if not told:
        manners.remark(
            "Nothing of any run is in vineyard."
            if asked is None
            else f"Nothing of the run '{asked}' is in vineyard."
        )
    busy = [run for run in told if run["running"] and not force]
    if busy:
        named = "; ".join(f"'{run['run']}' ({', '.join(run['running'])})" for run in busy)
        message = f"Being run now, and so left alone: {named}. Wait for their end, or say --force."
        if not dry_run:
            raise manners.CommandFailed(message)
        manners.remark(message)
