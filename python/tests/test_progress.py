# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Transfers tell how far they are: to a callable, or on a terminal; and can be called off."""

import io
import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import vineyard
from vineyard import progress
from vineyard.errors import InvalidException, NotEnoughMemoryException
from vineyard.settings import shows_bars

MIB = 1 << 20


@pytest.fixture
def reports():
    return []


def note(reports):
    return lambda done, total: reports.append((done, total))


# ---- a callable


def test_a_put_tells_how_far_it_is(client, reports):
    value = np.zeros(150 * MIB, np.uint8)
    ref = client.put(value, progress=note(reports))
    client.delete(ref)
    done = [d for d, _ in reports]
    assert {t for _, t in reports} == {value.nbytes}
    assert done[0] == 0 and done[-1] == value.nbytes and done == sorted(set(done))


@pytest.mark.parametrize("value", [b"small", 7, [1.5, "x"], np.zeros(MIB)])
def test_the_first_and_the_last_report_come_whatever_the_size(client, value, reports):
    client.delete(client.put(value, progress=note(reports)))
    total = reports[0][1]
    assert reports[0] == (0, total) and reports[-1] == (total, total)


def test_what_lies_in_the_store_already_is_not_counted(client, reports):
    ref = client.put(np.arange(MIB))
    got = client.get(ref)
    again = client.put([got, np.ones(MIB)], progress=note(reports))
    assert {t for _, t in reports} == {8 * MIB}
    client.delete([again, ref])


@pytest.mark.parametrize("value", [np.arange(10 * MIB), [np.arange(MIB), b"x", np.ones(MIB)]])
def test_a_copying_get_tells_how_far_it_is(client, value, reports):
    ref = client.put(value)
    got = client.get(ref, copy=True, progress=note(reports))
    assert np.array_equal(got[0], value[0]) and got[0] is not value[0]
    total = reports[0][1]
    assert total >= 16 * MIB and reports[0] == (0, total) and reports[-1] == (total, total)
    client.delete(ref)


def test_a_blob_and_an_object_of_parts_are_copied_with_progress_too(client, reports):
    builder = client.create_blob(2 * MIB)
    blob = builder.seal(client)
    assert len(client.get(blob.id, copy=True, progress=note(reports))) == 2 * MIB
    assert reports == [(0, 2 * MIB), (2 * MIB, 2 * MIB)]
    client.delete(blob.id)


def test_a_get_that_copies_nothing_has_no_progress(client):
    ref = client.put(b"x")
    with pytest.raises(InvalidException, match="copy=True"):
        client.get(ref, progress=print)
    client.delete(ref)


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [0, 64 * MIB, 150 * MIB])
def test_a_callable_that_raises_ends_the_put_and_leaves_nothing(own_client, at):
    before = own_client.status

    def stop(done, total):
        if done >= at:
            raise Stop(done)

    for name in (None, "name"):
        with pytest.raises(Stop):
            own_client.put(np.zeros(150 * MIB, np.uint8), name=name, progress=stop)
    after = own_client.status
    assert (after.objects, after.names) == (before.objects, before.names)
    # All of it can be had again, so nothing is held.
    own_client.delete(own_client.put(np.zeros(200 * MIB, np.uint8), timeout=30))
    assert own_client.status.memory_usage == before.memory_usage


@pytest.mark.parametrize("at", [0, 1])
def test_a_callable_that_raises_ends_a_small_put_and_a_get(client, at):
    def stop(done, total):
        if done >= at:
            raise Stop

    with pytest.raises(Stop):
        client.put(b"small", name="never", progress=stop)
    assert "never" not in client.list_names("never")
    ref = client.put(np.zeros(MIB))
    with pytest.raises(Stop):
        client.get(ref, copy=True, progress=stop)
    assert client.get(ref)[0] == 0
    client.delete(ref)


def test_what_cannot_be_called_is_an_error(client):
    with pytest.raises(TypeError, match="not callable"):
        client.put(b"x", progress=7)


def test_a_callable_may_use_the_client(client):
    seen = []
    ref = client.put(np.zeros(MIB), progress=lambda *_: seen.append(client.exists(1)))
    assert seen == [False] * len(seen) and seen
    client.delete(ref)


def test_an_interrupted_put_leaves_nothing(own_client):
    def interrupt(done, total):
        if done:
            signal.raise_signal(signal.SIGINT)

    before = own_client.status
    with pytest.raises(KeyboardInterrupt):
        own_client.put(np.zeros(150 * MIB, np.uint8), progress=interrupt)
    assert own_client.status.objects == before.objects
    own_client.delete(own_client.put(np.zeros(200 * MIB, np.uint8), timeout=30))


def test_a_put_that_does_not_fit_has_begun_only(own_client, reports):
    with pytest.raises(NotEnoughMemoryException):
        own_client.put(np.zeros(300 * MIB, np.uint8), progress=note(reports))
    assert reports == [(0, 300 * MIB)]


# ---- the bar


class Terminal(io.StringIO):
    def __init__(self):
        super().__init__()
        self.wrote = threading.Condition()

    def isatty(self):
        return True

    def write(self, text):
        with self.wrote:
            super().write(text)
            self.wrote.notify_all()

    def wait_for(self, text):
        with self.wrote:
            assert self.wrote.wait_for(lambda: text in self.getvalue(), 60), self.getvalue()


