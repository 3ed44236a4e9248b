# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What outlives the instance: values, names and volumes that are on the disk."""

import numpy as np
import pandas as pd
import pytest
import vineyard
import vineyard.csi

from conftest import running_instance


@pytest.fixture
def begin(tmp_path):
    """Begins an instance at the same socket, with the same folder, each time."""

    def start():
        return running_instance(
            size="64Mi",
            socket=str(tmp_path / "vineyard.sock"),
            arguments=["--spill_path", str(tmp_path / "disk")],
        )

    return start


def _frame():
    return pd.DataFrame({"a": np.arange(1 << 17), "b": ["text"] * (1 << 17)})


def _kill(instance):
    instance.process.kill()
    instance.process.wait()


def test_values_and_names_are_there_again(begin):
    with begin() as instance, vineyard.connect(instance.socket) as client:
        array = client.put(np.arange(1 << 19), name="array", durability="disk")
        frame = client.put(_frame(), durability="disk")
        client.put({"of": "memory"}, name="memory")
        client.put_name(frame, "frame", durability="disk")
        client.put_name(frame, "frame", durability="disk")
        later = client.put([1, 2, 3], name="later")
        assert not client.is_durable(later)
        client.make_durable(later)
        assert client.is_durable(later)
        assert client.name_info("frame").durable
        assert not client.name_info("memory").durable
        assert client.status.not_on_disk == 0
        _kill(instance)
    with begin() as instance, vineyard.connect(instance.socket) as client:
        assert np.array_equal(client.get(name="array"), np.arange(1 << 19))
        assert client.get_name("array") == array
        pd.testing.assert_frame_equal(client.get(frame), _frame())
        assert client.name_info("frame").version == 2
        assert client.get(later) == [1, 2, 3]
        assert sorted(client.list_names()) == ["array", "frame"]
        assert client.status.set_aside == client.status.not_restored == 0


def test_a_durable_volume_keeps_all_that_is_put_there(begin, tmp_path):
    data = tmp_path / "data"
    with begin() as instance, vineyard.connect(instance.socket) as client:
        made = client._core.create_volume("data", str(data), 1 << 24, durability="disk")
        assert made.durable
        vineyard.csi.write({"answer": 42}, data / "value")
        _kill(instance)
    with begin() as instance, vineyard.connect(instance.socket) as client:
        (volume,) = [v for v in client._core.list_volumes() if v.name == "data"]
        assert volume.durable
        assert volume.quota == 1 << 24
        assert vineyard.csi.read(data / "value") == {"answer": 42}


def test_persist_does_it_where_it_can(begin):
    with begin() as instance, vineyard.connect(instance.socket) as client:
        ref = client.put("kept")
        client.persist(ref)
        assert client.is_durable(ref)


def test_without_a_disk_it_is_refused(client, name):
    for call in (
        lambda: client.put(1, durability="disk"),
        lambda: client.put_name(client.put(1), name, durability="disk"),
        lambda: client.make_durable(client.put(1)),
    ):
        with pytest.raises(vineyard.NotImplementedException, match="--spill_path"):
            call()
    ref = client.put(1)
    client.persist(ref)  # as it always did


def test_another_word_is_refused(client, name):
    with pytest.raises(vineyard.InvalidException, match="'memory' or 'disk'"):
        client.put(1, durability="tape")
    with pytest.raises(vineyard.InvalidException, match="'memory' or 'disk'"):
        client.put_name(client.put(1), name, durability="tape")


def test_what_lingers_is_refused(begin):
    with (
        begin() as instance,
        vineyard.connect(instance.socket) as client,
        pytest.raises(vineyard.InvalidException, match="linger"),
    ):
        client.put(1, linger=0, durability="disk")


def test_builders_too(begin):
    def build(client, value, **_):
        return client.put(value)

    with begin() as instance, vineyard.connect(instance.socket) as client:
        assert client.is_durable(client.put("x", build, durability="disk"))
        client.put("y", build, name="n", durability="disk")
        assert client.name_info("n").durable
