# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard check`, and what all commands have in common."""

import doctest
import json
import logging
import sys

import pytest
from cli_fixtures import CIRCLE, EMPTY, PARAMETERS, SPACES, TRANSCODED, ask
from vineyard.contrib.kedro.plugins.cli import docker, labels, listing, manners
from vineyard.contrib.kedro.plugins.cli.manners import talk_on_stderr

VINEYARD = "type: vineyard.contrib.kedro.VineyardDataset"
CSV = "type: pandas.CSVDataset"


def verdicts(said):
    return {told["dataset"]: told["verdict"] for told in said.json["datasets"]}


def only(said):
    [told] = said.json["datasets"]
    return told


def test_the_hook_shares_what_the_catalog_does_not_keep(shop, instance):
    said = ask(shop, "check", "-o", "json")
    assert verdicts(said) == {"raw": "shared", "twice": "shared", "prices": "shared"}
    assert said.json["tasks"] == 3
    assert said.json["instance"] == {"socket": instance.socket, "answers": True, "error": None}
    raw = said.json["datasets"][1]
    assert (raw["made_by"], raw["read_by"]) == (["make"], ["double"])
    assert "'use' is 'auto'" in raw["why"] and raw["advice"] == ""
    assert said.err == ""


def test_it_says_the_same_as_a_run_of_one_node_does(shop, client):
    """What is called shared is in vineyard after the node that makes it has been run by itself."""
    shared = verdicts(ask(shop, "check", "-o", "json"))
    shop.kedro("run", "--nodes=make", VINEYARD_RUN_ID="r")
    shop.kedro("run", "--nodes=double", VINEYARD_RUN_ID="r")
    stored = {name.rpartition("/")[2] for name in client.list_names("kedro/r/*") if "#" not in name}
    assert stored | {"raw"} == set(shared)  # which all have read


def test_what_is_kept_in_memory_is_lost_without_the_hook(make_project, instance):
    project = make_project(settings='VINEYARD = {"use": "never"}')
    said = ask(project, "check", "-o", "json", code=1)
    assert set(verdicts(said).values()) == {"lost"}
    assert "'use' is 'never'" in said.json["datasets"][0]["why"]
    assert "kedro vineyard catalog create" in said.json["datasets"][0]["advice"]
    assert "Error: Lost between tasks: prices, raw, twice." in said.err


def test_a_hook_that_the_project_turned_off_shares_nothing(make_project, instance):
    project = make_project(settings='DISABLE_HOOKS_FOR_PLUGINS = ("vineyard-kedro",)')
    project.catalog(f"raw:\n  {VINEYARD}\n  name: raw\n")
    said = ask(project, "check", "-o", "json", code=1)
    assert verdicts(said) == {"raw": "shared", "twice": "lost", "prices": "lost"}
    told = {told["dataset"]: told for told in said.json["datasets"]}
    assert "overwrite each other's" in told["raw"]["why"]
    assert "DISABLE_HOOKS_FOR_PLUGINS" in told["twice"]["why"]


def test_a_hook_that_the_project_names_itself_is_on(make_project, instance):
    project = make_project(
        settings="""
        from vineyard.contrib.kedro.plugins.hook import VineyardHook
        DISABLE_HOOKS_FOR_PLUGINS = ("vineyard-kedro",)
        HOOKS = (VineyardHook(),)
        """
    )
    assert set(verdicts(ask(project, "check", "-o", "json")).values()) == {"shared"}


@pytest.mark.parametrize(
    ("entry", "verdict", "kept_as", "words"),
    [
        (VINEYARD + "\n  name: raw", "shared", "VineyardDataset", "By the catalog."),
        (CSV + "\n  filepath: data/raw.csv", "copied", "CSVDataset", "of the machine"),
        (CSV + "\n  filepath: memory://raw.csv", "copied", "CSVDataset", "parses it again."),
        ("type: MemoryDataset", "shared", "MemoryDataset", "hook"),
        (
            "type: CachedDataset\n  dataset:\n    type: pandas.CSVDataset\n    filepath: data/raw.csv",
            "copied",
            "CachedDataset of CSVDataset",
            "of the machine",
        ),
        (
            "type: CachedDataset\n  dataset:\n    type: MemoryDataset",
            "lost",
            "CachedDataset of MemoryDataset",
            "ends with that",
        ),
    ],
)
def test_an_entry_of_the_catalog_decides(make_project, instance, entry, verdict, kept_as, words):
    project = make_project(catalog=f"raw:\n  {entry}\n")
    said = ask(project, "check", "-o", "json", code=int(verdict == "lost"))
    [told] = [told for told in said.json["datasets"] if told["dataset"] == "raw"]
    assert (told["verdict"], told["kept_as"]) == (verdict, kept_as)
    assert words in told["why"]


