# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard list`."""

from __future__ import annotations

from typing import Any

import click
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.project import Project
from vineyard.contrib.kedro.plugins.cli.stored import describe, names_of, reach
from vineyard.progress import size_text


@click.command(
    "list",
    epilog="""
    \b
    -o json prints
      {"values": [{"run", "dataset", "type", "bytes", "age", "ttl", "process",
      "name", "id"}, ...]}, with seconds; "run" is null for inputs and outputs
      of whole pipelines, "process" is the one with which a value goes, "ttl" is
      null for what stays until it is removed or that process has ended

    \b
    example: how much each dataset takes
      kedro vineyard list
      kedro vineyard list -o json | tail -n 1 | jq '.values[] | [.dataset, .bytes]'
    """,
)
@manners.output_option()
@click.pass_obj
def list_(metadata: Any, output: str) -> None:
    """List what is in vineyard of this project: of which run, how large, how old, and how long it stays.

    Inputs and outputs of whole pipelines belong to no run: these are shown with '-', and stay until somebody
    removes them ('vineyardctl name rm NAME'; -o json shows the names). What runs share goes by itself, see
    "ttl" in VINEYARD of settings.py, or with 'kedro vineyard clean'.
    """
    project = Project(metadata)
    client = reach()
    values = [
        told
        for stored in names_of(client, project.package)
        if not stored.is_mark and (told := describe(client, stored)) is not None
    ]
    if output == "json":
        manners.print_json({"values": values})
        return
    rows = [
        (
            value["run"] or "-",
            value["dataset"],
            value["type"],
            size_text(value["bytes"]),
            _time(value["age"]),
            _end(value),
        )
        for value in values
    ]
    manners.print_table(["RUN", "DATASET", "TYPE", "SIZE", "AGE", "GOES"], rows)
    if not values:
        manners.remark(f"Nothing of {project.package} is in vineyard at '{client.ipc_socket}'.")


def _end(value: dict[str, Any]) -> str:
    if value["ttl"] is not None:
        return _time(value["ttl"])
    return "stays" if value["process"] is None else f"with process {value['process']}"


def _time(seconds: float) -> str:
    """Return a time in its largest unit.

    >>> _time(59), _time(7300), _time(200_000)
    ('59s', '2h', '2d')
    """
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:.0f}s"
