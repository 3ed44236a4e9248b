# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`kedro vineyard catalog`."""

import os

import pytest
import yaml
from cli_fixtures import PARAMETERS, SPACES, TRANSCODED, ask

TYPE = "vineyard.contrib.kedro.VineyardDataset"


def written(project, name="__default__", env="vineyard"):
    return yaml.safe_load((project.path / f"conf/{env}/catalog/{name}.yml").read_text())


# ---- create


def test_what_the_catalog_lacks_gets_entries(shop):
    said = ask(shop, "catalog", "create")
    assert said.out == "conf/vineyard/catalog/__default__.yml\n"
    assert "3 datasets" in said.err
    assert written(shop) == {
        name: {"type": TYPE, "name": name} for name in ("prices", "raw", "twice")
    }


def test_a_run_in_that_environment_keeps_them_in_vineyard(shop, client):
    ask(shop, "catalog", "create", "-p", "shop")
    shop.kedro("run", "--env=vineyard", "--nodes=make", VINEYARD_KEDRO="never")
    assert [name for name in client.list_names() if name.endswith("/raw")]


def test_again_there_is_nothing_to_write(shop):
    ask(shop, "catalog", "create")
    said = ask(shop, "catalog", "create")
    assert said.out == "" and "nothing is written" in said.err


def test_what_a_file_has_stays_as_it_is(shop):
    shop.write(
        "conf/vineyard/catalog/__default__.yml",
        "# by hand\nraw:\n  type: MemoryDataset  # for now",
    )
    said = ask(shop, "catalog", "create")
    assert "2 datasets" in said.err
    text = (shop.path / "conf/vineyard/catalog/__default__.yml").read_text()
    assert text.startswith("# by hand\nraw:\n  type: MemoryDataset  # for now\n")
    assert set(written(shop)) == {"raw", "prices", "twice"}


def test_names_of_pipelines_make_safe_names_of_files(make_project):
    project = make_project(SPACES, catalog="")
    ask(project, "catalog", "create", "-p", "data.left")
    assert set(written(project, "data_left")) == {"start", "left.between", "a"}
    project = make_project(SPACES.replace("data.left", "../../../up"), catalog="")
    ask(project, "catalog", "create", "-p", "../../../up", "-e", "other")
    assert os.listdir(project.path / "conf/other/catalog") == ["_up.yml"]


def test_another_environment_that_is_there_is_looked_at(shop):
    shop.write("conf/own/catalog_raw.yml", "raw:\n  type: MemoryDataset\n")
    ask(shop, "catalog", "create", "-e", "own")
    assert set(written(shop, env="own")) == {"prices", "twice"}


@pytest.mark.parametrize("env", ["..", "../outside", ".", "/tmp"])
def test_an_environment_is_within_the_configuration(shop, env):
    assert "no name of an environment" in ask(shop, "catalog", "create", "-e", env, code=2).err


def test_parameters_are_no_datasets(make_project):
    project = make_project(PARAMETERS, catalog="")
    ask(project, "catalog", "create")
    assert set(written(project)) == {"made"}


def test_all_names_of_a_transcoded_dataset_mean_one_value(make_project, instance):
    project = make_project(TRANSCODED, catalog="")
    ask(project, "catalog", "create")
    assert written(project)["table@rows"] == written(project)["table@columns"]
    assert written(project)["table@rows"]["name"] == "table"
    project.kedro("run", "--env=vineyard")


def test_one_entry_may_serve_all(shop, client):
    said = ask(shop, "catalog", "create", "--catch-all")
    assert "all datasets" in said.err
    assert written(shop, "vineyard") == {"{default}": {"type": TYPE, "name": "{default}"}}
    assert "nothing is written" in ask(shop, "catalog", "create", "--catch-all").err
    assert "nothing is written" in ask(shop, "catalog", "create").err
    shop.kedro("run", "--env=vineyard")


