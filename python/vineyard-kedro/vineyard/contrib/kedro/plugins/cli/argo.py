# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard argo`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import yaml
from vineyard.contrib.kedro.flows import DEFAULT
from vineyard.contrib.kedro.plugins.cli import manners
from vineyard.contrib.kedro.plugins.cli.project import Project
from vineyard.contrib.kedro.plugins.cli.tasks import split
from vineyard.contrib.kedro.plugins.cli.workflow import Workflow
from vineyard.contrib.kedro.runs import RUN_ID

_DIGITS = r"(\d+(\.\d*)?|\.\d+)"
#: Amounts as Kubernetes writes them.
_CPU = re.compile(rf"{_DIGITS}m?")
_MEMORY = re.compile(rf"{_DIGITS}([kMGTP]|[KMGTP]i)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@click.group()
def argo() -> None:
    """The project as a workflow of Argo."""


def _amount(pattern: re.Pattern[str], like: str) -> Any:
    def check(_: click.Context, parameter: click.Parameter, value: str) -> str:
        if pattern.fullmatch(value) is None or not re.search("[1-9]", value):
            raise click.BadParameter(f"'{value}' is no amount: say something like {like}.")
        return value

    return check


def _kubernetes_name(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (len(value) > 253 or _KUBERNETES_NAME.fullmatch(value) is None):
        raise click.BadParameter(
            f"'{value}' is no name in Kubernetes: small letters, digits, dashes and dots."
        )
    return value


def _variables(
    _: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or _VARIABLE.fullmatch(name) is None:
            raise click.BadParameter(f"'{value}' is no variable: say NAME=VALUE.")
        found[name] = text
    return found


@argo.command(
    epilog="""
    \b
    example: a pod for each namespace, and a look at what Argo makes of it
      kedro vineyard argo generate --image=shop:3 --by=namespace --memory=8Gi
      argo submit --watch argo-shop.yml
    """
)
@click.option("-i", "--image", required=True, metavar="IMAGE", help="The image of the project.")
@manners.pipeline_option("The pipeline")
@manners.env_option()
@manners.by_option()
@click.option(
    "-v",
    "--vineyardd-name",
    "--vineyard",
    "vineyardd",
    default="vineyardd-sample",
    show_default=True,
    metavar="NAME",
    callback=_kubernetes_name,
    help="Of the instance, as it was deployed.",
)
@click.option(
    "-n",
    "--namespace",
    default="vineyard-system",
    show_default=True,
    metavar="NAME",
    callback=_kubernetes_name,
    help="Of Kubernetes, where the instance was deployed.",
)
@click.option(
    "-w",
    "--with-vineyard",
    "--with_vineyard_operator",
    "with_vineyard",
    type=bool,
    is_flag=False,
    flag_value="true",
    default="true",
    metavar="[BOOLEAN]",
    help="Let tasks share through vineyard; true by default. False: without it, whatever the catalog keeps in files.",
)
@click.option(
    "--cpu",
    default="1",
    show_default=True,
    callback=_amount(_CPU, "2 or 500m"),
    help="Of each task: what it asks for, and its limit.",
)
@click.option(
    "--memory",
    default="2Gi",
    show_default=True,
    callback=_amount(_MEMORY, "8Gi"),
    help="Of each task. What it shares counts as the instance's.",
)
@click.option(
    "--run-env",
    "environment",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_variables,
    help="A variable of each task's environment; may be given several times. VINEYARD_PICKLE=allow: pods may hand over "
    "values of any class, by pickle.",
)
@click.option(
    "--node", metavar="NAME", callback=_kubernetes_name, help="The node where all tasks run."
)
@click.option(
    "--scheduler",
    metavar="NAME",
    callback=_kubernetes_name,
    help="A scheduler that knows where instances are, such as v6d's 'vineyard-scheduler': tasks get its labels, and are "
    "bound to no node.",
)
@click.option(
    "-o",
    "--output",
    "--output_path",
    "output",
    default=".",
    show_default=True,
    metavar="DIRECTORY",
    help="Where argo-PACKAGE.yml is written; '-' is stdout.",
)
@manners.force_option("Replace the file if it is there.")
@click.pass_obj
def generate(
    metadata: Any,
    image: str,
    pipeline: str | None,
    env: str | None,
    by: Any,
    vineyardd: str,
    namespace: str,
    with_vineyard: bool,
    cpu: str,
    memory: str,
    environment: dict[str, str],
    node: str | None,
    scheduler: str | None,
    output: str,
    force: bool,
) -> None:
    """Write a workflow whose tasks are the nodes of a pipeline, or its namespaces.

    Each task is a pod that does 'kedro run' for its part. What nodes hand to each other goes through the vineyard
    instance of the node that they run on, in a run of the workflow's own; when the workflow ends, in whatever way,
    'kedro vineyard clean' takes it away. So 'argo resubmit' repeats a workflow, and 'argo retry' does not.

    All tasks must run where the same instance is. By default a first, small task runs on any node that has one, and
    the others follow it there. --node names the node instead. With --scheduler neither is done, and what lies on other
    nodes than that of the clean-up goes when its time is over ("ttl" in VINEYARD of settings.py).

    The instance's socket is expected at /var/run/vineyard-kubernetes/NAMESPACE/NAME/vineyard.sock on the node, where
    the image's user must be able to open it. See 'kedro vineyard check' for what tasks would lose.
    """
    if node is not None and scheduler is not None:
        raise click.UsageError(
            "--node says where tasks run, and --scheduler that somebody else decides: say one of the two."
        )
    if not image.strip():
        raise click.BadParameter("it is empty.", param_hint="'-i' / '--image'")
    if reserved := sorted(
        {RUN_ID, "VINEYARD_IPC_SOCKET"} & environment.keys() if with_vineyard else ()
    ):
        raise click.BadParameter(
            f"{', '.join(reserved)} is set by the workflow.", param_hint="'--run-env'"
        )
    project = Project(metadata, env)
    tasks = split(project.pipeline(pipeline), by)
    if not tasks:
        raise manners.CommandFailed(
            f"The pipeline '{pipeline or DEFAULT}' has no nodes: 'kedro registry list' shows others."
        )
    workflow = Workflow(
        package=project.package,
        image=image,
        run=[*([f"--env={env}"] if env else []), *project.naming(pipeline)],
        vineyardd=vineyardd if with_vineyard else "",
        namespace=namespace,
        resources={"cpu": cpu, "memory": memory},
        environment=environment,
        node=node,
        scheduler=scheduler,
    )
    text = yaml.safe_dump(workflow.manifest(tasks), sort_keys=False, allow_unicode=True, width=120)
    if output == "-":
        click.echo(text, nl=False)
        return
    file = Path(output) / f"argo-{project.package}.yml"
    manners.write_file(file, text, force=force)
    click.echo(file)
    manners.remark(f"It has {len(tasks)} task{'s'[: len(tasks) != 1]}: argo submit --watch {file}")
