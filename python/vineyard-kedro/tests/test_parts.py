# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Parts of a pipeline, which hand over to each other, and what they are told where something is missing."""

import os

import pytest
import vineyard
from kedro.io import DatasetError
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from vineyard.contrib.kedro import runs

from conftest import RESULT, SHOP, result, seen

ALWAYS = 'VINEYARD = {"use": "always"}'
MEMORY = 'VINEYARD = {"use": "memory"}'


# ---- parts


def test_parts_hand_over_what_crosses_their_border(shop, client, log):
    shop.run(node_names=["make"])
    shop.run(node_names=["double"])
    shop.run(node_names=["total"])
    assert seen(log) == [["raw"], ["prices", "raw", "twice"], ["prices", "twice"]]
    assert result(shop) == RESULT
    prefix = runs.by_hand(shop.package, str(shop.path), "local").prefix
    assert set(client.list_names()) == {prefix + name for name in ("raw", "twice", "prices")}
    assert all(0 < client.name_info(name).ttl <= 86_400 for name in client.list_names())
    shop.run(node_names=["double", "total"])  # and once more
    assert seen(log)[-1] == ["raw"]


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner, ParallelRunner])
def test_each_runner_runs_parts(make_project, client, runner):
    project = make_project(settings=ALWAYS)
    project.run(node_names=["make"], runner=runner())
    project.run(node_names=["double", "total"], runner=runner())
    assert result(project) == RESULT
    assert [name.rpartition("/")[2] for name in client.list_names()] == [
        "raw"
    ]  # the others have been read


def test_a_workflow_frees_what_all_have_read(shop, client, monkeypatch):
    monkeypatch.setenv("VINEYARD_RUN_ID", "nightly/1")
    left = []
    for node in ("make", "double", "total"):
        shop.run(node_names=[node])
        names = [
            name.removeprefix(f"kedro/nightly%2F1/{shop.package}/") for name in client.list_names()
        ]
        left.append({name for name in names if not name.startswith("#")})
    assert left == [{"raw"}, {"twice", "prices"}, set()]
    assert result(shop) == RESULT
    with pytest.raises(DatasetError, match="once all nodes that read it have been run"):
        shop.run(node_names=["double"])


def test_nodes_with_endless_names(make_project, client, monkeypatch):
    monkeypatch.setenv("VINEYARD_RUN_ID", "w")
    names = {node: node * 1500 for node in ("make", "double", "total")}
    project = make_project(
        SHOP.replace('name="make"', 'name="make" * 1500')
        .replace('name="double"', 'name="double" * 1500')
        .replace('name="total"', 'name="total" * 1500')
    )
    for node in names.values():
        project.run(node_names=[node])
    assert result(project) == RESULT
    assert not [name for name in client.list_names() if "#" not in name]


def test_a_socket_in_the_catalog_counts_more(make_project, instance, client, monkeypatch, capfd):
    monkeypatch.delenv("VINEYARD_IPC_SOCKET")
    project = make_project(
        catalog="""
            result: {type: json.JSONDataset, filepath: data/result.json}
            "{name}":
              type: vineyard.contrib.kedro.VineyardDataset
              name: "{name}"
              socket: SOCKET
        """.replace("SOCKET", instance.socket)
    )
    project.run()
    assert result(project) == RESULT
    assert client.list_names() == {}
    for node in ("make", "double", "total"):
        project.run(node_names=[node])
    assert len(client.list_names()) == 3
    assert "private instance" not in capfd.readouterr().err


def test_what_a_node_outside_of_the_pipeline_reads_too_is_not_freed(
    make_project, client, monkeypatch
):
    monkeypatch.setenv("VINEYARD_RUN_ID", "w")
    project = make_project(
        SHOP.replace(
            'return {"__default__": shop, "shop": shop}',
            'other = Pipeline([Node(len, "raw", "size", name="other")])\n'
            '        return {"__default__": shop, "other": other}',
        )
    )
    project.run(node_names=["make"])
    project.run(node_names=["double"])
    assert f"kedro/w/{project.package}/raw" in client.list_names()


