# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard argo generate`: workflows that Argo takes, and that do what the pipeline does."""

import json
import os
import re
import shlex
import subprocess
import sys

import argo_rules
import jsonschema
import pytest
import yaml
from cli_fixtures import CIRCLE, EMPTY, SPACES, ask, named
from kedro.framework.cli.project import run as run_command

from conftest import PATIENCE, RESULT

HOSTILE = [
    "x" * 200,
    "größe_1",
    "数据",
    "数値",
    "a.b",
    "a_b",
    "A-B",
    "1st",
    "choose-node",
    "-",
    "kedro",
]


def generated(project, *options):
    return argo_rules.load(
        ask(project, "argo", "generate", "-i", "shop:3", "-o", "-", *options).out
    )


def template(workflow, name):
    [found] = [one for one in workflow["spec"]["templates"] if one["name"] == name]
    return found


def steps(workflow):
    """The tasks that run nodes: what each runs, and after which."""
    tasks = template(workflow, "pipeline")["dag"]["tasks"]
    return {
        task["name"]: (task["arguments"]["parameters"][0]["value"], task.get("dependencies", []))
        for task in tasks
        if task["template"] == "kedro"
    }


def variables(workflow, name="kedro"):
    return {one["name"]: one.get("value") for one in template(workflow, name)["container"]["env"]}


def node_of(pod):
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [terms] = required["nodeSelectorTerms"]
    return terms["matchFields"]


# ---- the whole


def test_each_node_is_a_task_after_those_that_it_needs(shop):
    assert steps(generated(shop)) == {
        "make": ("--nodes=make", ["choose-node"]),
        "double": ("--nodes=double", ["make"]),
        "total": ("--nodes=total", ["double"]),
    }


def test_each_namespace_is_a_task(make_project):
    assert steps(generated(make_project(SPACES), "--by", "namespace")) == {
        "begin": ("--nodes=begin", ["choose-node"]),
        "left": ("--namespaces=left", ["begin"]),
        "right": ("--namespaces=right", ["left"]),
        "finish": ("--nodes=finish", ["right"]),
    }


def test_nodes_of_namespaces_are_tasks_of_their_own(make_project):
    found = steps(generated(make_project(SPACES)))
    assert found["right-deep-second"] == ("--nodes=right.deep.second", ["right-deep-first"])
    assert len(found) == 6


def test_one_pipeline_is_named_in_the_way_this_kedro_wants(make_project):
    project = make_project(SPACES)
    workflow = generated(project, "-p", "data.left", "-e", "vineyard")
    assert list(steps(workflow)) == ["left-first", "left-second"]
    newer = any("--pipelines" in option.opts for option in run_command.params)
    assert template(workflow, "kedro")["container"]["args"] == [
        "run",
        "--env=vineyard",
        f"--pipeline{'s' if newer else ''}=data.left",
        "{{inputs.parameters.select}}",
    ]


def test_a_command_of_the_projects_own_is_asked_for_its_options(make_project):
    project = make_project(SPACES)
    project.write(
        f"src/{project.package}/cli.py",
        """
        import click


        @click.group(name="own")
        def cli():
            pass


        @cli.command()
        @click.option("--pipeline")
        def run(pipeline):
            pass
        """,
    )
    args = template(generated(project, "-p", "data.left"), "kedro")["container"]["args"]
    assert args[1] == "--pipeline=data.left"
    project.write(f"src/{project.package}/cli.py", "raise RuntimeError('broken')")
    del sys.modules[f"{project.package}.cli"]
    said = ask(project, "argo", "generate", "-i", "shop", "-o", "-", "-p", "data.left", code=1)
    assert "can't be loaded: RuntimeError: broken" in said.err


def test_names_are_labels_whatever_nodes_are_called(make_project):
    found = steps(generated(make_project(named(HOSTILE))))
    assert [select.removeprefix("--nodes=") for select, _ in found.values()] == HOSTILE
    names = list(found)
    assert names[0].startswith("xxxx") and len(names[0]) == 63
    assert names[1].startswith("groe") and names[7] == "n-1st"
    # None of three that clean to the same has the short name: it would depend on which came first.
    assert all(re.fullmatch("a-b-[0-9a-f]{8}", name) for name in names[4:7])
    assert names[8].startswith("choose-node-")


def test_names_stay_when_other_nodes_come(make_project):
    few = steps(generated(make_project(named(HOSTILE[:4]))))
    many = steps(generated(make_project(named(HOSTILE))))
    assert list(few) == list(many)[:4]


def test_a_namespace_and_a_node_of_the_same_name_are_two_tasks(make_project):
    pipeline = SPACES.replace('name="begin"', 'name="left"')
    found = steps(generated(make_project(pipeline), "--by=namespace"))
    assert {select for select, _ in found.values()} >= {"--nodes=left", "--namespaces=left"}


def test_a_package_of_any_name_makes_a_workflow(make_project):
    workflow = generated(make_project(SPACES))
    assert workflow["metadata"]["generateName"].startswith("project-")


# ---- what tasks have


