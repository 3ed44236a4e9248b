# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which run a process is part of, what a project may say, and which Kedro is known."""

import doctest
import os

import pytest
from kedro.io import DatasetError
from vineyard.contrib.kedro import flows, runs, settings, versions
from vineyard.contrib.kedro.settings import Settings, Use


@pytest.mark.parametrize("module", [flows, runs, settings, versions])
def test_examples_are_right(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"VINEYARD_RUN_ID": "nightly"}, "nightly"),
        ({"ARGO_WORKFLOW_UID": "u-1"}, "u-1"),
        ({"ARGO_NODE_ID": "shop-x7k2p-2938475629"}, "shop-x7k2p"),
        ({"ARGO_NODE_ID": "nonsense"}, None),
        ({"AIRFLOW_CTX_DAG_ID": "shop", "AIRFLOW_CTX_DAG_RUN_ID": "manual__1"}, "shop/manual__1"),
        ({"AIRFLOW_CTX_DAG_ID": "shop"}, None),
        ({"VINEYARD_RUN_ID": "mine", "ARGO_WORKFLOW_UID": "u-1"}, "mine"),
        ({"VINEYARD_RUN_ID": ""}, None),
    ],
)
def test_the_environment_says_which_workflow(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert runs.workflow_id() == expected
    run = runs.partial_run("shop", "/p", None)
    assert run.kind == ("by hand" if expected is None else "workflow")
    if expected is not None:
        assert run.id == expected
        assert f"run '{expected}'" in str(run)


def test_runs_do_not_meet(monkeypatch, tmp_path):
    def prefixes():
        yield runs.partial_run("shop", str(tmp_path), "local").prefix
        yield runs.partial_run("shop", str(tmp_path), "test").prefix
        yield runs.partial_run("shop", "/other", "local").prefix
        yield runs.whole_run("2026-01-01T00.00.00.000Z", "shop").prefix
        yield runs.whole_run("2026-01-01T00.00.00.000Z", "shop").prefix
        for workflow in ("a", "a/b", "a%2Fb", "by-hand"):
            monkeypatch.setenv("VINEYARD_RUN_ID", workflow)
            yield runs.partial_run("shop", str(tmp_path), "local").prefix
            yield runs.partial_run("shop2", str(tmp_path), "local").prefix

    found = list(prefixes())
    assert len(set(found)) == len(found)
    assert all(prefix.startswith("kedro/") and prefix.count("/") == 3 for prefix in found)


def test_steps_by_hand_meet(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    one = runs.by_hand("shop", str(tmp_path), "local")
    assert one == runs.by_hand("shop", str(tmp_path / "link"), "local")
    assert str(one) == "the project 'shop' run by hand, step by step"


@pytest.mark.parametrize(
    ("said", "env", "environment", "expected"),
    [
        (None, None, {}, Settings()),
        (None, "vineyard", {}, Settings(Use.ALWAYS)),
        ({"use": "never"}, "vineyard", {}, Settings(Use.NEVER)),
        ({"USE": "Memory", "ttl": "never"}, None, {}, Settings(Use.MEMORY, None)),
        ({"use": "never"}, None, {"VINEYARD_KEDRO": "always"}, Settings(Use.ALWAYS)),
        ({"ttl": "2h"}, None, {"VINEYARD_KEDRO_TTL": "90"}, Settings(ttl=90)),
        ({"ttl": 1.5}, None, {"VINEYARD_KEDRO": ""}, Settings(ttl=1.5)),
    ],
)
def test_settings(monkeypatch, said, env, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert settings.read(said, env) == expected


@pytest.mark.parametrize(
    ("said", "environment", "message"),
    [
        ({"use": "on"}, {}, r"VINEYARD\['use'\] in settings.py is 'on'; there are: auto, memory"),
        ({"ttl": "1y"}, {}, r"VINEYARD\['ttl'\] in settings.py is '1y', and no duration"),
        ({"ttl": True}, {}, "no duration"),
        ({"ttl": 0}, {}, "no duration"),
        ({"ttl": float("nan")}, {}, "no duration"),
        ({"tll": 1}, {}, "says tll; there are: use, ttl"),
        ("auto", {}, "is a dict"),
        (None, {"VINEYARD_KEDRO": "yes"}, "VINEYARD_KEDRO is 'yes'; there are"),
        (None, {"VINEYARD_KEDRO_TTL": "-5s"}, "VINEYARD_KEDRO_TTL is '-5s'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(monkeypatch, said, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DatasetError, match=message):
        settings.read(said)


@pytest.mark.parametrize("version", ["1.0.0", "1.7.0", "1.99.0rc1"])
def test_known_versions(version):
    versions.check(version)


@pytest.mark.parametrize("version", ["0.18.14", "0.19.15", "2.0.0", "dev"])
def test_unknown_versions(version):
    with pytest.raises(ImportError, match=f"{version} is installed: pip install .kedro>=1.0,<2.0"):
        versions.check(version)


def test_the_plugin_has_the_version_of_vineyard():
    import tomllib
    from pathlib import Path

    import vineyard

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["version"] == vineyard.__version__
    assert f"kedro>={'.'.join(map(str, versions.OLDEST))}" in project["dependencies"][0]
    assert os.path.samefile(Path(vineyard.__file__).parents[1], Path(__file__).parents[2])
