# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Several processes and threads, signals, death, and a store that is full."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import vineyard

from conftest import engine_of


@contextlib.contextmanager
def running(source, socket):
    """Another process with a ``client``, which has printed "ready"; killed at the end."""
    begin = "import os, sys, vineyard\nclient = vineyard.connect(sys.argv[1])\n"
    process = subprocess.Popen(
        [sys.executable, "-c", begin + textwrap.dedent(source), socket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # closes the pipes, which ends whoever reads from them
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def wait_until_nothing_is_held(client):
    while client.status.memory_usage:  # the test's watchdog bounds this
        time.sleep(0.01)


def test_another_process_reads_what_was_put(client, socket, name, python):
    array = np.arange(300_000.0)
    client.put({"array": array, "text": "é"}, name=name)
    python(
        """
        import sys, numpy, vineyard
        client = vineyard.connect(sys.argv[1])
        value = client.get(name=sys.argv[2])
        assert value["text"] == "é"
        assert numpy.array_equal(value["array"], numpy.arange(300_000.0))
        client.put(value["array"] * 2, name=sys.argv[2])
        """,
        socket,
        name,
    )
    assert np.array_equal(client.get(name=name), array * 2)
    client.drop_name(name)


def test_threads_share_a_client(client):
    failures = []

    def work(i):
        try:
            for j in range(30):
                value = [i, j, np.full(5000 * (j % 3) + 1, i)]
                back = client.get(client.put(value, name=f"threads-{i}"))
                assert back[:2] == [i, j]
                assert (back[2] == i).all()
            client.drop_name(f"threads-{i}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_waiting_call_holds_up_no_other_thread(client, name):
    got = []
    thread = threading.Thread(target=lambda: got.append(client.get(name=name, wait=True)))
    thread.start()
    for i in range(20):
        assert client.get(client.put(i)) == i
    client.put("now", name=name)
    thread.join()
    assert got == ["now"]
    client.drop_name(name)


def test_a_client_survives_a_fork(client, name):
    ref = client.put([1, 2])
    mapped = client.get(client.put(np.arange(300_000)))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert client.get(ref) == [1, 2]
            client.put("child", name=name)
            assert mapped[-1] == 299_999
            code = 0
        finally:
            os._exit(code)
    for i in range(50):
        assert client.get(client.put(i)) == i
    assert os.waitpid(child, 0)[1] == 0
    assert client.get(name=name) == "child"
    assert mapped[-1] == 299_999
    client.drop_name(name)


WAITING = {
    "a name, beside a thread that waits too": """
    import threading
    def wait():
        try:
            client.get_name('never either', wait=True, timeout=600)
        except vineyard.VineyardException:
            pass
    threading.Thread(target=wait, daemon=True).start()
    client.put(2)
    client.get_name('never', wait=True)""",
    "a name": "client.get(name='never', wait=True)",
    "a name's id": "client.get_name('never', wait=True)",
    "memory": "client.create_blob(200 << 20)",
    "memory for a put": "client.put(bytes(200 << 20))",
    "an instance": "vineyard.connect(sys.argv[1] + '.absent', wait=60)",
}


@pytest.mark.parametrize("what", WAITING)
def test_ctrl_c_ends_a_wait(own_instance, own_client, what):
    own_client.put(1)  # so that there is room for small things
    holder = own_client.create_blob(100 << 20)
    source = f"""
print("ready", flush=True)
try:
    {WAITING[what]}
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert client.get(client.put(1)) == 1
sys.stdout.flush()
os._exit(0)
"""
    with running(source, own_instance.socket) as process:
        while process.poll() is None:
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            if process.stdout.readline() == "interrupted\n":
                break
        assert process.wait() == 0
    holder.abort()


# ---- a store that is full


def test_a_put_larger_than_the_limit_is_refused_at_once(own_client):
    with pytest.raises(MemoryError, match="limit"):
        own_client.put(np.zeros(300 << 20, np.uint8))
    assert own_client.status.memory_usage == 0


def test_a_put_that_does_not_fit_now_waits_until_its_deadline(own_client, own_instance):
    holder = own_client.create_blob(200 << 20)
    with vineyard.connect(own_instance.socket) as other:
        with pytest.raises(MemoryError, match=str(os.getpid())):
            other.put(np.zeros(150 << 20, np.uint8), timeout=0.2)
        timer = threading.Timer(0.2, holder.abort)
        timer.start()
        ref = other.put(np.ones(150 << 20, np.uint8))
        timer.join()
        assert other.get(ref)[-1] == 1


# ---- death


def test_a_client_killed_between_reserve_and_seal_leaves_nothing(own_instance, own_client):
    source = """
        builders = [client.create_blob(1 << 20) for _ in range(5)]
        memoryview(builders[0])[:5] = b"hello"
        print("ready", flush=True)
        sys.stdin.read()
        """
    for _ in range(5):
        with running(source, own_instance.socket):
            assert own_client.status.memory_usage >= 5 << 20
        wait_until_nothing_is_held(own_client)


def test_a_value_outlives_the_instance(own_instance, own_client):
    array = np.arange(1_000_000)
    ref = own_client.put(array)
    kept = own_client.get(ref)
    own_instance.stop()
    assert np.array_equal(kept, array)
    with pytest.raises(ConnectionError):
        own_client.get(ref, timeout=2)
    with pytest.raises(ConnectionError):
        own_client.put(1, timeout=2)


def test_objects_survive_the_engine(own_instance, own_client):
    small, large = own_client.put("small", name="s"), own_client.put(np.arange(300_000), name="l")
    kept = own_client.get(large)
    generation = own_client.status.generation
    os.kill(engine_of(own_instance), signal.SIGKILL)
    assert own_client.get(small) == own_client.get(name="s") == "small"
    assert np.array_equal(own_client.get(name="l"), kept)
    assert own_client.get(own_client.put([1])) == [1]
    assert own_client.status.generation == generation + 1


def test_a_child_of_a_dead_client_keeps_no_reservation(own_instance, own_client):
    source = """
        builder = client.create_blob(20 << 20)
        memoryview(builder)[:5] = b"hello"
        child = os.fork()
        if child == 0:
            sys.stdin.read()
            os._exit(0)
        print("ready", flush=True)
        sys.stdin.read()
        """
    with running(source, own_instance.socket) as process:
        assert own_client.status.memory_usage >= 20 << 20
        process.kill()
        process.wait()
        wait_until_nothing_is_held(own_client)  # though the child lives: it waits for its stdin


def test_a_reader_keeps_its_bytes_through_overwriting(client, name):
    client.put(np.zeros(500_000), name=name)
    kept = [client.get(name=name)]
    for i in range(1, 6):
        client.put(np.full(500_000, i), name=name)
        kept.append(client.get(name=name))
    client.drop_name(name)
    for i, array in enumerate(kept):
        assert (array == i).all()
