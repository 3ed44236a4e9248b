# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard clean` and `kedro vineyard list`."""

import numpy as np
import pytest
from cli_fixtures import ask
from test_processes import WAITING, until
from vineyard.contrib.kedro import runs

from conftest import PATIENCE

BYTES = 8 * 1000


@pytest.fixture
def left(shop, client):
    """What two workflows and steps by hand have left, what is the project's, and what is somebody else's."""
    by_hand = runs.by_hand(shop.package, str(shop.path), None).prefix
    for name in (
        f"kedro/w1/{shop.package}/raw",
        f"kedro/w1/{shop.package}/sub/twice",
        f"kedro/w1/{shop.package}/#done/make",
        f"kedro/a%2Fb/{shop.package}/raw",
        f"{by_hand}raw",
        f"kedro-project/{shop.package}/result",
        "kedro/w1/another/raw",
        "mine",
    ):
        client.put(np.arange(1000.0), name=name)
    return shop


def names(client):
    return set(client.list_names())


# ---- list


def test_what_there_is_of_the_project_is_listed(left, client):
    values = ask(left, "list", "-o", "json").json["values"]
    by_hand = runs.by_hand(left.package, str(left.path), None).id
    assert {(value["run"], value["dataset"]) for value in values} == {
        ("w1", "raw"),
        ("w1", "sub/twice"),
        ("a/b", "raw"),
        (by_hand, "raw"),
        (None, "result"),
    }
    assert all(value["bytes"] == BYTES and value["age"] >= 0 for value in values)
    assert {value["type"] for value in values} == {
        client.get_meta(value["id"]).typename for value in values
    }


def test_the_table_says_how_long_things_stay(shop, client):
    client.put(np.arange(1000.0), name=f"kedro/w1/{shop.package}/raw", ttl=86400 * 3)
    client.put(1, name=f"kedro-project/{shop.package}/result")
    header, run_s, project_s = ask(shop, "list").out.splitlines()
    assert header.split() == ["RUN", "DATASET", "TYPE", "SIZE", "AGE", "GOES"]
    assert project_s.split()[:2] == ["-", "result"] and project_s.split()[-1] == "stays"
    assert run_s.split()[:2] == ["w1", "raw"] and run_s.split()[-1] in ("2d", "3d")
    assert "7.8 KiB" in run_s


def test_nothing_is_said_to_be_nothing(shop, instance):
    said = ask(shop, "list")
    assert said.out.split() == ["RUN", "DATASET", "TYPE", "SIZE", "AGE", "GOES"]
    assert f"Nothing of {shop.package} is in vineyard" in said.err


def test_what_goes_meanwhile_is_left_out(left, client, monkeypatch):
    listed = client.list_names
    from vineyard import Client

    monkeypatch.setattr(
        Client,
        "list_names",
        lambda *a, **k: {**listed(*a[1:], **k), f"kedro/x/{left.package}/y": 1},
    )
    assert len(ask(left, "list", "-o", "json").json["values"]) == 5


def test_what_a_terminal_would_obey_is_shown(shop, client):
    package = shop.package
    client.put(1, name=f"kedro/r/{package}/\x1b[2Jraw")
    assert "\\x1b[2Jraw" in ask(shop, "list").out


# ---- clean


def test_one_run_is_removed_and_nothing_else(left, client):
    before = names(client)
    said = ask(left, "clean", "--run", "w1")
    assert said.out == "w1: 2 values, 15.6 KiB removed\n"
    assert before - names(client) == {
        f"kedro/w1/{left.package}/{rest}" for rest in ("raw", "sub/twice", "#done/make")
    }


def test_the_memory_comes_back(shop, client):
    before = client.status.memory_usage
    client.put(np.zeros(1 << 20), name=f"kedro/w1/{shop.package}/raw")
    ask(shop, "clean", "--run=w1")
    assert client.status.memory_usage == before


def test_a_run_whose_id_has_a_slash_is_one_too(left, client):
    assert ask(left, "clean", "--run", "a/b").out == "a/b: 1 value, 7.8 KiB removed\n"


