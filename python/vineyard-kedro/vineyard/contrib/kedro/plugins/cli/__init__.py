# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The commands `kedro vineyard ...`. Kedro finds `commands` by the entry point ``kedro.project_commands``.

A command's module is imported when the command is: `kedro` starts no slower for what is not used.
"""

from __future__ import annotations

import click
from kedro.framework.cli.utils import LazyGroup
from vineyard.contrib.kedro.plugins.cli.manners import talk_on_stderr

_HERE = "vineyard.contrib.kedro.plugins.cli"
HELP = {"help_option_names": ["-h", "--help"]}


@click.group(name="kedro")
def commands() -> None:
    pass  # without a text of its own: `kedro --help` would begin with it


@commands.group(
    cls=LazyGroup,
    context_settings=HELP,
    lazy_subcommands={
        "argo": f"{_HERE}.argo.argo",
        "catalog": f"{_HERE}.catalog.catalog",
        "check": f"{_HERE}.check.check",
        "clean": f"{_HERE}.clean.clean",
        "docker": f"{_HERE}.docker.docker",
        "list": f"{_HERE}.listing.list_",
    },
    epilog="""
    \b
    example: what a pipeline's tasks would lose, and a workflow that loses nothing
      kedro vineyard check
      kedro vineyard docker build --image=shop
      kedro vineyard argo generate --image=shop
    """,
)
@click.pass_context
def vineyard(context: click.Context) -> None:
    """What the nodes of this project hand to each other, through vineyard.

    Data goes to stdout, remarks to stderr. Kedro's own first line, which says where its logging is configured, goes
    where that configuration says: to stdout, unless a conf/logging.yml or KEDRO_LOGGING_CONFIG say otherwise. What
    -o json prints is the last line.

    The exit code is 0 when all went well, 1 when something failed, 2 for a wrong command line.
    """
    context.with_resource(talk_on_stderr())