def test_an_environment_that_shares_all_overrides_files(make_project, instance):
    project = make_project(catalog=f"raw:\n  {CSV}\n  filepath: data/raw.csv\n")
    project.write("conf/vineyard/.gitkeep", "")
    assert verdicts(ask(project, "check", "-o", "json"))["raw"] == "copied"
    assert verdicts(ask(project, "check", "-e", "vineyard", "-o", "json"))["raw"] == "shared"


def test_the_environment_variable_of_kedro_counts(make_project, instance, monkeypatch):
    project = make_project(catalog=f"raw:\n  {CSV}\n  filepath: data/raw.csv\n")
    project.write("conf/vineyard/.gitkeep", "")
    monkeypatch.setenv("KEDRO_ENV", "vineyard")
    assert verdicts(ask(project, "check", "-o", "json"))["raw"] == "shared"


def test_names_of_one_dataset_must_mean_one_place(make_project, instance):
    project = make_project(TRANSCODED, catalog="")
    assert only(ask(project, "check", "-o", "json"))["verdict"] == "shared"
    project.catalog(f'"table@rows":\n  {CSV}\n  filepath: data/table.csv\n')
    told = only(ask(project, "check", "-o", "json", code=1))
    assert (told["verdict"], told["kept_as"]) == ("lost", "not in the catalog, CSVDataset")
    assert "different places" in told["why"]
    project.catalog(
        "".join(f'"table@{x}":\n  {VINEYARD}\n  name: {x}\n' for x in ("rows", "columns"))
    )
    assert only(ask(project, "check", "-o", "json", code=1))["verdict"] == "lost"


def test_within_a_namespace_nothing_is_handed_over(make_project, instance):
    project = make_project(SPACES, catalog="")
    by_node = verdicts(ask(project, "check", "-o", "json"))
    assert set(by_node) == {"start", "left.between", "a", "right.deep.between", "b"}
    said = ask(project, "check", "--by=namespace", "-o", "json")
    assert set(verdicts(said)) == {"start", "a", "b"}
    assert said.json["tasks"] == 4


def test_namespaces_that_need_each_other_are_refused(make_project, instance):
    project = make_project(CIRCLE, catalog="")
    said = ask(project, "check", "--by=namespace", code=1)
    assert "'yonder' needs 'here' (for its node 'yonder.two')" in said.err
    assert "'here' needs 'yonder' (for its node 'here.three')" in said.err
    assert "--by=node" in said.err
    ask(project, "check", "--by=node")


@pytest.mark.parametrize("pipeline", [EMPTY, PARAMETERS])
def test_where_nothing_is_handed_over_it_says_so(make_project, instance, pipeline):
    project = make_project(pipeline, catalog="")
    said = ask(project, "check")
    assert "Nothing goes from one to another" in said.out
    assert ask(project, "check", "-o", "json").json["datasets"] == []


def test_the_table_tells_why_and_what_to_do(make_project, instance):
    project = make_project(catalog=f"raw:\n  {CSV}\n  filepath: data/raw.csv\n")
    lines = ask(project, "check").out.splitlines()
    assert lines[0].split() == ["DATASET", "MADE", "BY", "READ", "BY", "KEPT", "AS", "VERDICT"]
    assert lines[2].split() == ["raw", "make", "double", "CSVDataset", "copied"]
    assert "copied: raw" in lines and "shared: prices, twice" in lines
    assert lines[-1] == f"The vineyard instance {instance.socket} answers"


def test_without_an_instance_it_warns(shop, no_instance):
    said = ask(shop, "check")
    assert "does not answer: none runs on this machine" in said.out
    assert "No instance answers here" in said.err
    assert ask(shop, "check", "-o", "json").json["instance"]["answers"] is False


def test_an_instance_that_has_gone_does_not_answer(shop, monkeypatch, tmp_path):
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", str(tmp_path / "gone.sock"))
    told = ask(shop, "check", "-o", "json").json["instance"]
    assert told["socket"] == str(tmp_path / "gone.sock") and not told["answers"]
    assert "gone.sock" in told["error"]