def test_tasks_share_a_run_and_an_instance(shop):
    workflow = generated(shop, "-v", "own", "-n", "there")
    for name in ("kedro", "clean-up", "choose-node"):
        pod = template(workflow, name)
        assert variables(workflow, name)["VINEYARD_RUN_ID"] == "{{workflow.uid}}"
        [volume], [mount] = pod["volumes"], pod["container"]["volumeMounts"]
        assert volume["hostPath"]["path"] == "/var/run/vineyard-kubernetes/there/own"
        assert variables(workflow, name)["VINEYARD_IPC_SOCKET"].startswith(mount["mountPath"] + "/")
        assert mount["readOnly"] is True


def test_the_end_is_a_clean_up_whatever_happened(shop):
    workflow = generated(shop)
    assert workflow["spec"]["onExit"] == "clean-up"
    container = template(workflow, "clean-up")["container"]
    command = [*container["command"], *container["args"]]
    assert command == ["kedro", "vineyard", "clean", "--run={{workflow.uid}}", "--force"]


def test_tasks_have_resources_variables_and_a_second_chance(shop):
    workflow = generated(
        shop, "--cpu=500m", "--memory", "8Gi", "--run-env", "A=b=c", "--run-env=D="
    )
    container = template(workflow, "kedro")["container"]
    amounts = {"cpu": "500m", "memory": "8Gi"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert variables(workflow).items() >= {"A": "b=c", "D": ""}.items()
    assert template(workflow, "kedro")["retryStrategy"]["limit"] == "1"


def test_all_tasks_follow_the_first_to_its_node(shop):
    workflow = generated(shop)
    follows = "{{workflow.outputs.parameters.node}}"
    is_it = [{"key": "metadata.name", "operator": "In", "values": [follows]}]
    assert node_of(template(workflow, "kedro")) == is_it
    assert node_of(template(workflow, "clean-up")) == is_it
    first = template(workflow, "choose-node")
    assert "affinity" not in first
    [output] = first["outputs"]["parameters"]
    assert output["globalName"] == "node"


def test_the_first_task_finds_a_node_with_an_instance(shop, instance, tmp_path):
    """Its command, as a pod runs it."""
    workflow = generated(shop)
    container = template(workflow, "choose-node")["container"]
    [output] = template(workflow, "choose-node")["outputs"]["parameters"]
    place = tmp_path / "node"
    command = [one.replace(output["valueFrom"]["path"], str(place)) for one in container["args"]]

    def choose(socket):
        return subprocess.run(
            [*container["command"], *command],
            env=os.environ | {"NODE_NAME": "n7", "VINEYARD_IPC_SOCKET": socket},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert choose(str(tmp_path / "none")).returncode == 1 and not place.exists()
    assert "no vineyard instance on n7" in choose(str(tmp_path / "none")).stderr
    assert choose(instance.socket).returncode == 0
    assert place.read_text() == "n7"


def test_a_node_may_be_named(shop):
    workflow = generated(shop, "--node", "ip-10-0-0-7.internal")
    assert node_of(template(workflow, "kedro"))[0]["values"] == ["ip-10-0-0-7.internal"]
    assert steps(workflow)["make"] == ("--nodes=make", [])
    assert {one["name"] for one in workflow["spec"]["templates"]} == {
        "pipeline",
        "kedro",
        "clean-up",
    }


def test_a_scheduler_gets_the_labels_of_v6d(shop):
    workflow = generated(shop, "--scheduler", "vineyard-scheduler", "-v", "own", "-n", "there")
    pod = template(workflow, "kedro")
    assert pod["schedulerName"] == "vineyard-scheduler" and "affinity" not in pod
    assert pod["metadata"]["labels"]["scheduling.k8s.v6d.io/vineyardd"] == "own"
    assert pod["metadata"]["labels"]["scheduling.k8s.v6d.io/vineyardd-namespace"] == "there"
    [task] = [t for t in template(workflow, "pipeline")["dag"]["tasks"] if t["name"] == "total"]
    given = {one["name"]: one["value"] for one in task["arguments"]["parameters"]}
    assert given == {"select": "--nodes=total", "job": "total", "required": "double"}


@pytest.mark.parametrize("option", ["--with-vineyard=False", "--with_vineyard_operator=no"])
def test_without_vineyard_it_is_kedro_alone(shop, option):
    workflow = generated(shop, option)
    assert "vineyard" not in yaml.safe_dump(workflow)
    assert "onExit" not in workflow["spec"]
    assert steps(workflow)["make"] == ("--nodes=make", [])


@pytest.mark.parametrize("with_vineyard", ["-w True", "-w", "--with_vineyard_operator=yes"])
def test_options_of_v6d_mean_what_they_meant(shop, tmp_path, with_vineyard):
    options = f"-i shop -v one -n two {with_vineyard} --output_path".split()
    ask(shop, "argo", "generate", *options, tmp_path)
    text = (tmp_path / f"argo-{shop.package}.yml").read_text()
    argo_rules.load(text)
    assert "/var/run/vineyard-kubernetes/two/one" in text


# ---- it does what the pipeline does


def test_its_commands_run_the_pipeline(shop, client):
    """Each task's command in a process of its own, in the order of the workflow, and the clean-up."""
    workflow = generated(shop)

    def run(name, select=""):
        container = template(workflow, name)["container"]
        texts = [*container["command"], *container["args"]]
        command = [
            text.replace("{{inputs.parameters.select}}", select).replace(
                "{{workflow.uid}}", "uid-1"
            )
            for text in texts
        ]
        assert command.pop(0) == "kedro"
        return shop.kedro(*command, VINEYARD_RUN_ID="uid-1").stdout

    run("kedro", "--nodes=make")
    assert "kedro/uid-1/" in "".join(client.list_names())
    for select, _ in list(steps(workflow).values())[1:]:
        run("kedro", select)
    run("clean-up")
    assert client.list_names() == {}
    assert json.loads((shop.path / "data/result.json").read_text()) == RESULT


# ---- files


def test_a_file_is_written_and_never_over_another(shop):
    said = ask(shop, "argo", "generate", "-i", "shop")
    file = shop.path / f"argo-{shop.package}.yml"
    assert said.out == f"argo-{shop.package}.yml\n" and "argo submit" in said.err
    first = file.read_text()
    said = ask(shop, "argo", "generate", "-i", "other", code=1)
    assert "is there already" in said.err and "--force" in said.err and file.read_text() == first
    ask(shop, "argo", "generate", "-i", "other", "--force")
    assert "image: other" in file.read_text()


def test_a_directory_is_made_and_one_that_cannot_be_is_told(shop, tmp_path):
    ask(shop, "argo", "generate", "-i", "shop", "-o", tmp_path / "new" / "one")
    assert (tmp_path / "new" / "one" / f"argo-{shop.package}.yml").is_file()
    (tmp_path / "file").touch()
    said = ask(shop, "argo", "generate", "-i", "shop", "-o", tmp_path / "file" / "x", code=1)
    assert "can't be written: Not a directory" in said.err


def test_a_directory_that_is_read_only_is_told(shop):
    """/proc is, for root too."""
    said = ask(shop, "argo", "generate", "-i", "shop", "-o", "/proc", code=1)
    assert "can't be written" in said.err and said.out == ""


# ---- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "--image"),
        ("-i ''", "empty"),
        ("-i shop -p nope", "there are: __default__, shop"),
        ("-i shop --cpu=much", "500m"),
        ("-i shop --cpu=0", "no amount"),
        ("-i shop --memory=8GB", "8Gi"),
        ("-i shop --run-env=A", "NAME=VALUE"),
        ("-i shop --run-env=1A=b", "NAME=VALUE"),
        ("-i shop --run-env=VINEYARD_RUN_ID=b", "set by the workflow"),
        ("-i shop --node=a_b", "no name in Kubernetes"),
        ("-i shop -v UPPER", "no name in Kubernetes"),
        ("-i shop --node=a --scheduler=b", "one of the two"),
        ("-i shop -w maybe", "boolean"),
    ],
)
def test_a_wrong_command_line_is_told(shop, options, words):
    said = ask(shop, "argo", "generate", *shlex.split(options), code=2)
    assert words in said.err and said.out == ""
    assert not list(shop.path.glob("argo*"))


