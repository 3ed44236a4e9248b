# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What an instance says of itself, from Python."""

import gc
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vineyard

from conftest import engine_of, running_instance

LARGE = 1 << 18  # of float64: more than what a record holds


@pytest.fixture(scope="module")
def _instance(tmp_path_factory):
    arguments = ["--spill_path", str(tmp_path_factory.mktemp("spill"))]
    with running_instance(arguments=arguments) as started:
        yield started


@pytest.fixture
def client(_instance):
    """Of an instance where nothing is stored but by the test."""
    with vineyard.connect(_instance.socket) as connected:
        yield connected
        gc.collect()
        names = [info.name for info in connected._core.list_names()]
        for name in names:
            connected.drop_name(name)
        connected.delete([info.id for info in connected._core.list()], force=True)


@pytest.fixture
def volume(client, tmp_path):
    """The socket of another volume."""
    made = client._core.create_volume("data", str(tmp_path / "data"))
    yield made.socket
    client._core.remove_volume("data")


# ---- memory()


def test_memory_is_a_row_for_each_object_the_largest_first(client):
    small = client.put("text", name="small")
    frame = client.put(pd.DataFrame({"a": np.arange(LARGE), "b": np.ones(LARGE)}), name="frame")
    client.put_name(frame, "a second name")
    unnamed = client.put(np.arange(LARGE))
    memory = client.memory()
    assert list(memory.columns) == [
        *("id", "name", "names", "typename", "nbytes", "created", "pid", "program", "pod")
    ]
    assert memory.id.tolist() == [frame, unnamed, small]
    assert memory.name.tolist() == ["a second name", None, "small"]
    assert memory.names.tolist() == [2, 0, 1]
    assert memory.typename[1] == "vineyard::Tensor<int64>"
    assert memory.nbytes[0] >= 2 * 8 * LARGE
    assert memory.nbytes[1] == 8 * LARGE
    assert (memory.pid == os.getpid()).all()
    assert (memory.program != "").all()
    assert (memory.pod == "").all()
    assert str(memory.created.dtype) == "datetime64[ns, UTC]"
    age = pd.Timestamp.now(tz="UTC") - memory.created
    assert (age >= pd.Timedelta(0)).all()
    assert (age < pd.Timedelta("1h")).all()
    held = client.figures().volumes[0].held
    assert memory.attrs == {"volume": "default", "held": held, "limit": client.status.memory_limit}


def test_memory_of_an_empty_volume_has_the_same_columns(client):
    empty = client.memory(holders=True)
    client.put(1)
    one = client.memory(holders=True)
    assert len(empty) == 0
    assert list(empty.columns) == list(one.columns)
    assert str(empty.created.dtype) == str(one.created.dtype)
    assert empty.nbytes.sum() == 0


def test_a_blob_of_its_own_is_a_row_without_a_time(client):
    builder = client.create_blob(1 << 20)
    blob = builder.seal(client)
    memory = client.memory()
    assert memory.id.tolist() == [blob.id]
    assert memory.nbytes.tolist() == [1 << 20]
    assert memory.created.isna().all()
    del builder, blob
    client.delete(memory.id[0])


def test_a_part_is_no_row_and_counts_for_what_it_is_a_part_of(client):
    part = client.put(np.arange(LARGE))
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta.add_member("first", part)
    whole = client.create_metadata(meta).id
    memory = client.memory()
    assert memory.id.tolist() == [whole]
    assert memory.nbytes.tolist() == [8 * LARGE]


def test_memory_says_who_holds_an_object_and_what_lies_on_the_disk(client):
    held = client.put(np.arange(LARGE), name="held")
    spilled = client.put(np.arange(2 * LARGE), name="spilled")
    client.evict(spilled)
    array = client.get(held)
    memory = client.memory(holders=True).set_index("name")
    assert memory.spilled_bytes.to_dict() == {"spilled": 2 * 8 * LARGE, "held": 0}
    assert memory.memory_bytes.to_dict() == {"spilled": 0, "held": 8 * LARGE}
    assert [holder.pid for holder in memory.holders["held"]] == [os.getpid()]
    assert memory.holders["spilled"] == ()
    del array


def test_an_instance_that_does_not_answer_is_a_deadline_that_passes(own_instance, own_client):
    own_client.put(1)
    engine = engine_of(own_instance)
    os.kill(engine, signal.SIGSTOP)
    try:
        for ask in (own_client.memory, own_client.figures, own_client.clients, own_client.trace):
            with pytest.raises(vineyard.TimeoutException):
                ask(timeout=0.1)
        assert own_client._repr_html_() is None
    finally:
        os.kill(engine, signal.SIGCONT)
    assert len(own_client.memory()) == 1


@pytest.mark.parametrize(
    "name", ["figures", "list_clients", "list_waits", "trace", "survey", "status"]
)
def test_a_time_that_is_none_is_refused(client, name):
    for timeout in (-1.0, float("nan")):
        with pytest.raises(vineyard.InvalidException):
            getattr(client._core, name)(timeout=timeout)