def test_an_unknown_pipeline_names_those_that_there_are(shop):
    said = ask(shop, "check", "-p", "nope", code=2)
    assert "no pipeline 'nope'; there are: __default__, shop" in said.err and said.out == ""


def test_a_project_without_pipelines_says_so(make_project):
    project = make_project("def register_pipelines():\n        return {}\n", catalog="")
    assert "has no pipeline '__default__'; there are: none" in ask(project, "check", code=2).err


def test_pipelines_that_fail_are_told(make_project):
    project = make_project("def register_pipelines():\n        raise RuntimeError('broken')\n")
    said = ask(project, "check", code=1)
    assert "can't be loaded: RuntimeError: broken" in said.err and "Traceback" not in said.err


def test_an_environment_that_is_not_there_is_told(shop, instance):
    said = ask(shop, "check", "-e", "nowhere", code=1)
    assert "in the environment 'nowhere' can't be read" in said.err


@pytest.mark.parametrize(
    "catalog",
    ["raw: [", "raw:\n  type: no.such.Dataset\n", "raw:\n  type: MemoryDataset\n  nope: 1\n"],
)
def test_a_catalog_that_is_wrong_is_told(make_project, instance, catalog):
    said = ask(make_project(catalog=catalog), "check", code=1)
    assert "can't be read" in said.err or "The entry 'raw' of the catalog can't be used" in said.err


def test_settings_that_are_wrong_are_told(make_project, instance):
    said = ask(make_project(settings='VINEYARD = {"use": "sometimes"}'), "check", code=1)
    assert "there are: auto" in said.err


def test_a_path_of_a_dataset_of_ones_own_is_of_the_machine(make_project, instance):
    project = make_project()
    project.write(
        f"src/{project.package}/own.py",
        """
        from kedro.io import AbstractDataset


        class Own(AbstractDataset):
            def __init__(self, filepath):
                self._filepath = filepath

            def load(self):
                pass

            def save(self, data):
                pass

            def _describe(self):
                return {}
        """,
    )
    for path, local in (("data/raw.bin", True), ("s3://bucket/raw.bin", False)):
        project.catalog(f"raw:\n  type: {project.package}.own.Own\n  filepath: {path}\n")
        [raw] = [
            one
            for one in ask(project, "check", "-o", "json").json["datasets"]
            if one["dataset"] == "raw"
        ]
        assert raw["verdict"] == "copied"
        assert ("of the machine" in raw["why"]) is local


@pytest.mark.parametrize("name", ["a,b", " a", "a{{b"])
def test_a_namespace_that_kedro_run_cannot_name_is_refused(make_project, name):
    pipeline = CIRCLE.replace('"yonder"', repr(name))
    said = ask(make_project(pipeline, catalog=""), "check", "--by=namespace", code=1)
    assert "can't name" in said.err


# ---- the command line


def test_kedro_has_the_commands(shop, instance):
    """As a user has them: in a process, through Kedro's own command."""
    said = shop.kedro("vineyard", "check", "-o", "json")
    assert len(json.loads(said.stdout.splitlines()[-1])["datasets"]) == 3
    assert "check" in shop.kedro("vineyard", "--help").stdout
    assert shop.kedro("vineyard", "chekc", check=False).returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("check",),
        ("list",),
        ("clean",),
        ("catalog", "create"),
        ("catalog", "list"),
        ("docker", "init"),
        ("docker", "build"),
        ("argo", "generate"),
    ],
)
def test_each_help_ends_with_an_example(shop, words):
    _, _, example = ask(shop, *words, "--help").out.partition("  example: ")
    assert f"\n    kedro vineyard {' '.join(words)}".rstrip() in example


def test_kedros_logging_stays_off_stdout_and_is_as_before_afterwards():
    class Console:
        stderr = False

    logger, kedro = logging.getLogger("kedro.vineyard.tests"), logging.getLogger("kedro")
    plain, rich = logging.StreamHandler(sys.stdout), logging.NullHandler()
    rich.console = Console
    level = kedro.level
    logger.addHandler(plain)
    logger.addHandler(rich)
    try:
        with talk_on_stderr():
            assert plain.stream is sys.stderr and rich.console.stderr
            assert not logger.isEnabledFor(logging.INFO)
        assert plain.stream is sys.stdout and not rich.console.stderr
        assert kedro.level == level
    finally:
        logger.handlers.clear()


@pytest.mark.parametrize("module", [docker, labels, listing, manners])
def test_examples_of_the_documentation_hold(module):
    assert doctest.testmod(module).failed == 0
