# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A pipeline as an Argo workflow.

Note [Where tasks run]: what tasks share is in the instance of one machine, so that all of them must run there, the
clean-up too. An affinity to the pods of the same workflow would not do: the scheduler looks at pods that run, and
between two steps none may. So the first task runs wherever there is room and an instance, and says where that was;
all others are bound to that node by its name. With ``--node`` it is known before, and with ``--scheduler`` somebody
else takes care.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vineyard.contrib.kedro.plugins.cli.labels import label, labels
from vineyard.contrib.kedro.plugins.cli.tasks import Task
from vineyard.contrib.kedro.runs import RUN_ID

#: Templates of the workflow; tasks' names differ from them.
PIPELINE, RUN, CHOOSE, CLEAN = "pipeline", "kedro", "choose-node", "clean-up"
#: Argo adds five characters and a dash to the name of a workflow, and more to those of its pods.
_LONGEST_NAME = 40
#: Where the directory of the instance's socket is on the node, and where containers see it.
_ON_NODE = "/var/run/vineyard-kubernetes/{namespace}/{name}"
_IN_POD = "/var/run/vineyard"
SOCKET = f"{_IN_POD}/vineyard.sock"
_VOLUME = "vineyard-socket"
#: What vineyard's scheduler reads, as in v6d.
_SCHEDULING = "scheduling.k8s.v6d.io"
_FOUND_NODE = "/tmp/node"
_FIND = (
    'if [ -S "$VINEYARD_IPC_SOCKET" ]; then printf %s "$NODE_NAME" > {file}; '
    'else echo "no vineyard instance on $NODE_NAME" >&2; exit 1; fi'
)
#: How many nodes are tried until one has an instance.
_TRIES = 5