# ---- the others


def test_figures_add_up(client):
    client.put(np.arange(LARGE))
    client.put("text", name="text")
    client.get_name("text")
    figures = client.figures()
    (volume,) = figures.volumes
    memory = volume.memory
    assert sum(getattr(memory, field) for field in memory.__slots__) == volume.held
    assert memory.sealed >= 8 * LARGE
    assert (volume.objects, volume.names, volume.connections) == (2, 1, 1)
    assert figures.held >= volume.held
    requests = {request.kind: request for request in volume.requests}
    for request in requests.values():
        assert sum(request.buckets) == request.answered
        assert 0 <= request.failed <= request.answered
    assert requests["Put"].answered >= 2
    assert requests["Put"].total > 0


def test_clients_say_who_they_are(client):
    array = client.get(client.put(np.arange(LARGE)))
    with vineyard.connect(client.ipc_socket) as other:
        clients = client.clients()
        assert [c.pid for c in clients] == [os.getpid(), os.getpid()]
        mine = clients[0]
        assert mine.volume == "default"
        assert mine.uid == os.getuid()
        assert mine.connected
        assert not mine.read_only
        assert mine.mapped_bytes >= array.nbytes
        assert clients[1].mapped_bytes == 0
        assert len({c.number for c in other.clients()}) == 2
    del array


def test_what_waits_is_told(client):
    def wait():
        with vineyard.connect(client.ipc_socket) as other:
            got.append(other.get(name="later", wait=True))

    got = []
    thread = threading.Thread(target=wait)
    thread.start()
    while not (waits := client.waits()):
        threading.Event().wait(0.02)
    client.put(5, name="later")
    thread.join()
    assert got == [5]
    (wait,) = waits
    assert (wait.kind, wait.name, wait.volume, wait.pid) == (
        "name",
        "later",
        "default",
        os.getpid(),
    )
    assert 0 <= wait.since < wait.left
    assert client.waits() == []


def test_a_trace_goes_on_where_the_last_page_ended(client):
    client.put(1, name="traced")
    page = client.trace()
    while page.more:
        page = client.trace(page.last)
    client.put(2, name="traced")
    with pytest.raises(vineyard.ConflictException):
        client.put(3, name="traced", if_version=77)
    after = client.trace(page.last)
    puts = [request for request in after.requests if request.kind == "Put"]
    assert [put.status for put in puts] == ["ok", "conflict"]
    assert {put.pid for put in puts} == {os.getpid()}
    assert all(put.sequence > page.last and put.took > 0 for put in puts)
    assert puts[0].request_id < puts[1].request_id
    assert after.missed == 0


def test_why_says_what_would_free_an_object(client):
    ref = client.put(np.arange(LARGE), name="result")
    array = client.get(ref)
    why = client.why(ref)
    assert (why.id, why.names, why.memory_bytes) == (ref, ("result",), 8 * LARGE)
    assert not why.evictable
    assert [holder.pid for holder in why.holders] == [os.getpid()]
    assert any("'result'" in reason for reason in why.reasons)
    assert any("let go of it" in advice for advice in why.advice)
    text = str(why)
    assert text.startswith(f"{ref!r} vineyard::Tensor<int64>: 2.0 MiB in memory\n")
    assert all(sentence in text for sentence in (*why.reasons, *why.advice))
    del array
    assert client.why(ref).holders == ()


def test_why_of_a_part_names_the_whole(client):
    part = client.put(np.arange(LARGE))
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta.add_member("first", part)
    whole = client.create_metadata(meta).id
    assert client.why(part).referrers == (whole,)


def test_why_of_what_is_not_there(client):
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.why(vineyard.ObjectID(0x7777))
    with pytest.raises(vineyard.InvalidException):
        client.why("no id")


def test_a_name_can_not_play_the_terminal(client):
    ref = client.put(1, name="\x1b[2Jred\u202e")
    text = str(client.why(ref))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2Jred" in text


def test_all_volumes_are_the_owners_business(client, volume):
    client.put(1)
    names = [figures.name for figures in client.figures(all_volumes=True).volumes]
    assert sorted(names) == ["data", "default"]
    with vineyard.connect(volume) as other:
        assert {c.volume for c in client.clients(all_volumes=True)} == {"data", "default"}
        assert {c.volume for c in client.clients()} == {"default"}
        assert [figures.name for figures in other.figures().volumes] == ["data"]
        assert other.memory().empty
        for ask in (other.figures, other.clients, other.waits, other.trace):
            with pytest.raises(vineyard.PermissionDeniedException):
                ask(all_volumes=True)


def test_an_instance_that_has_gone_is_an_error(own_instance):
    client = vineyard.connect(own_instance.socket)
    own_instance.stop()
    for ask in (client.memory, client.figures, client.clients, client.waits, client.trace):
        with pytest.raises(vineyard.ConnectionFailedException):
            ask(timeout=1)
    assert not Path(own_instance.socket).exists()
