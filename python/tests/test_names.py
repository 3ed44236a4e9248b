# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Names: one step with the put, versions, ownership, waiting."""

import os
import threading
import time

import numpy as np
import pytest
import vineyard
from vineyard import ObjectID, ObjectName


def test_a_name_points_to_the_last_object_put_under_it(client, name):
    first = client.put(1, name=name)
    second = client.put(2, name=name, persist=True)
    assert client.get_name(name) == second
    assert client.get(name=name) == 2
    assert client.get(name=ObjectName(name)) == 2
    assert not client.exists(first)
    client.drop_name(name)
    assert not client.exists(second)


def test_a_plain_name_only_refers(client, name):
    ref = client.put(1)
    assert client.put_name(ref, name) == 1
    assert client.put_name(ref, name) == 2
    client.drop_name(name)
    assert client.get(ref) == 1
    client.delete(ref)


def test_deleting_an_object_takes_its_names(client, name):
    ref = client.put(1, name=name)
    client.put_name(ref, name + "-too")
    client.delete(ref)
    for gone in (name, name + "-too"):
        with pytest.raises(KeyError, match=gone):
            client.get_name(gone)


def test_versions_are_compared(client, name):
    client.put(1, name=name, if_version=0)
    with pytest.raises(vineyard.ConflictException):
        client.put(2, name=name, if_version=0)
    client.put(2, name=name, if_version=1)
    with pytest.raises(vineyard.ConflictException):
        client.drop_name(name, if_version=1)
    client.drop_name(name, if_version=2)
    with pytest.raises(ValueError, match="no name"):
        client.put(1, if_version=0)


def test_names_are_listed(client, name):
    for part in ("/a", "/b/c", "/b/d"):
        client.put(part, name=name + part)
    assert sorted(client.list_names(name + "/*")) == [name + p for p in ("/a", "/b/c", "/b/d")]
    assert sorted(client.list_names(name + "/b/", prefix=True)) == [name + "/b/c", name + "/b/d"]
    assert list(client.list_names(f"^{name}/a$", regex=True)) == [name + "/a"]
    assert len(client.list_names(name + "/*", limit=2)) == 2
    assert client.list_names(name + "/a")[name + "/a"] == client.get_name(name + "/a")
    for part in ("/a", "/b/c", "/b/d"):
        client.drop_name(name + part)


def test_a_get_waits_for_its_name(client, socket, name):
    def put_later():
        with vineyard.connect(socket) as other:
            started.wait()
            other.put("here", name=name)

    started = threading.Event()
    thread = threading.Thread(target=put_later)
    thread.start()
    started.set()
    assert client.get(name=name, wait=True) == "here"
    assert client.get_name(name, wait=True)
    thread.join()
    client.drop_name(name)


def test_waiting_ends_at_the_deadline(client, name):
    for call in (client.get_name, lambda n, **kw: client.get(name=n, **kw)):
        with pytest.raises(TimeoutError):
            call(name, wait=True, timeout=0.05)


def test_many_threads_write_one_name(client, socket, name):
    def write(i):
        with vineyard.connect(socket) as other:
            for j in range(20):
                other.put((i, j, np.full(1000, i)), name=name)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    i, j, array = client.get(name=name)
    assert j == 19
    assert (array == i).all()
    client.drop_name(name)


@pytest.mark.parametrize("wrong", ["", "\ud800"])
def test_texts_that_are_no_names_are_refused(client, wrong):
    for call in (
        lambda: client.put(1, name=wrong),
        lambda: client.get(name=wrong),
        lambda: client.put_name(ObjectID(1), wrong),
        lambda: client.get_name(wrong),
        lambda: client.drop_name(wrong),
    ):
        with pytest.raises(ValueError, match="name"):
            call()


def test_names_of_any_text_work(client, name):
    for text in ("é", "a/b//c", " ", "\n", "x" * 200, "*", "..", "\U0001f600"):
        client.put(text, name=name + text)
        assert client.get(name=name + text) == text
        client.drop_name(name + text)


def test_dropping_says_whether_there_was_such_a_name(client, name):
    assert client.drop_name(name) is False
    ref = client.put(1, name=name)
    client.delete(ref)  # takes the name along
    assert client.drop_name(name) is False
    client.put(2, name=name)
    assert client.drop_name(name) is True
    with pytest.raises(vineyard.ConflictException, match=name):
        client.drop_name(name, if_version=1)


