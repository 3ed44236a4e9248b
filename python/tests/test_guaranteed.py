# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Memory that is guaranteed to a volume, from Python."""

import numpy as np
import pytest
import vineyard

MIB = 1 << 20


def test_others_leave_a_volume_what_it_was_guaranteed(own_instance, tmp_path):
    with vineyard.connect(own_instance.socket) as client:
        size = client.status.instance_limit
        guaranteed = size // 2
        made = client._core.create_volume("data", str(tmp_path / "data"), guaranteed=guaranteed)
        assert made.guaranteed == guaranteed
        volumes = {volume.name: volume for volume in client._core.list_volumes()}
        assert volumes["data"].guaranteed == guaranteed
        assert volumes["default"].guaranteed == 0
        assert volumes["data"].memory_held < MIB
        assert client.status.memory_limit == size - guaranteed
        assert guaranteed - MIB < client.status.memory_kept <= guaranteed
        with pytest.raises(MemoryError, match="guaranteed to volume 'data'"):
            client.put(np.zeros(size - guaranteed + MIB, np.uint8))
        with vineyard.connect(made.socket) as data:
            assert data.status.memory_guaranteed == guaranteed
            assert data.status.memory_kept == 0
            data.put(np.zeros(guaranteed // 2, np.uint8), name="x")
        client._core.remove_volume("data")
        assert client.status.memory_kept == 0


def test_more_than_there_is_cannot_be_guaranteed(own_instance, tmp_path):
    with vineyard.connect(own_instance.socket) as client:
        with pytest.raises(MemoryError, match="guarantee at most"):
            client._core.create_volume("data", str(tmp_path / "data"), guaranteed=1 << 50)
        with pytest.raises(ValueError, match="quota"):
            client._core.create_volume("data", str(tmp_path / "data"), MIB, guaranteed=2 * MIB)
        assert [volume.name for volume in client._core.list_volumes()] == ["default"]
