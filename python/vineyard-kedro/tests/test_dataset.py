# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The dataset by itself: what is saved comes back, and what can't be done is said."""

import pickle

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.io.core import Version
from vineyard.contrib.kedro import VineyardDataset
from vineyard.contrib.kedro.io.dataset import VineyardDataSet
from vineyard.contrib.kedro.io.place import Place

FRAME = pd.DataFrame({"a": [1.5, float("nan")], "b": ["x", None], "c": pd.Categorical(["u", "v"])})


@pytest.mark.parametrize(
    "value", [FRAME, np.arange(300_000).reshape(3, -1), [1, {"a": (2, "x")}], 0, "", float("inf")]
)
def test_what_is_saved_comes_back(instance, value):
    VineyardDataset("x").save(value)
    found = VineyardDataset("x").load()
    assert type(found) is type(value)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(found, value)
    else:
        assert np.array_equal(found, value)


def test_what_is_loaded_may_be_written_to_and_nobody_sees_it(instance):
    dataset = VineyardDataset("x")
    dataset.save(np.zeros(300_000))
    mine = dataset.load()
    mine[:] = 1
    assert dataset.load().sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        VineyardDataset("x", writable=False).load()[0] = 1


def test_none_is_refused_as_kedro_does(instance):
    with pytest.raises(DatasetError, match="Saving 'None'"):
        VineyardDataset("x").save(None)
    assert not VineyardDataset("x").exists()


def test_an_unknown_dataset_says_what_is_not_there(instance):
    with pytest.raises(DatasetError, match=r"'x' is not in vineyard \(as 'x', at '/.*'\)"):
        VineyardDataset("x").load()


def test_a_value_that_cannot_be_stored_leaves_the_old_one(instance):
    dataset = VineyardDataset("x")
    dataset.save(1)
    with pytest.raises(DatasetError, match=r"'x' can't be handed over.*MemoryDataset") as error:
        dataset.save(lambda: 1)
    assert "lambda" in str(error.value)
    assert dataset.load() == 1


def test_a_value_that_does_not_fit_leaves_the_old_one(instance):
    dataset = VineyardDataset("x")
    dataset.save(1)
    with pytest.raises(DatasetError, match=r"does not fit into vineyard.*kedro vineyard clean"):
        dataset.save(np.zeros(200 << 20, dtype=np.uint8))
    assert dataset.load() == 1


def test_exists_and_release(instance, client):
    dataset = VineyardDataset("x")
    assert not dataset.exists()
    dataset.release()  # of nothing
    dataset.save(np.zeros(300_000))
    assert dataset.exists()
    dataset.release()
    assert not dataset.exists()
    assert client.list_names() == {}
    assert client.status.memory_usage == 0


def test_overwriting_is_one_step_and_frees_the_old_value(instance, client):
    dataset = VineyardDataset("x")
    dataset.save(np.zeros(300_000))
    before = client.name_info("x")
    dataset.save(np.ones(300_000))
    after = client.name_info("x")
    assert (after.version, client.exists(before.id)) == (before.version + 1, False)


def test_a_time_to_live_is_the_names(instance, client):
    VineyardDataset("x", ttl="12h").save(1)
    VineyardDataset("y", ttl=90).save(1)
    assert 43_000 < client.name_info("x").ttl <= 43_200
    assert 0 < client.name_info("y").ttl <= 90
    VineyardDataset("x").save(1)
    assert client.name_info("x").ttl is None


def test_a_place_decides_the_name_and_how_long_it_stays(instance, client):
    dataset = VineyardDataset("x")
    dataset.bind(Place("run/", ttl=60, frees=False, ephemeral=True))
    dataset.save(1)
    assert list(client.list_names()) == ["run/x"]
    assert client.name_info("run/x").ttl <= 60
    assert dataset._EPHEMERAL and not VineyardDataset._EPHEMERAL
    dataset.release()
    assert dataset.exists()
    dataset.free()
    assert not dataset.exists()


def test_scope_none_is_the_same_name_in_all_runs(instance, client):
    dataset = VineyardDataset("x", scope="none")
    dataset.bind(Place("run/", ttl=60, ephemeral=True))
    dataset.save(1)
    dataset.release()
    assert client.get(name="x") == 1
    assert client.name_info("x").ttl is None
    assert not dataset._EPHEMERAL