def test_absent_names_are_key_errors(client, name):
    for call in (client.get_name, lambda n: client.get(name=n)):
        with pytest.raises(KeyError, match=name):
            call(name)
    with pytest.raises(KeyError):
        client.put_name(ObjectID(99), name)
    with pytest.raises(TypeError):
        client.put(1, name=5)
    with pytest.raises(ValueError, match="id or a name"):
        client.get()
    with pytest.raises(ValueError, match="not both"):
        client.get(ObjectID(1), name="x")


# ---- time to live


def gone(own_client, name):
    try:
        own_client.get_name(name)
    except vineyard.ObjectNotExistsException:
        return True
    time.sleep(0.005)
    return False


def test_a_name_may_end_by_itself_and_take_its_object(own_client):
    owned = own_client.put(1, name="short", ttl=0.05)
    kept = own_client.put(2)
    own_client.put_name(kept, "also short", ttl=0.05)
    own_client.put_name(kept, "long", ttl=3600)
    own_client.put_name(kept, "for ever")
    while not (gone(own_client, "short") and gone(own_client, "also short")):
        pass
    assert not own_client.exists(owned)
    assert own_client.exists(kept)
    assert 3500 < own_client.name_info("long").ttl <= 3600
    info = own_client.name_info("for ever")
    assert (info.name, info.id, info.version, info.ttl) == ("for ever", kept, 1, None)
    own_client.put_name(kept, "long", if_version=1)
    assert own_client.name_info("long").ttl is None


def test_a_builder_s_object_may_have_a_name_that_ends(own_client):
    def build(client, value, **kwargs):
        meta = vineyard.ObjectMeta()
        meta["typename"] = "example::Thing"
        return meta

    own_client.put(object(), build, name="built", ttl=3600)
    own_client.put(object(), lambda client, value, **_: client.put(1), name="stored", ttl=3600)
    for name in ("built", "stored"):
        assert own_client.name_info(name).ttl > 3500


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_a_time_to_live_is_some_time(own_client, ttl):
    with pytest.raises(vineyard.InvalidException):
        own_client.put(1, name="n", ttl=ttl)
    with pytest.raises(vineyard.InvalidException):
        own_client.put_name(own_client.put(1), "n", ttl=ttl)
    assert own_client.list_names() == {}


def test_an_object_without_a_name_may_have_a_time_to_live(own_client):
    ends = own_client.put(1, ttl=0.05)
    stays = own_client.put(2, ttl=3600)
    while own_client.exists(ends):
        time.sleep(0.005)
    assert own_client.exists(stays)
    assert own_client.list_names() == {}
    assert own_client.status.names == 0


def test_what_lives_with_a_client_goes_when_that_is_closed(own_client):
    with vineyard.connect(own_client.ipc_socket) as other:
        named = other.put([1, 2], name="with it", linger=0)
        unnamed = other.put({"a": 1}, linger=0)
        kept = other.put(3)
        other.put_name(kept, "longer", linger=3600)
        info = own_client.name_info("longer")
        assert (info.linger, info.client_pid, info.ttl) == (3600, os.getpid(), None)
        assert own_client.name_info("with it").linger == 0
        assert own_client.status.leases == 3
    while own_client.exists(named) or own_client.exists(unnamed):
        time.sleep(0.005)
    while own_client.status.leases > 0:
        time.sleep(0.005)
    assert list(own_client.list_names()) == ["longer"]
    info = own_client.name_info("longer")
    assert (info.linger, info.client_pid) == (None, 0)
    assert 3500 < info.ttl <= 3600


@pytest.mark.parametrize("linger", [-1, float("nan")])
def test_nothing_ends_before_its_client(own_client, linger):
    with pytest.raises(vineyard.InvalidException):
        own_client.put(1, linger=linger)
    with pytest.raises(vineyard.InvalidException):
        own_client.put_name(own_client.put(1), "n", linger=linger)
    assert own_client.list_names() == {}


@pytest.mark.parametrize("term", [{"ttl": 5}, {"linger": 5}])
def test_what_a_builder_stores_has_its_term_by_its_name(own_client, term):
    stored = []

    def build(client, value, **kwargs):
        stored.append(client.put(1))
        return stored[0]

    with pytest.raises(vineyard.InvalidException, match="name"):
        own_client.put(object(), build, **term)
    assert not stored
    own_client.put(object(), build, name="n", **term)
    assert own_client.get(name="n") == 1
