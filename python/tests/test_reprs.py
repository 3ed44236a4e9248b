# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the C++ classes show of themselves, and that they can be referred to weakly."""

import gc
import re
import subprocess
import sys
import weakref

import pytest


@pytest.fixture
def objects(client, name):
    """One of each class."""
    builder = client.create_blob(10)
    sealed = client.create_blob(1 << 20)
    blob = sealed.seal(client)
    ref = client.put({"a": 1}, name=name)
    core = client._core
    yield {
        "builder": builder,
        "sealed": sealed,
        "blob": blob,
        "slice": blob.slice(4096, 100),
        "private": blob.private(),
        "info": core.get_info(ref),
        "name": core.get_name(name),
        "volume": core.list_volumes()[0],
        "status": core.status(),
        "id": ref,
        "core": core,
    }
    client.drop_name(name)
    client.delete(blob.id)


def test_reprs_say_what_a_thing_is(objects, client, name):
    expected = {
        "builder": r"<vineyard\.BlobBuilder.*, 10 bytes, being written>",
        "sealed": r"<vineyard\.BlobBuilder o[0-9a-f]{16}, 1048576 bytes, sealed or aborted>",
        "blob": r"<vineyard\.Blob o[0-9a-f]{16}, 1048576 bytes of the store>",
        "slice": r"<vineyard\.Blob o[0-9a-f]{16} from 4096, 100 bytes of the store>",
        "private": r"<vineyard\._core\.PrivateBytes, 1048576 bytes>",
        "info": r"ObjectInfo\(id=o[0-9a-f]{16}, typename='vineyard::Dict', nbytes=\d+\)",
        "name": rf"NameInfo\(name='{name}', id=o[0-9a-f]{{16}}, version=1\)",
        "volume": r"VolumeInfo\(name='default', socket='.*', quota=0, memory_usage=\d+, .*\)",
        "status": r"InstanceStatus\(volume='default', memory_usage=\d+, .*\)",
        "id": r"o[0-9a-f]{16}",
        "core": re.escape(f"<vineyard._core.Client at {client.ipc_socket}>"),
    }
    assert expected.keys() == objects.keys()
    for key, pattern in expected.items():
        assert re.fullmatch(pattern, repr(objects[key])), repr(objects[key])
        assert objects[key].__class__.__name__ in repr(objects[key]) or key == "id"


def test_a_closed_client_says_so(socket):
    import vineyard

    client = vineyard.connect(socket)
    client.close()
    assert "closed" in repr(client) and "closed" in repr(client._core)


def test_names_with_quotes_and_breaks_stay_on_one_line(client):
    odd = 'it\'s\na "name"'
    ref = client.put(1, name=odd)
    assert repr(client._core.get_name(odd)).startswith(f"NameInfo(name={odd!r}, ")
    client.drop_name(odd)
    assert not client.exists(ref)


def test_weak_references_end_with_what_they_refer_to(client):
    builder = client.create_blob(1 << 20)
    blob = builder.seal(client)
    private = blob.private()
    held = [builder, blob, private]
    ended = []
    weak = [weakref.ref(one, lambda _: ended.append(1)) for one in held]
    cache = weakref.WeakValueDictionary(blob=blob)
    assert [w() for w in weak] == held and cache["blob"] is blob
    assert weakref.ref(client._core)() is client._core and weakref.ref(client)() is client
    view = memoryview(blob)
    client.delete(blob.id)
    del builder, private, blob
    held.clear()
    gc.collect()
    assert len(ended) == 2 and weak[1]() is not None  # the view keeps the blob
    view.release()
    del view
    gc.collect()
    assert len(ended) == 3 and "blob" not in cache


@pytest.mark.parametrize(
    ("module", "word"), [("vineyard", "vineyardd"), ("vineyard.ctl", "vineyardctl")]
)
def test_the_programs_explain_themselves(module, word):
    for flag in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-m", module, flag], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and done.stderr == ""
        assert word in done.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", module, "--no-such-flag"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2 and "no-such-flag" in wrong.stderr.replace("_", "-")
