# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Whether a client pickles: who says so, in which order, and what it says where it must not."""

import pickle

import pytest
import vineyard
from vineyard import settings
from vineyard.errors import InvalidException, PickleRefusedException


class Odd:
    """Has no codec."""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes a configuration file; there is none of the machine's."""
    monkeypatch.setattr(settings, "RUN_DIRECTORY", str(tmp_path))

    def write(text, name="vineyard-config.yaml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


@pytest.fixture
def in_a_pod(monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")


def pickles(socket, **options):
    """Whether a client does, in both directions."""
    with vineyard.connect(socket, pickle=True) as writer:
        ref = writer.put(Odd())
    try:
        with vineyard.connect(socket, **options) as client:
            try:
                client.get(ref)
            except PickleRefusedException as refused:
                with pytest.raises(PickleRefusedException):
                    client.put([Odd()])
                assert "connect(pickle=True) or VINEYARD_PICKLE=allow" in str(refused)
                return False
            client.delete(client.put(Odd()))
            return True
    finally:
        with vineyard.connect(socket) as cleaner:
            cleaner.delete(ref)


def test_it_does_where_nobody_says_otherwise(socket, config):
    assert pickles(socket)


def test_it_does_not_in_a_pod(socket, config, in_a_pod):
    assert not pickles(socket)


def test_the_file_goes_before_the_pod(socket, config, in_a_pod):
    config("Vineyard:\n  Pickle: allow\n")
    assert pickles(socket)


def test_the_file_may_refuse(socket, config):
    config("Vineyard: {Pickle: refuse}")
    assert not pickles(socket)


def test_a_file_that_is_named_goes_before_that_of_the_machine(socket, config):
    config("Vineyard: {Pickle: refuse}")
    assert pickles(socket, config=config("Vineyard: {Pickle: allow}", "mine.yaml"))


def test_the_environment_goes_before_the_file(socket, config, monkeypatch):
    config("Vineyard: {Pickle: allow}")
    monkeypatch.setenv("VINEYARD_PICKLE", "refuse")
    assert not pickles(socket)


def test_the_environment_goes_before_the_pod(socket, config, in_a_pod, monkeypatch):
    monkeypatch.setenv("VINEYARD_PICKLE", "Allow")
    assert pickles(socket)


def test_the_program_goes_before_all(socket, config, in_a_pod, monkeypatch):
    config("Vineyard: {Pickle: refuse}")
    monkeypatch.setenv("VINEYARD_PICKLE", "refuse")
    assert pickles(socket, pickle=True)
    monkeypatch.setenv("VINEYARD_PICKLE", "allow")
    assert not pickles(socket, pickle=False)


def test_an_empty_variable_says_nothing(socket, config, in_a_pod, monkeypatch):
    monkeypatch.setenv("VINEYARD_PICKLE", "")
    assert not pickles(socket)


def test_what_is_neither_is_an_error(socket, config, monkeypatch):
    config("Vineyard: {Pickle: sometimes}")
    with pytest.raises(InvalidException, match="configuration is 'sometimes', which is neither"):
        vineyard.connect(socket)
    monkeypatch.setenv("VINEYARD_PICKLE", "yes please")
    with pytest.raises(InvalidException, match="VINEYARD_PICKLE is 'yes please', which is neither"):
        vineyard.connect(socket)
    vineyard.connect(socket, pickle=True).close()


def test_a_file_that_was_named_and_is_not_there_is_an_error(socket, config, monkeypatch, tmp_path):
    monkeypatch.setenv("VINEYARD_CONFIG", str(tmp_path / "absent.yaml"))
    with pytest.raises(InvalidException, match=r"VINEYARD_CONFIG: .*absent.yaml"):
        vineyard.connect(socket)


def test_a_client_that_travels_keeps_what_its_program_said(socket, config, in_a_pod):
    with vineyard.connect(socket, pickle=True) as client:
        with client.fork() as forked, pickle.loads(pickle.dumps(client)) as travelled:
            assert forked.get(forked.put(Odd(), name="odd")) and travelled.get(name="odd")
        client.drop_name("odd")


def test_values_with_codecs_need_none(socket, config, in_a_pod):
    with vineyard.connect(socket) as client:
        ref = client.put({"a": [1, 2.5, "x"]})
        assert client.get(ref) == {"a": [1, 2.5, "x"]}
        client.delete(ref)


def test_explain_refuses_as_a_put_would(config, in_a_pod):
    with pytest.raises(PickleRefusedException):
        vineyard.explain(Odd())
    assert "pickle" in repr(vineyard.explain(Odd(), pickle=True))