def test_what_crosses_processes_is_a_name(instance):
    dataset = VineyardDataset("x", ttl="1h")
    dataset.bind(Place("run/"))
    dataset.save(np.zeros(300_000))
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 2000
    assert pickle.loads(pickled).load().shape == (300_000,)


# ---- in a catalog

CATALOG = """
prices:
  type: vineyard.contrib.kedro.VineyardDataset
  name: prices
  ttl: 1h
  metadata:
    owner: me
old:
  type: vineyard.contrib.kedro.io.dataset.VineyardDataSet
  ds_name: old_prices
"{default}":
  type: vineyard.contrib.kedro.VineyardDataset
  name: "{default}"
"""


def test_a_catalog_of_it_keeps_what_it_says(instance, client):
    catalog = DataCatalog.from_config(yaml.safe_load(CATALOG))
    for name in ("prices", "old", "other"):
        catalog[name].save(name)
    assert set(client.list_names()) == {"prices", "old_prices", "other"}
    assert catalog["prices"].metadata == {"owner": "me"}
    config, *_ = catalog.to_config()
    again = DataCatalog.from_config(config)
    assert again["old"].load() == "old"
    assert config["prices"]["ttl"] == "1h"


def test_versions_are_names_of_their_own(instance, client):
    config = {
        "m": {"type": "vineyard.contrib.kedro.VineyardDataset", "name": "m", "versioned": True}
    }
    first = DataCatalog.from_config(config, save_version="2026-01-01T00.00.00.000Z")
    second = DataCatalog.from_config(config, save_version="2026-01-02T00.00.00.000Z")
    assert not first["m"].exists()
    with pytest.raises(DatasetError, match=r"'m' is not in vineyard \(as 'm@\*'"):
        first["m"].load()
    second["m"].save(2)
    first["m"].save(1)
    assert first["m"].load() == 2  # the newest
    old = DataCatalog.from_config(config, load_versions={"m": "2026-01-01T00.00.00.000Z"})
    assert old["m"].exists() and old["m"].load() == 1
    assert old["m"].resolve_load_version() == "2026-01-01T00.00.00.000Z"
    with pytest.raises(DatasetError, match="versions are not overwritten"):
        first["m"].save(3)
    first["m"].release()
    assert first["m"].load() == 2
    assert len(client.list_names()) == 2
    missing = VineyardDataset("m", version=Version("none", None))
    assert not missing.exists()
    missing.save(4)
    assert len(client.list_names()) == 3
    assert VineyardDataset("m").resolve_load_version() is None
    assert VineyardDataset("m").resolve_save_version() is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": ""}, "has a name, which is text, and not ''"),
        ({"name": 5}, "and not 5"),
        ({"name": "a\0b"}, "has a name"),
        ({"name": "x", "scope": "all"}, "scope of 'x' is 'all'; there are: auto, none"),
        ({"name": "x", "ttl": "soon"}, "ttl of 'x' is 'soon'"),
        ({"name": "x", "ttl": -1}, "no duration"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments, said):
    with pytest.raises(DatasetError, match=said):
        VineyardDataset(**arguments)


def test_it_says_what_it_is():
    dataset = VineyardDataset("x", "/run/my.sock", scope="none")
    assert "name='x'" in repr(dataset) and "socket='/run/my.sock'" in repr(dataset)
    dataset = VineyardDataset("x", version=Version(None, "v1"))
    dataset.bind(Place("run/"))
    assert "vineyard_name='run/x'" in repr(dataset) and "v1" in repr(dataset)


# ---- no instance


def test_a_socket_at_which_nobody_listens(tmp_path):
    with pytest.raises(DatasetError, match=r"No vineyard instance answers: .*vineyardd --size 4Gi"):
        VineyardDataset("x", str(tmp_path / "none.sock")).load()
    with pytest.raises(DatasetError, match="No vineyard instance answers"):
        VineyardDataSet("x", vineyard_ipc_socket=str(tmp_path / "none.sock")).save(1)


def test_a_part_of_a_pipeline_needs_an_instance(no_instance):
    dataset = VineyardDataset("x")
    dataset.bind(Place("run/", embedded=False))
    with pytest.raises(DatasetError, match=r"none runs on this machine. Start one with 'vineyardd"):
        dataset.exists()


def test_a_script_has_a_private_instance(no_instance, capfd):
    VineyardDataset("x").save([1])
    assert VineyardDataset("x").load() == [1]
    assert "started a private instance" in capfd.readouterr().err
