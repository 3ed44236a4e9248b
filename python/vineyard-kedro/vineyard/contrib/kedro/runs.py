# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which run a process is part of, and the names in vineyard that belong to that run.

A run is one of three kinds:

* *whole*: one process, with its children, runs the whole pipeline. Its id is its own, and what it shares goes when it ends.
* *workflow*: a scheduler starts a process for each part, and the environment says of which workflow (`WORKFLOW_IDS`).
* *by hand*: parts are run one after another, and nothing says of what. They share what the project and the Kedro
  environment have in common.

What is handed over in a run is named ``kedro/<id of the run>/<package>/<dataset>``, where id and package are quoted as
in a URL. Two runs never meet, and what there is of one is found by its prefix.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from kedro.framework import project

ROOT = "kedro/"

#: Says, if set, which run a process is part of.
RUN_ID = "VINEYARD_RUN_ID"

#: Variables that schedulers set, the same in every task of a workflow and different in the next one: joined with "/".
WORKFLOW_IDS: tuple[tuple[str, ...], ...] = (
    (RUN_ID,),
    ("ARGO_WORKFLOW_UID",),
    ("AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_DAG_RUN_ID"),
)
#: Argo tells a task's container the id of its node only: the name of the workflow, a dash, and a number.
ARGO_NODE = "ARGO_NODE_ID"


@dataclass(frozen=True)
class Run:
    """A run, or what processes that belong together share.

    Attributes
    ----------
    id : str
    package : str
        The project's.
    kind : {"whole", "workflow", "by hand"}
    """

    id: str
    package: str
    kind: Literal["whole", "workflow", "by hand"]

    @property
    def prefix(self) -> str:
        """What the names of this run begin with.

        Examples
        --------
        >>> Run("nightly/3", "shop", "workflow").prefix
        'kedro/nightly%2F3/shop/'
        """
        return f"{ROOT}{quote(self.id, safe='')}/{quote(self.package, safe='')}/"

    @property
    def whole(self) -> bool:
        return self.kind == "whole"

    def __str__(self) -> str:
        if self.kind == "by hand":
            return f"the project '{self.package}' run by hand, step by step"
        return f"run '{self.id}' of the project '{self.package}'"


def whole_run(kedro_run_id: str, package: str) -> Run:
    """A run of everything in this process: Kedro's id is a time of day, and two runs may have begun at once."""
    return Run(f"{kedro_run_id}-{os.getpid()}-{secrets.token_hex(4)}", package, "whole")


def partial_run(package: str, directory: str, env: str | None) -> Run:
    """The run that a process is a part of, which has only some of the nodes.

    Parameters
    ----------
    package : str
    directory : str
        The project's.
    env : str, optional
        The Kedro environment; None: the default one.
    """
    if (workflow := workflow_id()) is not None:
        return Run(workflow, package, "workflow")
    return by_hand(package, directory, env)


def by_hand(package: str, directory: str, env: str | None) -> Run:
    """What a project's processes share about which nothing else is known."""
    place = f"{os.path.realpath(directory)}\0{environment(env)}\0{os.getuid()}"
    digest = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()
    return Run(f"by-hand-{digest[:12]}", package, "by hand")


def environment(env: str | None) -> str:
    """Return the Kedro environment that a run has which names this one, or none."""
    return env or project.settings.CONFIG_LOADER_ARGS.get("default_run_env") or "local"


def workflow_id() -> str | None:
    """The workflow that the environment tells of, if it does."""
    for names in WORKFLOW_IDS:
        values = [os.environ.get(name, "") for name in names]
        if all(values):
            return "/".join(values)
    name, dash, _ = os.environ.get(ARGO_NODE, "").rpartition("-")
    return name if dash and name else None