def last_line(text):
    """What a terminal shows after it, of one line."""
    line = []
    for part in text.split("\r"):
        line[: len(part)] = part
    return "".join(line).rstrip()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 0)
    monkeypatch.setattr(progress, "EVERY", 0.001)


def test_the_bar_shows_waiting_then_bytes_and_leaves_nothing(at_once):
    stream = Terminal()
    with progress.Bar("put", stream) as bar:
        bar(0, 400 * MIB)
        stream.wait_for("400.0 MiB, waiting for memory, 0:00")
        bar(100 * MIB, 400 * MIB)
        stream.wait_for("100.0 MiB of 400.0 MiB")
        assert " 25% [" in stream.getvalue()
        bar(200 * MIB, 400 * MIB)
        stream.wait_for("/s, ")
    assert last_line(stream.getvalue()) == ""
    assert "\n" not in stream.getvalue()


def test_a_second_bar_is_not_shown_beside_the_first(at_once):
    one, other = Terminal(), Terminal()
    with progress.Bar("put", one) as first, progress.Bar("get", other) as second:
        first(1, 2)
        second(1, 2)
        one.wait_for("50%")
    assert other.getvalue() == ""
    with progress.Bar("get", other) as second:
        second(1, 2)
        other.wait_for("50%")


def test_what_is_short_shows_nothing():
    stream = Terminal()
    with progress.Bar("put", stream) as bar:
        bar(1, 2)
    assert stream.getvalue() == ""


def test_a_terminal_that_has_gone_fails_no_transfer(at_once):
    stream = Terminal()
    stream.close()
    with progress.Bar("put", stream) as bar:
        bar(1, 2)


@pytest.mark.parametrize("width", [1, 20, 79, 300])
@pytest.mark.parametrize("done", [0, 1, 2 * 10**12, 4 * 10**12])
def test_a_line_is_no_wider_than_its_place(width, done):
    bar = progress.Bar("put", Terminal())
    bar(0, 4 * 10**12)
    bar(done // 2, 4 * 10**12)
    bar(done, 4 * 10**12)
    assert len(bar.line(width)) <= width


def test_there_is_a_bar_only_for_what_is_long_and_only_on_a_terminal(monkeypatch):
    long = [bytes(progress.LEAST)]
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress.bar_over(long, "put") is not None
    assert progress.bar_over([b"x"], "put") is None
    monkeypatch.setenv("TERM", "dumb")
    assert progress.bar_over(long, "put") is None
    for stream in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert progress.bar_over(long, "put") is None


def test_bars_are_switched_off_by_the_program_or_the_environment(monkeypatch):
    assert shows_bars(None) and shows_bars(True) and not shows_bars(False)
    monkeypatch.setenv("VINEYARD_PROGRESS", "off")
    assert not shows_bars(None) and shows_bars(True)
    monkeypatch.setenv("VINEYARD_PROGRESS", "maybe")
    with pytest.raises(InvalidException, match="VINEYARD_PROGRESS is 'maybe', which is neither"):
        shows_bars(None)


PROGRAM = """
    import sys, numpy as np, vineyard
    from vineyard import progress
    progress.AFTER, progress.EVERY = 0, 0.001
    with vineyard.connect(sys.argv[1], timeout=600) as client:
        client.put(np.zeros(40 << 20, np.uint8), name="after")
"""


def run_on_terminal(socket, read, **environment):
    """Runs PROGRAM with a terminal as its stderr; `read` gets all that it has shown so far."""
    ours, theirs = pty.openpty()
    shown = b""
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM), socket],
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", **environment},
        )
    finally:
        os.close(theirs)
    try:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # closed at the other end
                break
            shown += part
            read(process, shown.decode())
        assert process.wait(60) is not None
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    return process.returncode, shown.decode()


def test_on_a_terminal_a_put_that_waits_says_so_and_then_clears_its_line(own_client):
    holder = own_client.put(np.zeros(230 * MIB, np.uint8))

    def read(process, shown):
        if "waiting for memory" in shown and own_client.exists(holder):
            own_client.delete(holder)

    code, shown = run_on_terminal(own_client.ipc_socket, read)
    assert code == 0 and "vineyard put: 40.0 MiB, waiting for memory" in shown
    assert last_line(shown) == ""
    assert len(own_client.get(name="after")) == 40 * MIB


def test_ctrl_c_while_a_put_waits_clears_the_line_and_leaves_nothing(own_client):
    holder = own_client.put(np.zeros(230 * MIB, np.uint8))
    sent = []

    def read(process, shown):
        if "waiting for memory" in shown and not sent:
            sent.append(process.send_signal(signal.SIGINT))

    code, shown = run_on_terminal(own_client.ipc_socket, read)
    assert code != 0
    cleared, _, traceback = shown.partition("Traceback")
    assert last_line(cleared) == "" and "KeyboardInterrupt" in traceback
    own_client.delete(holder)
    while own_client.status.waiting:
        time.sleep(0.01)
    assert own_client.status.objects == 0


def test_the_environment_switches_the_bar_off(own_client):
    code, shown = run_on_terminal(own_client.ipc_socket, lambda *_: None, VINEYARD_PROGRESS="off")
    assert (code, shown) == (0, "")


def test_a_client_that_travels_keeps_its_choice(client):
    import pickle

    quiet = vineyard.connect(client.ipc_socket, progress=False)
    with quiet, quiet.fork() as forked, pickle.loads(pickle.dumps(quiet)) as travelled:
        assert not forked._bars and not travelled._bars
