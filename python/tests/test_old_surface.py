# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The interface of v6d, as docs/guides/moving-from-v6d.md goes through it line by line."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vineyard
from vineyard import NeedsClusterException, NotImplementedException

GUIDE = Path(__file__).parents[2] / "docs/guides/moving-from-v6d.md"
WORDS = {"same", "better", "needs a cluster", "gone"}


def _rows():
    """(name, word) for every name in the first column of a table whose second has one of WORDS."""
    for line in GUIDE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 2 and cells[1] in WORDS:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                yield name, cells[1]


ROWS = list(_rows())
#: No Python names.
ELSEWHERE = re.compile(r"://|-")


def _resolve(name):
    """The thing that a dotted name means; raises ImportError or AttributeError if nothing."""
    parts = name.split("(")[0].split(".")
    if parts[0] != "vineyard":
        parts.insert(0, "vineyard")
    found, path = importlib.import_module("vineyard"), "vineyard"
    for part in parts[1:]:
        path = f"{path}.{part}"
        if inspect.ismodule(found) and part not in vars(found):
            try:
                found = importlib.import_module(path)
                continue
            except ModuleNotFoundError:
                pass
        found = getattr(found, part)
    return found


def test_the_guide_goes_through_the_whole_interface():
    assert len(ROWS) > 200
    assert len({name for name, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", [n for n, word in ROWS if word in ("same", "better")])
def test_what_is_said_to_be_there_is_there(name):
    assert _resolve(name) is not None
    keyword = re.search(r"\((\w+)=", name)
    if keyword and keyword[1] not in ("partition_index", "row_batch_index", "global_"):
        assert keyword[1] in inspect.signature(_resolve(name)).parameters


def _use(client, name):
    """Reads, calls or makes what a name means."""
    if "(" in name:
        argument = name.split("(")[1].rstrip(")=")
        called = _resolve(name)
        return called("host", 1) if "," in argument else called(**{argument: "x:1"})
    if name.startswith("Client."):
        found = getattr(client, name.split(".")[1])
    elif name.startswith("ObjectMeta."):
        found = getattr(vineyard.ObjectMeta(), name.split(".")[1])
    else:
        found = _resolve(name)
    if not callable(found):
        return found
    needed = [p for p in inspect.signature(found).parameters.values() if p.default is p.empty]
    plain = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return found(*[1 for _ in plain])


@pytest.mark.parametrize("name", [n for n, word in ROWS if word == "needs a cluster"])
def test_what_needs_a_cluster_says_so(client, name):
    with pytest.raises(NeedsClusterException, match="cluster"):
        _use(client, name)


@pytest.mark.parametrize("name", [n for n, word in ROWS if word == "gone"])
def test_what_is_not_there_is_said_to_be_missing(client, name):
    if ELSEWHERE.search(name):
        return
    with pytest.raises((NotImplementedException, AttributeError, ModuleNotFoundError)):
        _use(client, name)


def test_names_of_exceptions_are_those_of_the_package():
    named = {n.removeprefix("vineyard.") for n, _ in ROWS if n.endswith("Exception")}
    for name in named:
        error = getattr(vineyard, name)
        assert issubclass(error, vineyard.VineyardException)
        assert getattr(importlib.import_module("vineyard._C"), name) is error
        assert str(error("why")) == "why"
        with pytest.raises(RuntimeError):
            raise error("why")


# ---- programs as they were written for it


def test_a_program_that_composes_by_metadata(client):
    from vineyard._C import ObjectMeta
    from vineyard.core import default_builder_context, default_resolver_context
    from vineyard.data import register_builtin_types

    register_builtin_types(default_builder_context, default_resolver_context)
    xid, yid = client.put(1.2345), client.put(2.3456)
    meta = ObjectMeta()
    meta["typename"] = "vineyard::Pair"
    meta.add_member("first_", xid)
    meta.add_member("second_", client.get_meta(yid))
    meta.set_global(True)
    rmeta = client.create_metadata(meta)
    client.persist(rmeta)

    def go(meta):
        seen = 0
        for _, v in meta.items():
            seen += 1 + (go(v) if isinstance(v, ObjectMeta) else 0)
        return seen

    meta = client.get_meta(rmeta.id, True)
    assert go(meta) == go(meta) > 10
    assert client.get(rmeta.id) == (1.2345, 2.3456)
    client.delete(rmeta.id)
    with pytest.raises(vineyard.ObjectNotExistsException):
        client.get_meta(xid)


def _array_builder(client, value, **kw):
    """As programs have written builders: a blob, keys, JSON texts."""
    from vineyard.data.utils import build_numpy_buffer, normalize_cpptype, to_json

    meta = vineyard.ObjectMeta()
    meta["typename"] = f"example::Array<{normalize_cpptype(value.dtype)}>"
    meta["value_type_"] = value.dtype.name
    meta["shape_"] = to_json(value.shape)
    meta["partition_index_"] = to_json(kw.get("partition_index", []))
    meta["nbytes"] = value.nbytes
    meta.add_member("buffer_", build_numpy_buffer(client, value))
    return client.create_metadata(meta)


def _array_resolver(obj, **kw):
    from vineyard.data.utils import from_json, normalize_dtype

    dtype = normalize_dtype(obj.meta["value_type_"])
    array = np.frombuffer(memoryview(obj.member("buffer_")), dtype)
    return array.reshape(from_json(obj.meta["shape_"]))


@pytest.mark.parametrize("n", [0, 10, 100_000])
def test_a_program_with_builders_and_resolvers_of_its_own(own_client, n):
    array = np.arange(2 * n, dtype="f4").reshape(2, n)
    ref = own_client.put(array, builder=_array_builder, partition_index=[1, 2])
    meta = own_client.get_meta(ref)
    assert (meta.typename, meta["partition_index_"]) == ("example::Array<float>", "[1, 2]")
    with vineyard.resolver_context({"example::Array": _array_resolver}):
        back = own_client.get(ref)
    assert np.array_equal(back, array)
    assert back.dtype == array.dtype


def test_buffers_are_built_from_addresses(client):
    from vineyard.data.utils import build_buffer

    array = np.arange(10.0)
    blob = build_buffer(client, array.__array_interface__["data"][0], array.nbytes)
    assert bytes(blob) == array.tobytes()
    assert build_buffer(client, 0, 0).is_empty
    client.delete(blob.id)


def test_names_of_types_in_metadata_are_dtypes():
    from vineyard.data.utils import from_json, normalize_dtype, to_json

    for name, dtype in (
        ("float", "f4"),
        ("double", "f8"),
        ("int", "i4"),
        ("int64", "i8"),
        ("bool", "?"),
    ):
        assert normalize_dtype(name) == np.dtype(dtype)
    assert normalize_dtype("str", "<U3") == np.dtype("<U3")
    assert normalize_dtype(np.dtype("i2")) == np.dtype("i2")
    with pytest.raises(ValueError, match="no dtype"):
        normalize_dtype("example")
    assert from_json(to_json({"a": [np.int64(1), np.float32(0.5)]})) == {"a": [1, 0.5]}
    with pytest.raises(TypeError, match="not JSON"):
        to_json(object())


def test_memory_is_copied_within_its_bounds():
    to = bytearray(5)
    vineyard.memory_copy(to, b"ab", 2)
    assert to == b"\0\0ab\0"
    for arguments in ((to, b"abc", 3), (to, b"a", -1), (b"12345", b"a")):
        with pytest.raises(ValueError, match=r"fit|read-only"):
            vineyard.memory_copy(*arguments)
    assert to == b"\0\0ab\0"


def test_environment_variables_get_their_values_back(monkeypatch):
    monkeypatch.setenv("EXAMPLE_A", "1")
    monkeypatch.delenv("EXAMPLE_B", raising=False)
    with pytest.raises(ZeroDivisionError), vineyard.envvars({"EXAMPLE_A": "2", "EXAMPLE_B": "3"}):
        assert (os.environ["EXAMPLE_A"], os.environ["EXAMPLE_B"]) == ("2", "3")
        raise ZeroDivisionError
    assert os.environ["EXAMPLE_A"] == "1"
    assert "EXAMPLE_B" not in os.environ
    with vineyard.envvars("EXAMPLE_A", "2", append=True) as environment:
        assert environment["EXAMPLE_A"] == "1:2"
    with pytest.raises(ValueError, match="no value"), vineyard.envvars("EXAMPLE_A"):
        pass


# ---- vineyard.io


def test_schemes_are_read_by_what_was_registered_last(socket):
    from vineyard import io

    io.read.register("test-old", lambda path, socket, **kw: ("first", path, socket, kw))
    io.read.register("test-old", lambda path, socket, **kw: None)
    io.read.register("test-old", lambda path, socket, *, must: ("third", path))
    assert io.open("test-old://x", vineyard_ipc_socket=socket) == (
        "first",
        "test-old://x",
        socket,
        {},
    )
    assert io.read("test-old://x", must=1, vineyard_ipc_socket=socket) == ("third", "test-old://x")
    written = []
    io.write.register(
        "test-old", lambda path, stream, socket: written.append((path, stream, socket))
    )
    io.open("test-old://y", [1], mode="w", vineyard_ipc_socket=socket)
    assert written == [("test-old://y", [1], socket)]


def test_what_can_not_be_read_says_why(socket, monkeypatch):
    from vineyard import io

    for path, match in (("/a.csv", "read_csv"), ("s3://a/b", "s3fs"), ("nonsense://a", "scheme")):
        with pytest.raises(NotImplementedError, match=match):
            io.open(path)
    with pytest.raises(ValueError, match="mode"):
        io.open("/a.csv", mode="a")
    io.read.register("test-bad", lambda path, socket: 1 / 0)
    monkeypatch.setenv("VINEYARD_IPC_SOCKET", socket)
    with pytest.raises(ZeroDivisionError):
        io.read("test-bad://x")
    io.read.register("test-bad", lambda path, socket: [][0])
    with pytest.raises(vineyard.VineyardException, match=r"IndexError.*ZeroDivisionError"):
        io.read("test-bad://x")
    io.read.register("test-none", lambda path, socket: None)
    with pytest.raises(vineyard.VineyardException, match="takes none"):
        io.read("test-none://x")


# ---- deploy


def test_an_instance_runs_as_long_as_the_block(monkeypatch):
    from vineyard.deploy.local import start_vineyardd

    with start_vineyardd(meta="local", size="64Mi", rpc=False) as (process, socket, _):
        with vineyard.connect(socket) as client:
            assert client.get(client.put("here")) == "here"
        assert process.poll() is None
    assert process.poll() is not None
    with pytest.raises(ConnectionError):
        vineyard.connect(socket)


def test_a_private_instance_is_started_and_ended(python):
    done = python(
        """
        import os
        import vineyard
        from vineyard.deploy.local import get_current_socket, shutdown, try_init
        assert get_current_socket() is None
        client = try_init()
        assert get_current_socket() == client.ipc_socket
        assert vineyard.connect().get(client.put([1])) == [1]
        shutdown()
        assert get_current_socket() is None
        """,
        VINEYARD_SIZE="64Mi",
        XDG_RUNTIME_DIR="",
        HOME="/nonexistent",
    )
    assert "private instance" in done.stderr


def test_importing_the_package_imports_little(python):
    python(
        """
        import sys
        import vineyard
        import vineyard.core, vineyard.data.dataframe, vineyard.io, vineyard.shared_memory, vineyard._C
        heavy = {"pandas", "pyarrow", "polars", "scipy", "torch", "importlib.metadata"}
        assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
        """
    )


def test_frames_of_older_programs_have_their_metadata(client):
    ref = client.put(pd.DataFrame({"a": [1], "b": [2.5]}), partition_index=[2, 0])
    meta = client.get_meta(ref)
    assert meta.typename == "vineyard::DataFrame"
    assert meta["partition_index_row_"] == 2
    assert meta.nbytes > 0
    client.delete(ref)


@pytest.mark.parametrize(
    ("module", "program"), [("vineyard", "vineyardd"), ("vineyard.ctl", "vineyardctl")]
)
def test_the_programs_run_as_modules(module, program):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert program in done.stdout
