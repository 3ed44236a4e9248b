# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard catalog`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import yaml
from kedro.io import DatasetError
from vineyard.contrib.kedro.flows import DEFAULT, bare, is_parameter
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.project import Project, base_environment
from vineyard.contrib.kedro.settings import ENVIRONMENT

TYPE = "vineyard.contrib.kedro.VineyardDataset"
#: The factory that serves all names for which there is nothing else, and one for those that are transcoded, which must
#: be kept under one name whatever the nodes call them.
CATCH_ALL = {"{default}": {"type": TYPE, "name": "{default}"}}
TRANSCODED = {"{default}@{form}": {"type": TYPE, "name": "{default}"}}


@click.group()
def catalog() -> None:
    """The catalog of the project, and what of it is in vineyard."""


@catalog.command(
    epilog="""
    \b
    example: have all that the nodes of a pipeline hand over go through vineyard
      kedro vineyard catalog create --pipeline=training
      kedro run --env=vineyard
    """
)
@click.option(
    "-p",
    "--pipeline",
    "pipeline",
    metavar="NAME",
    default=DEFAULT,
    show_default=True,
    help="The pipeline whose datasets are meant.",
)
@manners.env_option(ENVIRONMENT)
@click.option(
    "--catch-all",
    is_flag=True,
    help="Write one entry that serves all datasets without an entry of their own, those of later nodes too, instead of "
    "an entry for each.",
)
@click.pass_obj
def create(metadata: Any, pipeline: str, env: str, catch_all: bool) -> None:
    """Write entries for the datasets that the catalog lacks, which keep them in vineyard.

    They go to conf/ENV/catalog/PIPELINE.yml. What that file has already stays as it is. The environment is made
    if there is none of that name; it builds upon the base one.

    Where the plugin's hook is on, pipelines need no such entries (see 'kedro vineyard check'). They are for
    projects that want to see in the catalog where things are kept.
    """
    project = Project(metadata, env)
    directory = project.directory_of(env)
    if not directory.is_dir():
        project.env = base_environment()
    known, names = project.catalog(), sorted(project.pipeline(pipeline).datasets())
    missing = [name for name in names if not is_parameter(name) and name not in known]
    file = directory / "catalog" / f"{_file_name('vineyard' if catch_all else pipeline)}.yml"
    shown = file.relative_to(project.path) if file.is_relative_to(project.path) else file
    if catch_all:
        if known.config_resolver.match_user_catch_all_pattern("any") is not None:
            manners.remark("The catalog has an entry for all datasets already: nothing is written.")
            return
        transcoded = any(bare(name) != name for name in names)
        entries = CATCH_ALL | (TRANSCODED if transcoded else {})
    else:
        entries = {name: {"type": TYPE, "name": bare(name)} for name in missing}
    if not entries:
        manners.remark(f"The catalog has all datasets of '{pipeline}': nothing is written.")
        return
    _add(file, entries)
    click.echo(shown)
    count = "all datasets" if catch_all else f"{len(entries)} dataset{'s'[: len(entries) > 1]}"
    run = " ".join(["kedro run", f"--env={env}", *project.naming(pipeline)])
    manners.remark(f"It has entries for {count}: {run}")


def _file_name(pipeline: str) -> str:
    """Return a pipeline's name as that of a file, without what means something in paths, patterns or endings."""
    return re.sub(r"[^\w-]+", "_", pipeline)


def _add(file: Path, entries: dict[str, Any]) -> None:
    """Append entries to a file of a catalog that lacks them; it keeps what it has, its comments too."""
    before = ""
    try:
        if file.exists():
            before = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise manners.CommandFailed(f"'{file}' can't be read: {error}") from error
    if before and not before.endswith("\n"):
        before += "\n"
    manners.replace_file(
        file, before + yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
    )


@catalog.command(
    "list",
    epilog="""
    \b
    -o json prints
      {"pipelines": {PIPELINE: {DATASET: TYPE or null, ...}, ...}}

    \b
    example: what of the pipeline is in vineyard by the catalog of an environment
      kedro vineyard catalog list --pipeline=training --env=vineyard
    """,
)
@manners.pipeline_option("One pipeline")
@manners.env_option()
@manners.output_option()
@click.pass_obj
def list_(metadata: Any, pipeline: str | None, env: str | None, output: str) -> None:
    """List the datasets of each pipeline, and the types that the catalog gives them.

    Parameters are left out. A dataset that the catalog has no entry for is kept in memory, or in vineyard if the
    plugin's hook puts it there: 'kedro vineyard check' tells.
    """
    project = Project(metadata, env)
    chosen = {pipeline: project.pipeline(pipeline)} if pipeline else project.pipelines()
    known = project.catalog()
    types = {
        name: {one: _type(known, one) for one in sorted(chosen[name].datasets())}
        for name in sorted(chosen)
    }
    types = {
        name: {one: kind for one, kind in datasets.items() if not is_parameter(one)}
        for name, datasets in types.items()
    }
    if output == "json":
        manners.print_json({"pipelines": types})
        return
    rows = [
        (name, one, kind or "not in the catalog")
        for name, datasets in types.items()
        for one, kind in datasets.items()
    ]
    manners.print_table(["PIPELINE", "DATASET", "TYPE"], rows)


def _type(known: Any, name: str) -> str | None:
    """Return the type of an entry, which may be of a library that is not installed."""
    try:
        found = known.get_type(name)
    except DatasetError as error:
        return f"unusable: {str(error).splitlines()[0]}"
    return None if found is None else str(found)