def test_two_runs_do_not_meet(make_project, client, monkeypatch):
    project = make_project(
        SHOP.replace(
            "np.arange(50_000.0)", 'np.arange(50_000.0) * float(__import__("os").environ["TIMES"])'
        )
    )
    outcomes = {}
    for node in (
        "make",
        "double",
        "total",
    ):  # step by step, each step of both before the next of either
        for times in ("1", "3"):
            monkeypatch.setenv("VINEYARD_RUN_ID", f"run-{times}")
            monkeypatch.setenv("TIMES", times)
            project.run(node_names=[node])
            if node == "total":
                outcomes[times] = result(project)
    assert outcomes["1"] == RESULT
    assert outcomes["3"]["sum"] == RESULT["sum"] * 3 + 2  # -1 stays -1


def test_pipelines_by_name_are_parts_of_the_default_one(make_project, client, log):
    project = make_project(
        SHOP.replace(
            'return {"__default__": shop, "shop": shop}',
            'return {"__default__": shop, "first": shop.filter(node_names=["make", "double"]), '
            '"second": shop.filter(node_names=["total"])}',
        )
    )
    names = (
        "pipeline_names" if "pipeline_names" in project.session().run.__code__.co_varnames else None
    )
    for pipeline in ("first", "second"):
        project.run(**({names: [pipeline]} if names else {"pipeline_name": pipeline}))
    assert seen(log) == [["prices", "twice"], ["prices", "twice"]]
    assert result(project) == RESULT


def test_a_pipeline_that_is_no_part_of_the_default_one_is_whole(make_project, client, log):
    project = make_project(
        SHOP.replace('{"__default__": shop,', '{"__default__": Pipeline([]),'), settings=MEMORY
    )
    names = (
        "pipeline_names" if "pipeline_names" in project.session().run.__code__.co_varnames else None
    )
    project.run(**({names: ["shop"]} if names else {"pipeline_name": "shop"}))
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(project) == RESULT
    assert client.list_names() == {}


def test_a_value_read_in_two_ways_stays_until_the_second_has(make_project, client):
    project = make_project(
        """
        from kedro.pipeline import Node, Pipeline


        def register_pipelines():
            one = Node(lambda: [1, 2], None, "x@list", name="one")
            two = Node(len, "x@any", "n", name="two")
            return {"__default__": Pipeline([one, two, Node(lambda n: {"n": n}, "n", "result", name="three")])}
        """,
        settings=ALWAYS,
    )
    project.run()
    assert result(project) == {"n": 2}
    assert client.list_names() == {}
    for node in ("one", "two", "three"):
        project.run(node_names=[node])
    assert result(project) == {"n": 2}


def test_a_notebook_finds_what_was_run_by_hand(make_project, client):
    project = make_project(
        catalog='"{default}": {type: vineyard.contrib.kedro.VineyardDataset, name: "{default}"}'
    )
    project.run(node_names=["make"])
    with project.session() as session:
        assert len(session.load_context().catalog["raw"].load()) == 50_000


# ---- what is not there


def test_a_missing_value_says_who_makes_it(shop, client):
    with pytest.raises(
        DatasetError,
        match=r"'twice' is not in vineyard.*made by the node 'double': run that first \(kedro run --nodes=double\)",
    ):
        shop.run(node_names=["total"])


def test_a_time_that_passed_is_told_of(make_project, client):
    project = make_project(settings='VINEYARD = {"ttl": "90s"}')
    project.run(node_names=["make"])
    (name,) = client.list_names()
    assert client.name_info(name).ttl <= 90
    client.drop_name(name)
    with pytest.raises(DatasetError, match="goes 90 s after it was saved"):
        project.run(node_names=["double"])
    forever = make_project(settings='VINEYARD = {"ttl": "never"}')
    with pytest.raises(DatasetError, match=r"when it is removed \(kedro vineyard clean\)"):
        forever.run(node_names=["double"])


