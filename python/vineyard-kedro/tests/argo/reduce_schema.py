#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Makes workflow.schema.json: what Argo's published schema says of a Workflow, short of its descriptions and status.

Usage: reduce_schema.py api/jsonschema/schema.json v3.7.3 > workflow.schema.json, with the file of that release of
Argo Workflows: `go mod download -json github.com/argoproj/argo-workflows/v3@v3.7.3` tells where it put the sources.
"""

import json
import sys

WORKFLOW = "io.argoproj.workflow.v1alpha1.Workflow"
#: What says nothing about what is valid.
TALK = {"description", "title", "default"}


def reduced(said):
    """A definition without talk; a property may be called like one of those words."""
    if isinstance(said, list):
        return [reduced(one) for one in said]
    if not isinstance(said, dict):
        return said
    return {
        key: {name: reduced(one) for name, one in value.items()}
        if key == "properties"
        else reduced(value)
        for key, value in said.items()
        if key not in TALK and not key.startswith("x-kubernetes-")
    }


def references(said):
    """The names of the definitions that a definition refers to."""
    if isinstance(said, list):
        for one in said:
            yield from references(one)
    elif isinstance(said, dict):
        if isinstance(said.get("$ref"), str):
            yield said["$ref"].rpartition("/")[2]
        for one in said.values():
            yield from references(one)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        published = json.load(file)
    definitions = published["definitions"]
    del definitions[WORKFLOW]["properties"]["status"]  # which the controller writes
    wanted, found = [WORKFLOW], {}
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = reduced(definitions[name])
            wanted.extend(references(found[name]))
    head = {
        "$comment": f"From api/jsonschema/schema.json of Argo Workflows {sys.argv[2]}, Copyright The Argo Authors, "
        "Apache License 2.0; reduced by reduce_schema.py.",
        "$schema": published["$schema"],
        "$ref": f"#/definitions/{WORKFLOW}",
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    entries = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    print("\n".join(["{", *lines, '"definitions": {', ",\n".join(entries), "}}"]))


main()
