# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Real processes: steps one by one, several at once, and such as are killed."""

import json
import os
import signal
import time

import pytest
import vineyard
from vineyard.launching import Instance

from conftest import PATIENCE, RESULT, SHOP

#: A node that tells that it runs, and then waits to be killed or told to go on.
WAITING = SHOP.replace(
    "frame.loc[0",
    """import os, pathlib, time
        pathlib.Path("data/waiting").touch()
        while os.environ.get("WAIT") and not pathlib.Path("data/go").exists():
            time.sleep(0.01)
        frame.loc[0""",
)


def until(ask):
    """Waits until there is an answer, and returns it."""
    end = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.01)
    return answer


def result(project):
    return json.loads((project.path / "data/result.json").read_text())


def names(client):
    return [name for name in client.list_names() if "#" not in name]


def marks(client):
    return [name for name in client.list_names() if "#" in name]


def test_a_project_of_kedros_starter_runs_step_by_step(new_project, tmp_path, monkeypatch):
    """Made by Kedro and untouched: the plugin is installed, an instance listens where one does by default."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run/vineyard").mkdir(parents=True)
    listens = tmp_path / "run/vineyard/vineyard.sock"
    new_project.kedro("pipeline", "create", "shop", "--skip-config")
    nodes = SHOP.partition("    def register_pipelines")[0]
    nodes = nodes.replace(
        "return {", "import json; return open('result.json', 'w').write(json.dumps({"
    )
    nodes = nodes.replace("iloc[-1]}", "iloc[-1]}))")
    new_project.write("src/bare/pipelines/shop/nodes.py", nodes)
    new_project.write(
        "src/bare/pipelines/shop/pipeline.py",
        """
        from kedro.pipeline import Node, Pipeline

        from .nodes import double, make, total


        def create_pipeline(**kwargs) -> Pipeline:
            return Pipeline(
                [
                    Node(make, None, "raw", name="make"),
                    Node(double, "raw", ["twice", "prices"], name="double"),
                    Node(total, ["twice", "prices"], "written", name="total"),
                ]
            )
        """,
    )
    started = Instance.start(str(listens), "64Mi", exit_with=os.getpid())
    try:
        said = [
            new_project.kedro("run", f"--nodes={node}").stdout
            for node in ("make", "double", "total")
        ]
        with vineyard.connect() as client:
            assert client.ipc_socket == str(listens)
            assert sorted(name.rpartition("/")[2] for name in client.list_names()) == [
                "prices",
                "raw",
                "twice",
            ]
            client.clear()
        new_project.kedro("run", "--runner=ParallelRunner")
    finally:
        started.stop()
    assert json.loads((new_project.path / "result.json").read_text()) == RESULT
    assert all("Through vineyard" in text for text in said)


@pytest.mark.parametrize("runner", ["SequentialRunner", "ThreadRunner", "ParallelRunner"])
def test_the_runners_of_old_by_their_path(shop, client, runner):
    said = shop.kedro("run", f"--runner=vineyard.contrib.kedro.runner.{runner}").stdout
    assert "Through vineyard" in said
    assert result(shop) == RESULT
    assert client.list_names() == {}


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes_of_a_run_however_they_are_started(shop, client, start):
    shop.kedro("run", "--runner=ParallelRunner", KEDRO_MP_CONTEXT=start)
    assert result(shop) == RESULT
    assert client.list_names() == {}


def test_two_runs_at_once_do_not_meet(make_project, client):
    project = make_project(
        WAITING.replace(
            "np.arange(50_000.0)", "np.arange(50_000.0) * float(__import__('os').environ['TIMES'])"
        ),
        catalog="""
            result:
              type: json.JSONDataset
              filepath: "data/result-${oc.env:TIMES}.json"
        """,
    )
    project.settings(
        """
        from omegaconf.resolvers import oc
        CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local",
                              "custom_resolvers": {"oc.env": oc.env}}
        VINEYARD = {"use": "always"}
        """
    )
    at_once = [project.start("run", TIMES=times, WAIT="1") for times in ("1", "3")]
    until(lambda: len(names(client)) == 2)  # both have made, neither has doubled
    (project.path / "data/go").touch()
    for process in at_once:
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    sums = [json.loads((project.path / f"data/result-{n}.json").read_text())["sum"] for n in "13"]
    assert sums == [RESULT["sum"], RESULT["sum"] * 3 + 2]
    assert client.list_names() == {}


def test_a_step_that_is_killed_is_run_again(make_project, client):
    project = make_project(WAITING)
    project.kedro("run", "--nodes=make")
    before = client.status.memory_usage
    process = project.start("run", "--nodes=double", WAIT="1")
    until((project.path / "data/waiting").exists)
    assert [mark.partition("#")[2] for mark in marks(client)] == ["running/double"]
    twice = project.kedro("run", "--nodes=double", check=False)
    assert twice.returncode != 0
    assert f"by process {process.pid} on" in " ".join(twice.stdout.split())
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not marks(client))
    assert len(names(client)) == 1
    assert client.status.memory_usage == before
    missing = project.kedro("run", "--nodes=total", check=False)
    assert missing.returncode != 0
    assert "run that first (kedro run --nodes=double)" in " ".join(missing.stdout.split())
    project.kedro("run", "--nodes=double")
    project.kedro("run", "--nodes=total")
    assert result(project) == RESULT


def test_a_whole_run_that_is_killed_leaves_what_goes_by_itself(make_project, client):
    project = make_project(WAITING, settings='VINEYARD = {"use": "always"}')
    process = project.start("run", WAIT="1")
    until((project.path / "data/waiting").exists)
    process.kill()
    process.communicate(timeout=PATIENCE)
    (name,) = names(client)
    until(lambda: client.name_info(name).ttl is not None)
    assert client.name_info(name).ttl <= 60


def test_ctrl_c_leaves_nothing(make_project, client):
    project = make_project(WAITING, settings='VINEYARD = {"use": "always"}')
    process = project.start("run", WAIT="1")
    until((project.path / "data/waiting").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert client.list_names() == {}  # though Kedro tells no hook of it


def test_a_node_that_dies_in_a_process_of_a_run_ends_the_run(make_project, client):
    project = make_project(
        SHOP.replace(
            "frame.loc[0", "__import__('os').kill(__import__('os').getpid(), 9); frame.loc[0"
        )
    )
    done = project.kedro("run", "--runner=ParallelRunner", check=False)
    assert done.returncode != 0
    assert client.list_names() == {}
    assert not (project.path / "data/result.json").exists()