def test_it_serves_transcoded_ones_too(make_project, instance):
    project = make_project(TRANSCODED, catalog="")
    ask(project, "catalog", "create", "--catch-all")
    told = ask(project, "check", "-e", "vineyard", "-o", "json").json["datasets"]
    assert [(one["dataset"], one["why"]) for one in told] == [("table", "By the catalog.")]
    project.kedro("run", "--env=vineyard")


@pytest.mark.parametrize("text", [b"raw: [", b"- raw\n", b"\xff\xfe\xfd"])
def test_a_file_that_is_no_catalog_is_left_alone(shop, text):
    shop.write("conf/vineyard/catalog/__default__.yml", "")
    file = shop.path / "conf/vineyard/catalog/__default__.yml"
    file.write_bytes(text)
    assert "can't be read" in ask(shop, "catalog", "create", code=1).err
    assert file.read_bytes() == text


def test_a_file_that_kedro_does_not_look_at_is_read_as_text(make_project):
    """The project has its catalogs elsewhere."""
    project = make_project(
        settings='CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local", "config_patterns": {"catalog": '
        '["catalog.yml"]}}'
    )
    project.write("conf/vineyard/catalog/__default__.yml", "")
    file = project.path / "conf/vineyard/catalog/__default__.yml"
    file.write_bytes(b"\xff\xfe\xfd")
    assert f"'{file}' can't be read" in ask(project, "catalog", "create", code=1).err


def test_a_file_that_cannot_be_written_is_told(shop):
    shop.write("conf/vineyard/catalog", "")  # where the directory would be
    said = ask(shop, "catalog", "create", code=1)
    assert "can't be" in said.err and "Traceback" not in said.err


def test_an_unknown_pipeline_writes_nothing(shop):
    assert "there are: __default__, shop" in ask(shop, "catalog", "create", "-p", "x", code=2).err
    assert not (shop.path / "conf/vineyard").exists()


# ---- list


def test_types_are_listed_by_pipeline(shop):
    ask(shop, "catalog", "create")
    kept = "kedro_datasets.json.json_dataset.JSONDataset"
    there = "vineyard.contrib.kedro.io.dataset.VineyardDataset"
    said = ask(shop, "catalog", "list", "-o", "json")
    alone = {"prices": None, "raw": None, "result": kept, "twice": None}
    assert said.json == {"pipelines": {"__default__": alone, "shop": alone}}
    said = ask(shop, "catalog", "list", "-p", "shop", "-e", "vineyard", "-o", "json")
    all_there = {name: there for name in ("prices", "raw", "twice")}
    assert said.json == {"pipelines": {"shop": {**all_there, "result": kept}}}


def test_the_table_has_a_line_for_each(shop):
    lines = ask(shop, "catalog", "list", "-p", "shop").out.splitlines()
    assert lines[0].split() == ["PIPELINE", "DATASET", "TYPE"]
    assert lines[1].split() == ["shop", "prices", "not", "in", "the", "catalog"]
    assert len(lines) == 5


def test_parameters_are_left_out(make_project):
    project = make_project(PARAMETERS, catalog="")
    said = ask(project, "catalog", "list", "-o", "json")
    assert said.json["pipelines"]["__default__"] == {"made": None}


def test_a_type_of_a_library_that_is_missing_is_told_and_the_rest_shown(make_project):
    project = make_project(catalog='"{x}_none":\n  type: no.such.Dataset\n')
    project.pipeline(SPACES.replace('"start"', '"start_none"'))
    found = ask(project, "catalog", "list", "-o", "json").json["pipelines"]["__default__"]
    assert found["start_none"].startswith("unusable: ")
    assert found["a"] is None


def test_an_unknown_one_is_told(shop):
    assert "there are: " in ask(shop, "catalog", "list", "-p", "x", code=2).err
    assert "can't be read" in ask(shop, "catalog", "list", "-e", "x", code=1).err
