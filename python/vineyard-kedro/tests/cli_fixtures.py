# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Running `kedro vineyard ...` in this process, and projects to ask about."""

import inspect
import json
import os
from dataclasses import dataclass

from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from vineyard.contrib.kedro.plugins.cli import commands


@dataclass
class Said:
    """What a command did and said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """What -o json prints: one line, the last."""
        return json.loads(self.out.splitlines()[-1])


def ask(project, *arguments, code=0):
    """Runs a command as `kedro vineyard` does, and checks its exit code."""
    old = "mix_stderr" in inspect.signature(CliRunner).parameters  # of click before 8.2
    runner = CliRunner(mix_stderr=False) if old else CliRunner()
    here = os.getcwd()
    os.chdir(project.path)
    try:
        done = runner.invoke(
            commands, ["vineyard", *map(str, arguments)], obj=bootstrap_project(project.path)
        )
    finally:
        os.chdir(here)
    said = Said(done.exit_code, done.stdout, done.stderr)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert said.code == code, said
    return said


#: Two namespaces, of which one has two levels, between two nodes that have none.
SPACES = """
    from kedro.pipeline import Node, Pipeline, pipeline


    def zero():
        return 0


    def more(number):
        return number + 1


    def register_pipelines():
        two = Pipeline([Node(more, "from", "between", name="first"), Node(more, "between", "to", name="second")])
        whole = (
            Pipeline([Node(zero, None, "start", name="begin"), Node(more, "b", "end", name="finish")])
            + pipeline(two, namespace="left", inputs={"from": "start"}, outputs={"to": "a"})
            + pipeline(two, namespace="right.deep", inputs={"from": "a"}, outputs={"to": "b"})
        )
        return {"__default__": whole, "data.left": whole.only_nodes_with_namespaces(["left"])}
"""

#: Namespaces that need each other.
CIRCLE = """
    from kedro.pipeline import Node, Pipeline


    def more(number):
        return number + 1


    def register_pipelines():
        return {
            "__default__": Pipeline(
                [
                    Node(more, "x", "there", name="one", namespace="here"),
                    Node(more, "there", "back", name="two", namespace="yonder"),
                    Node(more, "back", "y", name="three", namespace="here"),
                ]
            )
        }
"""

#: The names of one dataset by which nodes write and read it in forms of their own.
TRANSCODED = """
    from kedro.pipeline import Node, Pipeline


    def make():
        return 1


    def use(number):
        return number


    def register_pipelines():
        return {
            "__default__": Pipeline(
                [
                    Node(make, None, "table@rows", name="make"),
                    Node(use, ["table@columns"], "used", name="use"),
                ]
            )
        }
"""

EMPTY = """
    from kedro.pipeline import Pipeline


    def register_pipelines():
        return {"__default__": Pipeline([])}
"""

#: Whose only inputs are parameters.
PARAMETERS = """
    from kedro.pipeline import Node, Pipeline


    def make(all_of_them, one):
        return one


    def register_pipelines():
        return {"__default__": Pipeline([Node(make, ["parameters", "params:one"], "made", name="make")])}
"""


def named(names):
    """A pipeline of nodes with these names, one after another."""
    nodes = "".join(
        f"Node(more, 'd{i}', 'd{i + 1}', name={name!r}), " for i, name in enumerate(names)
    )
    return f"""
        from kedro.pipeline import Node, Pipeline


        def more(number):
            return number + 1


        def register_pipelines():
            return {{"__default__": Pipeline([{nodes}])}}
    """