def test_a_pipeline_without_nodes_is_no_workflow(make_project):
    assert "has no nodes" in ask(make_project(EMPTY), "argo", "generate", "-i", "shop", code=1).err


def test_namespaces_in_a_circle_are_no_workflow(make_project):
    said = ask(make_project(CIRCLE), "argo", "generate", "-i", "x", "--by=namespace", code=1)
    assert "need each other" in said.err


# ---- the check itself


@pytest.mark.parametrize(
    "break_it",
    [
        lambda w: w["spec"].update(onEnd="clean-up"),
        lambda w: w.update(kind="Pipeline"),
        lambda w: (
            template(w, "kedro")["container"].pop("image")
            and template(w, "kedro")["container"].update(image=3)
        ),
        lambda w: template(w, "kedro")["retryStrategy"].update(limit={}),
        lambda w: template(w, "pipeline")["dag"]["tasks"][1].update(dependencies="make"),
    ],
)
def test_the_schema_refuses_what_is_wrong(shop, break_it):
    workflow = generated(shop)
    break_it(workflow)
    with pytest.raises(jsonschema.ValidationError):
        argo_rules.load(yaml.safe_dump(workflow))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda w: template(w, "pipeline")["dag"]["tasks"][1].update(dependencies=["nobody"]),
        lambda w: template(w, "pipeline")["dag"]["tasks"][1].update(name="total"),
        lambda w: template(w, "pipeline")["dag"]["tasks"][1].update(name="x" * 64),
        lambda w: template(w, "kedro").update(inputs={}),
        lambda w: template(w, "kedro").update(volumes=[]),
        lambda w: w["spec"].update(onExit="nobody"),
        lambda w: template(w, "choose-node").pop("outputs"),
    ],
)
def test_the_rules_refuse_what_is_wrong(shop, break_it):
    workflow = generated(shop)
    break_it(workflow)
    with pytest.raises((AssertionError, KeyError)):
        argo_rules.load(yaml.safe_dump(workflow))
