# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The Kedro project and its benchmark: the data's shape, what nodes make of it, and a quick run of all three ways.

Nothing here says how long anything may take. The run needs what ``scripts/bench_kedro.sh --prepare`` makes.
"""

import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro_ways import digests, project, report, result, s3_server, session
from kedro_ways.project import NODES, TABLES, Failed, Times, add

sys.path.insert(0, str(project.SOURCE / "src"))
from mlops import generate, nodes

prepared = pytest.mark.skipif(
    not (project.PYTHON.exists() and s3_server.PROGRAM.exists()),
    reason="scripts/bench_kedro.sh --prepare has not been run",
)
LISTS = {"none_cols": ["Alley", "PoolQC"], "zero_cols": ["GarageYrBlt"]}


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """The table as the first node reads it."""
    path = tmp_path_factory.mktemp("houses") / "train.csv"
    generate.houses().to_csv(path, index=False, na_rep="NA")
    return pd.read_csv(path, keep_default_na=False, na_values=["NA"])


# ---- the data


def test_the_table_has_the_shape_of_the_tutorials(houses):
    assert houses.shape == (1460, 81)
    assert sum(isinstance(dtype, pd.StringDtype) for dtype in houses.dtypes) == 43
    missing = houses.isna().sum()
    assert (missing.sum(), (missing > 0).sum()) == (6965, 19)
    assert missing[["LotFrontage", "PoolQC", "Electrical", "GarageCond"]].tolist() == [
        259,
        1453,
        1,
        81,
    ]


def test_the_table_is_the_same_each_time():
    pd.testing.assert_frame_equal(generate.houses(), generate.houses())


def test_a_multiplier_gives_so_many_rows_of_the_same_mix(houses):
    more = nodes.augment(houses, 10)
    assert len(more) == 14600
    assert (more.dtypes == houses.dtypes).all()
    pd.testing.assert_frame_equal(more[:1460], houses)
    pd.testing.assert_frame_equal(more, nodes.augment(houses, 10))
    assert (more.isna().mean() - houses.isna().mean()).abs().max() < 0.02
    for name in houses:
        assert set(more[name].dropna()) <= set(houses[name].dropna())
    assert not more[1460:2920].reset_index(drop=True).equals(houses)


def test_the_multiplier_is_read_from_the_environment(houses, monkeypatch):
    monkeypatch.setenv("DATA_AUGMENT_MULTIPLIER", "3")
    assert len(nodes.augment(houses)) == 4380
    monkeypatch.setenv("DATA_AUGMENT_MULTIPLIER", "0")
    with pytest.raises(ValueError, match="1 or more"):
        nodes.augment(houses)
    monkeypatch.delenv("DATA_AUGMENT_MULTIPLIER")
    assert len(nodes.augment(houses)) == 1460


# ---- the nodes


def test_outliers_are_large_and_cheap(houses):
    left = nodes.remove_outliers(houses, {"GrLivArea": 3000, "SalePrice": 300000})
    gone = houses.drop(left.index)
    assert 0 < len(gone) < 100
    assert (gone["GrLivArea"] > 3000).all() and (gone["SalePrice"] < 300000).all()
    assert not ((left["GrLivArea"] > 3000) & (left["SalePrice"] < 300000)).any()


def test_nothing_is_missing_after_filling_in(houses):
    filled = nodes.fill_na(houses, **LISTS)
    assert not filled.isna().any().any()
    alley = houses["Alley"].isna()
    assert (filled["Alley"][alley] == "None").all() and not (
        filled["Alley"][~alley] == "None"
    ).any()
    assert (filled["GarageYrBlt"][houses["GarageYrBlt"].isna()] == 0).all()
    (row,) = np.flatnonzero(houses["Electrical"].isna())
    assert filled["Electrical"].iloc[row] == houses["Electrical"].value_counts().index[0]
    unknown = houses["LotFrontage"].isna()
    where = houses["Neighborhood"]
    medians = houses.groupby("Neighborhood")["LotFrontage"].median()
    assert (filled["LotFrontage"][unknown] == where[unknown].map(medians)).all()


def test_areas_are_added_and_prices_taken_the_logarithm_of(houses):
    total = nodes.total_sf(houses)["TotalSF"]
    assert (total == houses["TotalBsmtSF"] + houses["1stFlrSF"] + houses["2ndFlrSF"]).all()
    assert np.allclose(np.expm1(nodes.create_target(houses)), houses["SalePrice"])
    assert "Id" not in nodes.drop_cols(houses, ["Id"])


def test_nodes_write_into_no_table_that_they_are_given(houses):
    before = houses.copy(deep=True)
    nodes.remove_outliers(houses, {"GrLivArea": 3000, "SalePrice": 300000})
    nodes.fill_na(houses, **LISTS)
    nodes.total_sf(houses)
    pd.testing.assert_frame_equal(houses, before)


# ---- equal to the bit


def test_equal_tables_have_one_digest_however_they_lie_in_memory(houses):
    again = pd.concat([houses[:700], houses[700:]])  # text in several chunks
    assert digests.digest(again) == digests.digest(houses)
    assert digests.digest(houses[10:]) == digests.digest(houses[10:].copy(deep=True))


@pytest.mark.parametrize(
    "changed", ["a number", "a text", "missing", "empty", "index", "name", "type"]
)
def test_another_table_has_another_digest(houses, changed):
    other = houses.copy(deep=True)
    if changed == "a number":
        other.loc[7, "MasVnrArea"] = np.nextafter(other.loc[7, "MasVnrArea"], 1e9)
    elif changed == "a text":
        other.loc[7, "Street"] = "pave"
    elif changed == "missing":
        other.loc[7, "Street"] = None
    elif changed == "empty":
        houses = houses.assign(Street=houses["Street"].mask(houses.index == 7, ""))
        other.loc[7, "Street"] = None
    elif changed == "index":
        other.index = other.index + 1
    elif changed == "name":
        other = other.rename(columns={"Street": "street"})
    else:
        other["YrSold"] = other["YrSold"].astype("int32")
    assert digests.digest(other) != digests.digest(houses)


def test_text_is_not_told_apart_by_where_it_is_cut():
    one, other = pd.Series(["ab", "c"], dtype="str"), pd.Series(["a", "bc"], dtype="str")
    assert digests.digest(one) != digests.digest(other)


# ---- the figures


def times(load, save, node=10.0):
    one = Times(connect=0.5, processes=100.0)
    for name in NODES:
        one.nodes[name], one.load[name], one.save[name] = node, load, save
    return one


def test_what_is_handed_over_is_told_from_what_is_read():
    one = Times()
    lines = [
        {"what": "connect", "seconds": 0.25},
        {"what": "load", "node": "a", "dataset": "house_prices", "seconds": 4.0, "imported": ["x"]},
        {"what": "save", "node": "a", "dataset": TABLES[0], "seconds": 2.0, "imported": ["y"]},
        {"what": "node", "node": "a", "seconds": 9.0},
    ]
    add(one, "a", lines)
    assert (one.sum, one.handing_over, one.connect) == (9.0, 2.0, 0.25)
    assert one.imported == {"y"}
    with pytest.raises(Failed, match="noted no time"):
        add(one, "b", lines[:1])


def test_goals_are_told_from_the_ratios_of_rounds():
    found = session.Found()
    found.times = {
        500: {
            "vineyard": [times(0.1, 0.1), times(0.1, 0.1)],
            "minio-s3": [times(2.0, 2.0), times(2.0, 2.0)],
            "cloudpickle": [times(0.4, 0.4), times(0.4, 0.4)],
        }
    }
    told = result.of(found) | {
        "ways": {name: {"title": name, "settings": ""} for name in found.times[500]}
    }
    lines = list(report.goals(told))
    assert [line.split(": ")[-1] for line in lines] == [
        "reached",
        "**not reached**",
        "**not reached**",
    ]
    assert "0.050, goal ≤ 0.1" in lines[0] and "0.250, goal ≤ 0.2" in lines[1]
    assert told["scales"]["500"]["vineyard"]["start"]["median"] == 100.0 - 0.5 - 50.0


def test_tables_that_differ_are_found():
    right = {"vineyard": {"y_train": "a", "house": "h"}, "minio-s3": {"y_train": "a", "house": "h"}}
    assert list(session.differences({1: right, 10: right})) == []
    wrong = right | {"cloudpickle": {"y_train": "b", "house": "h"}}
    (line,) = session.differences({1: right, 10: wrong})
    assert line == "y_train at scale 10 is another by cloudpickle than by vineyard"
    (line,) = session.differences({1: right | {"cloudpickle": {"house": "h"}}})
    assert "y_train" in line
    assert "Results differ" in report.equality({"unequal": [line]})


def test_each_way_is_first_as_often_as_the_others():
    assert [session.turns([1, 2, 3], number) for number in range(4)] == [
        [1, 2, 3],
        [2, 3, 1],
        [3, 1, 2],
        [1, 2, 3],
    ]


@pytest.mark.parametrize("module", [project, report, digests, session])
def test_examples_are_right(module):
    assert doctest.testmod(module).failed == 0


# ---- all of it


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run it once, and return what it said and wrote."""
    folder = tmp_path_factory.mktemp("kedro")
    benchmarks = str(Path(project.__file__).parents[1])
    paths = [benchmarks, *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-m", "kedro_ways", "--quick", "--folder", project.PYTHON.parents[3] / "kedro",
         "--out", folder / "kedro.json"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("vybench-*")) == []
    return done.stdout, json.loads((folder / "kedro.json").read_text()), folder


@prepared
def test_all_ways_are_measured_and_leave_equal_tables(run):
    said, found, folder = run
    assert "quick run" in said and "equal in all ways, to the bit" in said
    assert (folder / "kedro.md").read_text() == said
    assert found["unequal"] == []
    assert set(found["digests"]["2"]) == {"vineyard", "minio-s3", "cloudpickle"}
    for kept in found["digests"]["2"].values():
        assert kept == found["digests"]["2"]["vineyard"]
        assert set(kept) == set(TABLES)
    for way in found["scales"]["2"].values():
        assert way["sum"]["median"] > way["handing_over"]["median"] > 0
    for way in found["nodes"]["2"].values():
        assert set(way) == set(NODES)
        assert way["outliers_node"]["load"] == 0 < way["outliers_node"]["save"]