def test_without_an_id_it_is_the_run_that_a_process_here_would_be_part_of(
    left, client, monkeypatch
):
    by_hand = runs.by_hand(left.package, str(left.path), None)
    assert ask(left, "clean").out.startswith(f"{by_hand.id}: 1 value")
    monkeypatch.setenv("VINEYARD_RUN_ID", "w1")
    assert ask(left, "clean").out.startswith("w1: 2 values")


def test_all_runs_of_this_project_are_removed(left, client):
    ask(left, "clean", "--all")
    assert names(client) == {f"kedro-project/{left.package}/result", "kedro/w1/another/raw", "mine"}


def test_a_dry_run_removes_nothing(left, client):
    before = names(client)
    said = ask(left, "clean", "--all", "--dry-run")
    assert len(said.out.splitlines()) == 3 and "would be removed" in said.out
    assert names(client) == before


def test_json_tells_runs_and_sums(left, client):
    told = ask(left, "clean", "--all", "--dry-run", "-o", "json").json
    assert (told["values"], told["bytes"]) == (4, 4 * BYTES)
    [w1] = [run for run in told["runs"] if run["run"] == "w1"]
    assert w1 == {"run": "w1", "values": 2, "bytes": 2 * BYTES, "running": [], "removed": False}


def test_a_value_with_two_names_counts_once(shop, client):
    ref = client.put(np.arange(1000.0), name=f"kedro/w1/{shop.package}/raw")
    client.put_name(ref, f"kedro/w1/{shop.package}/same")
    assert ask(shop, "clean", "--run=w1").out == "w1: 2 values, 7.8 KiB removed\n"


def test_where_nothing_is_left_all_is_well(shop, instance):
    """A clean-up at the end of a workflow whose tasks have removed all themselves."""
    said = ask(shop, "clean", "--run=w9")
    assert said.out == "" and "Nothing of the run 'w9'" in said.err
    assert "Nothing of any run" in ask(shop, "clean", "--all").err


def test_what_is_being_run_is_left_alone(make_project, client):
    """A node that waits in another process; when that has ended, nothing is in the way."""
    project = make_project(WAITING)
    project.kedro("run", "--nodes=make", VINEYARD_RUN_ID="w1")
    process = project.start("run", "--nodes=double", VINEYARD_RUN_ID="w1", WAIT="1")
    try:
        until((project.path / "data/waiting").exists)
        said = ask(project, "clean", "--run=w1", code=1)
        assert "'w1' (double)" in said.err and "--force" in said.err
        assert said.out.endswith("left\n")
        assert f"kedro/w1/{project.package}/raw" in names(client)
        told = ask(project, "clean", "--all", "--dry-run", "-o", "json")
        assert told.json["runs"][0]["running"] == ["double"] and "(double)" in told.err
        ask(project, "clean", "--run=w1", "--force")
        assert names(client) == set()
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def test_a_run_of_everything_is_left_alone_while_its_process_lives(make_project, client):
    project = make_project(WAITING)
    process = project.start("run", VINEYARD_KEDRO="always", WAIT="1")
    try:
        until((project.path / "data/waiting").exists)
        [raw] = ask(project, "list", "-o", "json").json["values"]
        assert (raw["dataset"], raw["process"], raw["ttl"]) == ("raw", process.pid, None)
        assert f"with process {process.pid}" in ask(project, "list").out
        said = ask(project, "clean", "--all", code=1)
        assert f"(process {process.pid})" in said.err and raw["name"] in names(client)
        (project.path / "data/go").touch()
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
        assert names(client) == set()
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("options", "words"), [("--run=a --all", "one of the two"), ("--run=", "empty")]
)
def test_a_wrong_command_line_is_told(left, client, options, words):
    before = names(client)
    assert words in ask(left, "clean", *options.split(), code=2).err
    assert names(client) == before


@pytest.mark.parametrize("verb", ["clean", "list"])
def test_without_an_instance_it_says_what_to_do(shop, no_instance, verb):
    said = ask(shop, verb, code=1)
    assert "No vineyard instance runs on this machine. Start one" in said.err


@pytest.mark.parametrize("verb", ["clean", "list"])
def test_an_instance_that_does_not_answer_is_told(shop, monkeypatch, tmp_path, verb):
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", str(tmp_path / "gone.sock"))
    said = ask(shop, verb, code=1)
    assert "No vineyard instance answers" in said.err and "gone.sock" in said.err
