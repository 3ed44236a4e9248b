# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What makes a workflow valid: Argo's published schema, and what Argo and Kubernetes check besides."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import yaml

PUBLISHED = json.loads((Path(__file__).parent / "argo" / "workflow.schema.json").read_text())
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
QUANTITY = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(m|k|[KMGTP]i?)?")
REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
#: What the controller knows of every workflow.
GLOBAL = {"workflow.uid", "workflow.name", "workflow.namespace"}


def strict():
    """The schema, with fields that it doesn't know forbidden, as the controller and `argo lint` do."""
    schema = copy.deepcopy(PUBLISHED)
    for definition in schema["definitions"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return schema


def load(text):
    """Reads a workflow, checks all that is known of valid ones, and returns it."""
    workflow = yaml.safe_load(text)
    for schema in (PUBLISHED, strict()):
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.Draft202012Validator(schema).validate(workflow)
    check(workflow)
    return workflow


def check(workflow):
    """What a schema does not say."""
    spec = workflow["spec"]
    templates = {template["name"]: template for template in spec["templates"]}
    assert len(templates) == len(spec["templates"]), "two templates have the same name"
    assert LABEL.fullmatch(workflow["metadata"]["generateName"].removesuffix("-"))
    assert len(workflow["metadata"]["generateName"]) + 5 <= 63
    assert spec["entrypoint"] in templates
    assert spec.get("onExit", spec["entrypoint"]) in templates
    known = GLOBAL | {
        f"workflow.outputs.parameters.{output['globalName']}"
        for template in templates.values()
        for output in template.get("outputs", {}).get("parameters", ())
    }
    for template in templates.values():
        assert LABEL.fullmatch(template["name"]) and len(template["name"]) <= 63
        own = {parameter["name"] for parameter in template.get("inputs", {}).get("parameters", ())}
        said = known | {f"inputs.parameters.{name}" for name in own}
        for used in REFERENCE.findall(json.dumps(template)):
            assert used in said, f"'{used}' is declared nowhere"
        volumes = {volume["name"] for volume in template.get("volumes", ())}
        container = template.get("container", {})
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
        for amounts in container.get("resources", {}).values():
            assert all(QUANTITY.fullmatch(amount) for amount in amounts.values())
        check_tasks(template.get("dag", {}).get("tasks", []), templates)


def check_tasks(tasks, templates):
    """Dependencies that there are, without a circle, and arguments that are asked for."""
    names = [task["name"] for task in tasks]
    assert len(set(names)) == len(names), "two tasks have the same name"
    done = set()
    for task in tasks:  # each stands after those that it needs, so that there is no circle
        assert LABEL.fullmatch(task["name"]) and len(task["name"]) <= 63, task["name"]
        assert set(task.get("dependencies", ())) <= done
        done.add(task["name"])
        given = [one["name"] for one in task.get("arguments", {}).get("parameters", ())]
        wanted = templates[task["template"]].get("inputs", {}).get("parameters", ())
        assert given == [parameter["name"] for parameter in wanted]