def test_a_free_input_that_nobody_saved(make_project, client):
    project = make_project(
        SHOP.replace('Node(make, None, "raw"', 'Node(lambda x: make(), "given", "raw"'),
        catalog="given: {type: vineyard.contrib.kedro.VineyardDataset, name: given}",
    )
    with pytest.raises(DatasetError, match=r"'given' is not in vineyard.*No node makes it"):
        project.run()


def test_a_run_that_begins_in_the_middle_finds_only_what_was_saved(make_project, client):
    project = make_project(settings=ALWAYS)
    with pytest.raises(DatasetError, match="'raw' is not in vineyard"):
        project.run(from_nodes=["double"])


def test_none_from_a_node_is_refused(make_project, client):
    project = make_project(
        SHOP.replace("return pd.DataFrame", "return None and pd.DataFrame"), settings=ALWAYS
    )
    with pytest.raises(DatasetError, match="Saving 'None'"):
        project.run()


def test_a_value_that_cannot_be_stored_ends_the_run_with_what_to_do(make_project, client):
    project = make_project(
        SHOP.replace("return pd.DataFrame(", "return (lambda *x: x) or pd.DataFrame("),
        settings=ALWAYS,
    )
    with pytest.raises(
        DatasetError, match=r"'raw' can't be handed over.*type of its own in the catalog"
    ):
        project.run()
    assert client.list_names() == {}


def test_a_node_that_runs_already_is_not_run_twice(shop, client):
    prefix = runs.by_hand(shop.package, str(shop.path), "local").prefix
    name = f"{prefix}#running/double"
    client.put({"process": 4711, "host": "elsewhere"}, name=name)
    shop.run(node_names=["make"])
    with pytest.raises(
        DatasetError,
        match=r"'double' of the project .* is being run already, by process 4711 on elsewhere.*VINEYARD_RUN_ID",
    ):
        shop.run(node_names=["double"])
    client.put("nonsense", name=name)
    with pytest.raises(DatasetError, match="by another process"):
        shop.run(node_names=["double", "total"])
    client.drop_name(name)
    shop.run(node_names=["double"])
    assert not [name for name in client.list_names() if "#" in name]


# ---- no instance


def test_a_part_without_an_instance_says_how_to_start_one(shop, no_instance, log):
    shop.run(node_names=["make"])
    assert (
        "Other processes won't get raw. No vineyard instance runs on this machine. Start one"
        in "\n".join(log)
    )
    with pytest.raises(
        DatasetError,
        match=r"'raw' is made by the node 'make', which is not part of this run.*Start one with 'vineyardd",
    ):
        shop.run(node_names=["double"])


def test_a_socket_without_an_instance_is_named(shop, monkeypatch, tmp_path):
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", str(tmp_path / "none.sock"))
    with pytest.raises(DatasetError, match=r"none\.sock.*Start one"):
        shop.run(node_names=["double"])
    shop.run(runner=ParallelRunner())  # which Kedro can do by itself
    assert result(shop) == RESULT


def test_who_asks_for_vineyard_hears_that_it_is_not_there(make_project, monkeypatch, tmp_path):
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", str(tmp_path / "none.sock"))
    project = make_project(settings=ALWAYS)
    with pytest.raises(DatasetError, match="No vineyard instance answers"):
        project.run(node_names=["double"])
    with pytest.raises(DatasetError, match="No vineyard instance answers"):
        project.run()


@pytest.mark.parametrize("runner", [SequentialRunner, ParallelRunner])
def test_a_whole_run_may_have_a_private_instance(make_project, no_instance, runner, capfd):
    project = make_project(settings=ALWAYS)
    project.run(runner=runner())
    assert result(project) == RESULT
    assert "started a private instance" in capfd.readouterr().err
    with vineyard.connect(os.environ["VINEYARD_IPC_SOCKET"]) as there:
        assert there.list_names() == {}


def test_a_part_has_no_private_instance(make_project, no_instance):
    project = make_project(
        catalog='"{default}": {type: vineyard.contrib.kedro.VineyardDataset, name: "{default}"}'
    )
    with pytest.raises(DatasetError, match="need a vineyard instance, and none runs"):
        project.run(node_names=["make"])
    assert "VINEYARD_IPC_SOCKET" not in os.environ
