# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which datasets of a run go through vineyard, under which names, and when they go. Sessions run in this process."""

import pytest
from kedro.io import DatasetError
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner
from vineyard.contrib.kedro import runner as ours
from vineyard.contrib.kedro.plugins.hook import VineyardHook

from conftest import RESULT, SHOP, result, seen

NEVER = 'VINEYARD = {"use": "never"}'
ALWAYS = 'VINEYARD = {"use": "always"}'
MEMORY = 'VINEYARD = {"use": "memory"}'


# ---- whole runs


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner, ParallelRunner])
def test_a_whole_run_hands_over_and_leaves_nothing(make_project, client, log, runner):
    project = make_project(settings=ALWAYS)
    project.run(runner=runner())
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(project) == RESULT
    assert client.list_names() == {}


def test_by_default_a_run_in_one_process_stays_as_it_is(shop, client, log):
    shop.run()
    assert seen(log) == []
    assert result(shop) == RESULT


def test_by_default_a_run_in_several_processes_shares(shop, client, log):
    shop.run(runner=ParallelRunner())
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(shop) == RESULT
    assert client.list_names() == {}


def test_what_the_catalog_keeps_stays_there_unless_all_is_asked_for(make_project, client, log):
    catalog = """
        result: {type: json.JSONDataset, filepath: data/result.json}
        raw: {type: pickle.PickleDataset, filepath: data/raw.pkl}
        prices: {type: MemoryDataset}
    """
    project = make_project(catalog=catalog, settings=MEMORY)
    project.run()
    assert (project.path / "data/raw.pkl").exists()
    project.settings(ALWAYS)
    other = make_project(catalog=catalog, settings=ALWAYS)
    other.run()
    assert not (other.path / "data/raw.pkl").exists()
    assert seen(log) == [["prices", "twice"], ["prices", "raw", "twice"]]
    assert result(project) == result(other) == RESULT


def test_inputs_and_outputs_stay_where_they_are(make_project, client):
    project = make_project(catalog="", settings=ALWAYS)
    outputs = project.run()
    found = outputs["result"]
    assert (found.load() if hasattr(found, "load") else found) == RESULT
    assert client.list_names() == {}


def test_an_environment_of_that_name_asks_for_all(make_project, client, log):
    project = make_project()
    project.write("conf/vineyard/catalog.yml", "")
    project.run(env="vineyard")
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(project) == RESULT


def test_never_means_never(make_project, client, log):
    project = make_project(settings=NEVER)
    project.run(runner=ThreadRunner())
    with pytest.raises(ValueError, match="not found in the"):
        project.run(node_names=["total"])
    assert seen(log) == []


def test_kedros_own_switch_turns_the_hook_off(make_project, client, log):
    project = make_project(settings='DISABLE_HOOKS_FOR_PLUGINS = ("vineyard-kedro",)')
    project.run(runner=ParallelRunner())
    assert seen(log) == []
    assert result(project) == RESULT


def test_loads_and_saves_may_be_done_in_threads(make_project, client, log):
    make = make_project(settings=ALWAYS)
    make.run(runner=SequentialRunner(is_async=True))
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(make) == RESULT
    assert client.list_names() == {}


@pytest.mark.parametrize("runner", [SequentialRunner, ThreadRunner, ParallelRunner])
def test_the_datasets_of_a_catalog_belong_to_the_run(make_project, client, runner):
    project = make_project(
        catalog="""
            "{default}": {type: vineyard.contrib.kedro.VineyardDataset, name: "{default}"}
        """,
        settings=NEVER,
    )
    project.run(runner=runner())
    names = client.list_names()
    assert list(names) == [f"kedro-project/{project.package}/result"]  # the output: it stays
    assert client.get(name=f"kedro-project/{project.package}/result") == RESULT
    with project.session() as session:
        assert session.load_context().catalog["result"]


def test_a_run_that_fails_leaves_nothing(make_project, client):
    project = make_project(
        SHOP.replace('return {"sum"', 'raise KeyError("no");return {"sum"'), settings=ALWAYS
    )
    with pytest.raises(KeyError):
        project.run()
    assert client.list_names() == {}
    assert not (project.path / "data/result.json").exists()


def test_kedro_does_not_suggest_to_resume_from_what_is_gone(make_project, client, capsys):
    project = make_project(SHOP.replace("prices[0] += 1", 'raise KeyError("no")'), settings=ALWAYS)
    with pytest.raises(KeyError):
        project.run()
    said = " ".join(capsys.readouterr().out.split())
    assert '--from-nodes "make"' in said  # and not "total", as if what it reads were still there


def test_a_hook_named_in_the_settings_as_of_old_is_there_once(make_project, client, log):
    project = make_project(
        settings="""
            from vineyard.contrib.kedro.plugins.hook import VineyardHook
            HOOKS = (VineyardHook(),)
            VINEYARD = {"use": "always"}
        """
    )
    project.run()
    assert seen(log) == [["prices", "raw", "twice"]]
    project.run(node_names=["make"])  # whose claim is not in its own way
    assert result(project) == RESULT


def test_settings_that_mean_nothing_end_the_run(make_project, client):
    project = make_project(settings='VINEYARD = {"use": "sometimes"}')
    with pytest.raises(DatasetError, match=r"VINEYARD\['use'\] in settings.py is 'sometimes'"):
        project.run()


# ---- the runners of old


@pytest.mark.parametrize("name", ["SequentialRunner", "ThreadRunner", "ParallelRunner"])
def test_the_runners_of_old_share(shop, client, log, name):
    shop.run(runner=getattr(ours, name)())
    assert seen(log) == [["prices", "raw", "twice"]]
    assert result(shop) == RESULT
    assert client.list_names() == {}


def test_a_runner_without_a_session_shares_too(client):
    from kedro.io import DataCatalog
    from kedro.pipeline import Node, Pipeline

    catalog, seen_names = DataCatalog(), []
    nodes = [
        Node(lambda: [1, 2], None, "a", name="one"),
        Node(
            lambda a: seen_names.extend(client.list_names()) or {"n": len(a)}, "a", "b", name="two"
        ),
    ]
    for _ in range(2):
        outputs = ours.SequentialRunner().run(Pipeline(nodes), catalog)
    assert outputs["b"].load() == {"n": 2}
    assert len(seen_names) == 2 and all(name.endswith("/script/a") for name in seen_names)
    assert client.list_names() == {}


def test_hooks_are_what_kedro_finds():
    from importlib.metadata import entry_points

    (point,) = [p for p in entry_points(group="kedro.hooks") if p.value.startswith("vineyard.")]
    assert isinstance(point.load(), VineyardHook)
