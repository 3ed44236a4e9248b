# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a notebook shows of clients and objects."""

import os
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import vineyard
from vineyard import notebook

from conftest import running_instance

MARKUP = "<script>alert(1)</script>&\"'\x1b[2J\u202e"


class _Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.attributes, self._open = [], "", [], []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


def _seen(shown):
    html = shown._repr_html_()
    assert html.isprintable(), "control characters would be obeyed"
    return _Seen(html)


@pytest.fixture(scope="module")
def _instance():
    with running_instance() as started:
        yield started


@pytest.fixture
def client(_instance):
    with vineyard.connect(_instance.socket) as connected:
        yield connected
    with vineyard.connect(_instance.socket) as connected:
        for info in connected._core.list_names():
            connected.drop_name(info.name)
        connected.delete([info.id for info in connected._core.list()], force=True)


def test_a_client_shows_its_memory_and_what_is_in_it(client):
    ref = client.put(np.arange(1 << 18), name="numbers")
    client.put("text")
    seen = _seen(client)
    for text in ("volume default", client.ipc_socket, "numbers", "2.0 MiB", repr(ref)):
        assert text in seen.text
    assert f"({os.getpid()})" in seen.text
    assert "objects 2.0 MiB" in seen.text, "what the bar shows is also told in words"
    label = next(value for tag, key, value in seen.attributes if key == "aria-label")
    assert re.fullmatch(r"[\d.]+ MiB of 256.0 MiB used", label)
    assert seen.text.index("numbers") < seen.text.index("string"), "the largest first"


def test_an_empty_volume_says_so(client):
    assert "Nothing is stored." in _seen(client).text


def test_of_many_objects_the_largest_are_shown(client, monkeypatch):
    for n in range(notebook.MOST_ROWS + 5):
        client.put(np.zeros(n + 1), name=f"object {n}")
    seen = _seen(client)
    assert seen.tags.count("tr") == notebook.MOST_ROWS + 1
    assert f"of {notebook.MOST_ROWS + 5}; client.memory() lists them all." in seen.text
    assert f"object {notebook.MOST_ROWS + 4}" in seen.text
    assert "object 4" not in re.findall(r"object \d+", seen.text)
    monkeypatch.setattr(notebook, "MOST_LISTED", 10)
    seen = _seen(client)
    assert "table" not in seen.tags
    assert f"{notebook.MOST_ROWS + 5} objects; client.memory() lists them." in seen.text


def test_markup_in_names_and_metadata_is_text(client):
    ref = client.put(np.arange(4), name=MARKUP)
    meta = vineyard.ObjectMeta()
    meta["typename"] = MARKUP
    meta[MARKUP] = MARKUP
    meta.add_member("member" + MARKUP, ref)
    made = client.create_metadata(meta)
    client._core.set_labels(made.id, {MARKUP: MARKUP})
    made = client.get_meta(made.id)
    for shown in (client, made, vineyard.Object(made), client.why(ref), client.why(made.id), meta):
        seen = _seen(shown)
        assert "script" not in seen.tags
        assert "<script>alert(1)</script>&\"'\\x1b[2J\\u202e" in seen.text


def test_long_texts_are_cut(client):
    client.put(1, name="n" * 4000)
    assert "n" * 99 + "…" in _seen(client).text
    assert "n" * 101 not in _seen(client).text


def test_an_object_shows_what_it_is_made_of(client):
    part = client.put(np.arange(4))
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta["shape"] = [2, 3]
    meta.add_member("first", part)
    meta.add_member("bytes", client.create_blob(1 << 20).seal(client))
    before = client.figures().volumes[0]
    for shown in (
        meta,
        client.create_metadata(meta),
        client.get_object(client.create_metadata(meta).id),
    ):
        seen = _seen(shown)
        for text in ("test::Pair", "shape", "[2, 3]", "first", repr(part)):
            assert text in seen.text
    assert before.connections == 1
    assert re.search(r"bytes\s*a blob", _seen(client.create_metadata(meta)).text)


def test_displays_of_objects_ask_nothing(client):
    meta = vineyard.ObjectMeta()
    meta["typename"] = "test::Pair"
    meta.add_member("first", client.put(np.arange(4)))
    meta.add_member("bytes", client.create_blob(1 << 20).seal(client))
    read = client.get_meta(client.create_metadata(meta).id)
    client.close()
    assert "test::Pair" in _seen(read).text


def test_of_an_instance_that_has_gone_the_plain_text_is_left(own_instance):
    client = vineyard.connect(own_instance.socket)
    own_instance.stop()
    assert client._repr_html_() is None
    assert own_instance.socket in repr(client)
    client.close()
    assert client._repr_html_() is None


def test_a_real_notebook_shows_them(client, tmp_path):
    """In a kernel of Jupyter's own, as a user runs it."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    jupyter_client = pytest.importorskip("jupyter_client")
    cells = [
        f"import vineyard; client = vineyard.connect({client.ipc_socket!r})",
        "import numpy as np; ref = client.put(np.arange(1 << 18), name='from a notebook')",
        "client",
        "client.get_object(ref)",
        "client.memory()",
        "client.why(ref)",
        "from vineyard import progress; progress._terminal() is not None",
        "client.close()",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    spec = jupyter_client.kernelspec.KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name="this Python",
        language="python",
        env={"IPYTHONDIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    manager = jupyter_client.AsyncKernelManager(
        transport="ipc",
        ip=str(tmp_path / "kernel"),
        connection_file=str(tmp_path / "connection.json"),
    )
    manager._kernel_spec = spec
    nbclient.NotebookClient(book, km=manager, timeout=120).execute()
    shown = [
        {kind: text for output in cell.outputs for kind, text in output.get("data", {}).items()}
        for cell in book.cells
    ]
    html = [data.get("text/html") for data in shown]
    assert "from a notebook" in _Seen(html[2]).text
    assert "vineyard::Tensor&lt;int64&gt;" in html[3]
    assert "from a notebook" in html[4], "pandas shows the frame"
    assert "let go of it" in html[5] or "What would free its memory" in html[5]
    assert shown[6]["text/plain"] == "True", "a long put has a bar here"
    assert "text/html" not in shown[7]