@dataclass(frozen=True)
class Workflow:
    """What a workflow is made of.

    Attributes
    ----------
    package, image : str
    run : sequence of str
        Arguments of `kedro run`, before those that tell which task.
    vineyardd, namespace : str
        Of the instance, as its operator names its directory; `vineyardd` is empty for a workflow without vineyard.
    resources : mapping
        "cpu" and "memory", of each task.
    environment : mapping
        More variables of each task.
    node, scheduler : str, optional
        See Note [Where tasks run].
    """

    package: str
    image: str
    run: Sequence[str]
    vineyardd: str
    namespace: str
    resources: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    node: str | None = None
    scheduler: str | None = None

    @property
    def chooses(self) -> bool:
        """Whether the first task finds out where the others run."""
        return bool(self.vineyardd) and self.node is None and self.scheduler is None

    def manifest(self, tasks: Iterable[Task]) -> dict[str, Any]:
        """Return the whole."""
        templates = [self._pipeline(list(tasks)), self._run()]
        spec: dict[str, Any] = {"entrypoint": PIPELINE}
        if self.vineyardd:
            spec["onExit"] = CLEAN
            templates += [self._choose()] if self.chooses else []
            templates.append(self._clean())
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {
                "generateName": f"{label(self.package, _LONGEST_NAME)}-",
                "labels": {"app": "kedro-argo"},
            },
            "spec": {**spec, "templates": templates},
        }

    # ---- templates

    def _pipeline(self, tasks: list[Task]) -> dict[str, Any]:
        names = _task_names(tasks)
        steps: list[dict[str, Any]] = [{"name": CHOOSE, "template": CHOOSE}] if self.chooses else []
        for task in tasks:
            needs = sorted(names[select] for select in task.needs)
            if self.chooses and not needs:
                needs = [CHOOSE]
            given = {"select": task.select}
            if self.scheduler:
                given |= {"job": names[task.select], "required": ",".join(needs)}
            step: dict[str, Any] = {"name": names[task.select], "template": RUN}
            if needs:
                step["dependencies"] = needs
            step["arguments"] = {
                "parameters": [{"name": name, "value": value} for name, value in given.items()]
            }
            steps.append(step)
        return {"name": PIPELINE, "dag": {"tasks": steps}}

    def _run(self) -> dict[str, Any]:
        inputs = ["select", *(["job", "required"] if self.scheduler else [])]
        made: dict[str, Any] = {
            "name": RUN,
            "inputs": {"parameters": [{"name": name} for name in inputs]},
            "metadata": self._metadata(),
            "retryStrategy": {"limit": "1", "retryPolicy": "Always"},
        }
        command = ["kedro", "run", *self.run, "{{inputs.parameters.select}}"]
        return made | self._pod(command, self._where("{{workflow.outputs.parameters.node}}"))

    def _choose(self) -> dict[str, Any]:
        """Return the task that runs anywhere, fails where there is no instance, and is tried on other nodes then."""
        command = ["sh", "-c", _FIND.format(file=_FOUND_NODE)]
        pod = self._pod(command, {})
        pod["container"]["env"].append(
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
        )
        return {
            "name": CHOOSE,
            "retryStrategy": {
                "limit": str(_TRIES),
                "retryPolicy": "Always",
                "affinity": {"nodeAntiAffinity": {}},
            },
            **pod,
            "outputs": {
                "parameters": [
                    {"name": "node", "globalName": "node", "valueFrom": {"path": _FOUND_NODE}}
                ]
            },
        }

    def _clean(self) -> dict[str, Any]:
        """Return what runs at the end, however the tasks ended."""
        command = ["kedro", "vineyard", "clean", "--run={{workflow.uid}}", "--force"]
        pod = self._pod(command, self._where("{{workflow.outputs.parameters.node}}"))
        return {"name": CLEAN, "retryStrategy": {"limit": "2", "retryPolicy": "Always"}, **pod}

    def _metadata(self) -> dict[str, Any]:
        made: dict[str, Any] = {"labels": {"app": "kedro-argo"}}
        if self.scheduler:
            made["labels"] |= {
                f"{_SCHEDULING}/vineyardd-namespace": self.namespace,
                f"{_SCHEDULING}/vineyardd": self.vineyardd,
                f"{_SCHEDULING}/job": "{{inputs.parameters.job}}",
            }
            made["annotations"] = {f"{_SCHEDULING}/required": "{{inputs.parameters.required}}"}
        return made

    # ---- pods

    def _pod(self, command: Sequence[str], where: Mapping[str, Any]) -> dict[str, Any]:
        variables = dict(self.environment)
        container: dict[str, Any] = {
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": [command[0]],
            "args": list(command[1:]),
        }
        pod: dict[str, Any] = {"container": container}
        if self.vineyardd:
            variables = {RUN_ID: "{{workflow.uid}}", "VINEYARD_IPC_SOCKET": SOCKET} | variables
            container["volumeMounts"] = [{"name": _VOLUME, "mountPath": _IN_POD, "readOnly": True}]
            path = _ON_NODE.format(namespace=self.namespace, name=self.vineyardd)
            pod["volumes"] = [
                {"name": _VOLUME, "hostPath": {"path": path, "type": "DirectoryOrCreate"}}
            ]
        container["env"] = [{"name": name, "value": value} for name, value in variables.items()]
        container["resources"] = {
            "requests": dict(self.resources),
            "limits": dict(self.resources),
        }
        return pod | dict(where)

    def _where(self, chosen: str) -> dict[str, Any]:
        """Return what binds a pod to the node where the instance is."""
        if not self.vineyardd:
            return {}
        if self.scheduler:
            return {"schedulerName": self.scheduler}
        is_it = {"key": "metadata.name", "operator": "In", "values": [self.node or chosen]}
        required = {"nodeSelectorTerms": [{"matchFields": [is_it]}]}
        return {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
            }
        }


def _task_names(tasks: Sequence[Task]) -> dict[str, str]:
    """Return each task's name in the workflow, by its `select`."""
    names = [task.name for task in tasks]
    # A namespace may be called like a node that has none.
    own = {task.select: task.name if names.count(task.name) == 1 else task.select for task in tasks}
    made = labels(own.values(), taken=(CHOOSE,))
    return {select: made[name] for select, name in own.items()}
