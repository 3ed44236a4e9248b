# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A volume's socket for readers, from Python: what is refused is an error that says so."""

import numpy as np
import pytest
import vineyard
from vineyard import csi


@pytest.fixture
def sockets(own_instance, tmp_path):
    """A volume's two sockets, each in a directory of its own."""
    readers = str(tmp_path / "shown" / "vineyard.sock")
    with vineyard.connect(own_instance.socket) as client:
        made = client._core.create_volume(
            "data", str(tmp_path / "data"), read_only_socket=readers, read_only_mode=0o644
        )
    assert made.read_only_socket == readers
    return made.socket, readers


def test_readers_get_what_writers_put(sockets, tmp_path):
    values = {"small": [1, "two"], "large": np.arange(300_000)}
    with vineyard.connect(sockets[0]) as writer, vineyard.connect(sockets[1]) as reader:
        assert not writer.status.read_only
        assert reader.status.read_only
        for name, value in values.items():
            writer.put(value, name=name)
            np.testing.assert_equal(reader.get(name=name), value)
    np.testing.assert_equal(csi.read(tmp_path / "shown" / "large"), values["large"])
    assert csi.list(tmp_path / "shown") == ["large", "small"]


def test_what_changes_something_is_refused(sockets, tmp_path):
    with vineyard.connect(sockets[0]) as writer, vineyard.connect(sockets[1]) as reader:
        ref = writer.put([1, 2], name="kept")
        calls = [
            lambda: reader.put(1),
            lambda: reader.put(np.arange(300_000), name="mine"),
            lambda: reader.put_name(ref, "mine"),
            lambda: reader.drop_name("kept"),
            lambda: reader.delete(ref),
            lambda: reader.empty(300_000),
        ]
        for call in calls:
            with pytest.raises(PermissionError, match="for reading only"):
                call()
        with vineyard.allocator(reader):
            array = np.zeros(1 << 20) + 1  # memory of numpy's own, as there is none to be had
        assert array.sum() == 1 << 20
        assert reader.get(name="kept") == [1, 2]
    with pytest.raises(PermissionError):
        csi.write(1, tmp_path / "shown" / "mine")
