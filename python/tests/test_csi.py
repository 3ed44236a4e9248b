# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""vineyard.csi: a volume is a directory, and what lies below it are names."""

import os

import numpy as np
import pandas as pd
import pytest
import vineyard
from vineyard import csi


@pytest.fixture
def volume(own_instance, tmp_path):
    """A directory that is a volume of its own."""
    directory = tmp_path / "data"
    with vineyard.connect(own_instance.socket) as client:
        client._core.create_volume("data", str(directory), 0)
    return directory


def test_a_value_is_written_read_and_deleted(volume):
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert not csi.exists(volume / "step1/clean")
    csi.write(frame, volume / "step1/clean")
    assert csi.exists(volume / "step1/clean")
    pd.testing.assert_frame_equal(csi.read(str(volume / "step1/clean")), frame)
    assert not (volume / "step1").exists()
    csi.write([1], volume / "other")
    assert csi.list(volume) == ["other", "step1/clean"]
    assert csi.list(volume / "step1") == ["clean"]
    assert csi.list(volume / "step") == []
    csi.delete(volume / "step1/clean")
    assert not csi.exists(volume / "step1/clean")
    for call in (csi.read, csi.delete):
        with pytest.raises(KeyError, match="step1/clean"):
            call(volume / "step1/clean")


def test_overwriting_frees_the_old_value(volume):
    with vineyard.connect(volume / "vineyard.sock") as client:
        csi.write(np.zeros(1_000_000), volume / "x")
        used = client.status.memory_usage
        kept = csi.read(volume / "x")
        for _ in range(5):
            csi.write(np.ones(1_000_000), volume / "x")
        assert client.status.memory_usage == used
        assert client.status.objects == 1
        assert not kept.any()
        assert csi.read(volume / "x").all()
        csi.delete(volume / "x")
        assert client.status.memory_usage == 0


def test_paths_mean_what_they_mean_for_files(volume, tmp_path, monkeypatch):
    csi.write(1, volume / "a/b")
    (tmp_path / "link").symlink_to(volume)
    assert csi.read(tmp_path / "link/a/b") == 1
    assert csi.read(f"{volume}/a/c/../b") == 1
    assert csi.read(f"{volume}//a/./b/") == 1
    assert csi.read(f"{volume}/../data/a/b") == 1
    monkeypatch.chdir(volume)
    assert csi.read("a/b") == csi.read("./a/b") == 1
    monkeypatch.chdir(tmp_path)
    assert csi.read("data/a/b") == csi.read("link/a/b") == 1
    with pytest.raises(vineyard.VolumeNotFoundException):
        csi.read("data/../a/b")


def test_paths_in_no_volume_are_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "x", "x", "loop/x", "/", ".", "../x", "/absent/x"):
        for call in (csi.read, csi.exists, csi.delete, csi.list, lambda p: csi.write(1, p)):
            with pytest.raises(FileNotFoundError, match="no volume"):
                call(path)


def test_a_path_that_this_user_may_not_look_at_says_so(volume, monkeypatch):
    def stat(path):
        if str(path).startswith(str(volume)):
            raise PermissionError
        return looked(path)

    looked = os.stat
    monkeypatch.setattr(csi.os, "stat", stat)
    with pytest.raises(FileNotFoundError, match=f"may not look into '{volume}'"):
        csi.read(volume / "a/b")


def test_paths_that_name_no_value_are_errors(volume):
    for path in (volume, f"{volume}/", f"{volume}/a/..", volume / "vineyard.sock", "", "a\0b"):
        for call in (csi.read, csi.exists, csi.delete, lambda p: csi.write(1, p)):
            with pytest.raises(ValueError, match=r"volume|socket|no path"):
                call(path)
    with pytest.raises(TypeError):
        csi.read(5)


def test_a_file_called_like_a_socket_makes_no_volume(tmp_path):
    (tmp_path / "vineyard.sock").touch()
    with pytest.raises(FileNotFoundError):
        csi.read(tmp_path / "x")


def test_volumes_do_not_see_each_other(volume, own_instance):
    with vineyard.connect(own_instance.socket) as client:
        other = os.path.join(os.path.dirname(volume), "other")
        client._core.create_volume("other", other, 0)
        csi.write(1, volume / "x")
        csi.write(2, f"{other}/x")
        assert csi.read(volume / "x") == 1
        assert csi.read(f"{other}/x") == 2
        assert client.list_names() == {}
        csi.delete(f"{other}/x")
        assert csi.exists(volume / "x")


def test_a_reader_waits_for_a_value(volume):
    import threading

    thread = threading.Thread(target=csi.write, args=(5, volume / "late"))
    thread.start()
    assert csi.read(volume / "late", wait=True) == 5
    thread.join()
    with pytest.raises(TimeoutError):
        csi.read(volume / "never", wait=True, timeout=0.05)


def test_a_stopped_instance_is_an_error_at_once(volume, own_instance):
    csi.write(np.arange(300_000), volume / "x")
    kept = csi.read(volume / "x")
    own_instance.stop()
    with pytest.raises((ConnectionError, FileNotFoundError)):
        csi.read(volume / "x")
    assert kept[-1] == 299_999


def test_forked_children_have_connections_of_their_own(volume):
    csi.write([1, 2], volume / "x")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert csi.read(volume / "x") == [1, 2]
            csi.write("from the child", volume / "y")
            code = 0
        finally:
            os._exit(code)
    assert csi.read(volume / "x") == [1, 2]
    assert os.waitpid(child, 0)[1] == 0
    assert csi.read(volume / "y") == "from the child"


def test_the_client_of_a_volume_is_shared_by_its_paths(volume, tmp_path):
    client = csi.client(volume)
    assert csi.client(volume / "a/b") is client
    ref = client.put(5, name="a/b")
    assert csi.read(volume / "a/b") == 5
    assert client.get(ref) == 5
    for path in (tmp_path / "elsewhere", volume / "vineyard.sock", ""):
        with pytest.raises(vineyard.errors.VineyardException):
            csi.client(path)
