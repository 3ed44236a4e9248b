# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The allocator through forks, ends, and the death of others; and for whole processes."""

import contextvars
import ctypes
import gc
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import vineyard
from allocating import MARGIN, N, eventually, handler_name, placements
from vineyard import _core

from conftest import engine_of, running_instance

# ---- forks


def in_child(work):
    """The exit code of a forked child: 0 if `work` returned something true."""
    return exit_code(fork_to(work))


def fork_to(work):
    """The process id of a forked child that does `work`."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return pid


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_fork_is_a_snapshot_for_both_sides(client, memory):
    array, put = np.arange(float(N)), np.arange(float(N))
    ref = client.put(put)
    read, write = os.pipe()

    def child():
        os.read(read, 1)  # after the parent has written
        same = (array == np.arange(N)).all() and (put == np.arange(N)).all()
        array[:] = 5
        mine = client.put(array)
        copied = client.get(mine)
        again = client.put(put)
        right = (copied == 5).all() and (client.get(again) == np.arange(N)).all()
        made = np.ones(N) + 1
        third = client.put(made)
        right = right and (client.get(third) == 2).all()
        for one in (mine, again, third):
            client.delete(one)
        return same and right

    pid = fork_to(child)
    array[:] = 7
    put[:] = 8
    os.write(write, b"x")
    assert exit_code(pid) == 0
    os.close(read)
    os.close(write)
    assert (array == 7).all()
    assert (client.get(ref) == np.arange(N)).all()
    client.delete(ref)


def test_children_free_what_they_inherit(client, memory):
    arrays = [np.full(N, float(i)) for i in range(5)]

    def child():
        ok = all((a == i).all() for i, a in enumerate(arrays))
        arrays.clear()
        gc.collect()
        return ok and (np.ones(N) == 1).all()

    assert in_child(child) == 0
    assert all((a == i).all() for i, a in enumerate(arrays))


RAW_FORK = """
    import ctypes, os, subprocess, sys, threading, time
    import numpy as np, vineyard
    libc = ctypes.PyDLL(None)  # the child has the lock that its one thread needs
    # Nobody asks for the lock: a child that inherited that would wait for a thread that it has not got.
    sys.setswitchinterval(1000)
    client = vineyard.connect(sys.argv[1])
    stop = False
    refs = []
    def put():
        while not stop:
            array = np.arange(200_000.0)
            with vineyard.allocator(client):
                array = array + len(refs)
            ref = client.put(array)
            got = client.get(ref)
            assert (got == np.arange(200_000) + len(refs)).all()
            del got
            client.delete(ref)
            refs.append(ref)
    def end(pid):
        if pid == 0:
            libc._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    thread = threading.Thread(target=put)
    thread.start()
    try:
        while len(refs) < 5 and thread.is_alive():
            time.sleep(0)
        for i in range(30):
            FORK
        assert thread.is_alive()
    finally:
        stop = True
        thread.join()
    print("right")
"""


@pytest.mark.parametrize(
    "fork",
    [
        "end(libc.fork())",
        # past the handlers of forks: SYS_clone, SIGCHLD
        "end(libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 17, 0, 0, 0, 0))",
        "end(os.posix_spawn('/bin/true', ['true'], os.environ))",
        "subprocess.run(['true'], check=True)",
    ],
)
def test_children_forked_by_c_code_while_puts_seal(socket, python, fork):
    done = python(RAW_FORK.replace("FORK", fork), socket)
    assert done.stdout.split() == ["right"]


# ---- the end


EXIT = """
    import os, sys
    import numpy as np, vineyard
    client = vineyard.connect(sys.argv[1])
    memory = vineyard.allocator(client)
    memory.__enter__()
    alive = [np.ones(200_000) for _ in range(5)]
    put = client.put(alive[0])
    del alive[1]
    if sys.argv[2] == "fork" and os.fork():
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    if sys.argv[2] == "closed":
        client.close()
    if sys.argv[2] == "enabled":
        vineyard.enable_allocator(client, force=True)
        more = [np.ones(200_000) for _ in range(5)]
    print("end")
"""


@pytest.mark.parametrize("how", ["plain", "fork", "closed", "enabled"])
def test_a_process_may_end_with_live_arrays(python, how):
    with running_instance() as own, vineyard.connect(own.socket) as client:
        before = client.status.memory_usage
        done = python(EXIT, own.socket, how)
        assert set(done.stdout.split()) == {"end"}
        assert done.stderr == ""
        expected = 200_000 * 8 + MARGIN
        eventually(lambda: client.status.memory_usage <= before + expected)


def test_arrays_outlive_their_block_their_client_and_their_instance():
    with running_instance() as own:
        client = vineyard.connect(own.socket)
        with vineyard.allocator(client) as memory:
            fresh, put = np.arange(float(N)), np.arange(float(N))
        ref = client.put(put)
        client.close()
        with vineyard.connect(own.socket) as other:
            assert (other.get(ref) == np.arange(N)).all()
            again = other.put(fresh)
            assert (other.get(again) == np.arange(N)).all()
            enabled = vineyard.allocator(other)
            own.stop()
            with enabled:
                ordinary = np.ones(N)  # there is nobody left to ask
            assert (ordinary == 1).all()
    fresh += 1
    put += 1
    assert (fresh == np.arange(1, N + 1)).all()
    assert (put == np.arange(1, N + 1)).all()
    assert memory.declined == 0
    del fresh, put
    gc.collect()


def test_a_killed_engine_loses_nothing(own_instance, own_client):
    with vineyard.allocator(own_client):
        array = np.arange(float(N))
        os.kill(engine_of(own_instance), signal.SIGKILL)
        more = array + 1  # from the store or not: no failure either way
    ref = own_client.put(array)
    assert (own_client.get(ref) == np.arange(N)).all()
    assert (more == np.arange(1, N + 1)).all()


def test_a_stopped_engine_delays_a_program_for_a_moment_only(own_instance, own_client):
    with vineyard.allocator(own_client) as memory:
        engine = engine_of(own_instance)
        os.kill(engine, signal.SIGSTOP)
        try:
            arrays = [np.full(N, float(i)) for i in range(50)]
        finally:
            os.kill(engine, signal.SIGCONT)
    assert memory.declined > 0
    assert all((a == i).all() for i, a in enumerate(arrays))


# ---- the whole process


@pytest.fixture
def enabled(client):
    assert vineyard.enable_allocator(client, force=True)
    yield client
    vineyard.disable_allocator()


def test_enabled_it_serves_all_threads_and_fresh_contexts(enabled):
    arrays = [np.ones(N), contextvars.Context().run(lambda: np.ones(N))]
    with ThreadPoolExecutor(2) as pool:
        arrays += pool.map(lambda _: np.ones(N), range(2))
    assert all(placements(enabled, a) == {"in place"} for a in arrays)
    assert {handler_name(a) for a in arrays} == {"default_allocator"}


def test_memory_of_before_and_after_is_freed_rightly(client):
    before = [np.ones(N), np.ones(10)]
    vineyard.enable_allocator(client, force=True)
    within = [np.ones(N), np.ones(10)]
    before.clear()
    vineyard.disable_allocator()
    after = np.ones(N)
    assert placements(client, within[0]) == {"in place"}
    assert placements(client, after) == {"own"}
    within[0].resize(3 * N, refcheck=False)
    within.clear()
    vineyard.disable_allocator()  # again: nothing
    vineyard.enable_allocator(client, force=True)
    assert placements(client, np.ones(N)) == {"in place"}
    vineyard.disable_allocator()


def test_one_connection_serves_however_often_it_is_enabled(python, socket):
    done = python(
        """
        import os, vineyard
        def enable_and_disable():
            assert vineyard.enable_allocator(force=True)
            vineyard.disable_allocator()
            return len(os.listdir("/proc/self/fd"))
        first = enable_and_disable()
        print(*(enable_and_disable() - first for _ in range(3)))
        """,
        VINEYARD_IPC_SOCKET=socket,
    )
    assert done.stdout.split() == ["0", "0", "0"]


def test_other_clients_of_the_process_put_without_a_copy(enabled, socket):
    with vineyard.connect(socket) as other:
        array = np.ones(N) + 1
        before = other.status.memory_usage
        ref = other.put(array)
        assert other.status.memory_usage < before + MARGIN
        assert (other.get(ref) == 2).all()
        other.delete(ref)


def test_without_huge_pages_it_stays_off_and_says_why(client, monkeypatch):
    monkeypatch.setattr(_core, "missing_huge_pages", lambda: "run as root once: ...")
    with pytest.warns(RuntimeWarning, match=r"slower; run as root once: \.\.\."):
        assert vineyard.enable_allocator(client) is False
    assert placements(client, np.ones(N)) == {"own"}


def test_without_an_instance_it_fails(tmp_path):
    with pytest.raises(ConnectionError):
        vineyard.enable_allocator(vineyard.connect(tmp_path / "none"), force=True)


UNCHANGED = """
    import importlib.util, sys
    sys.path.insert(0, sys.argv[1])
    exec(open(sys.argv[1] + "/vineyard.pth").read())
    assert importlib.util.find_spec("numpy")  # as programs look for what is optional
    import numpy as np
    array = np.ones(200_000)
    import vineyard
    client = vineyard.connect()
    (place, _), = client._core.placements([array])
    print(place)
"""


@pytest.mark.parametrize(
    ("wish", "place", "said"),
    [
        ("force", "in place", ""),
        ("FORCE", "in place", ""),
        ("off", "own", ""),
        ("", "own", ""),
        ("perhaps", "own", "neither 'on', 'off' nor 'force'"),
    ],
)
def test_the_environment_enables_it_for_unchanged_programs(python, socket, wish, place, said):
    done = python(UNCHANGED, STARTUP, VINEYARD_ALLOCATOR=wish, VINEYARD_IPC_SOCKET=socket)
    assert done.stdout.split() == [*place.split()]
    assert said in done.stderr
    assert bool(done.stderr) == bool(said)


@pytest.mark.parametrize(
    "environment",
    [
        {"VINEYARD_IPC_SOCKET": "/nonexistent/vineyard.sock"},
        {"VINEYARD_ALLOCATOR_THRESHOLD": "1Mi"},
        {"VINEYARD_ALLOCATOR_THRESHOLD": "0"},
        {"VINEYARD_CONFIG": "/nonexistent"},
    ],
)
def test_a_wrong_environment_never_breaks_a_program(python, environment):
    done = python(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "exec(open(sys.argv[1] + '/vineyard.pth').read())\n"
        "import numpy as np\n"
        "print(np.ones(200_000).sum())",
        STARTUP,
        VINEYARD_ALLOCATOR="force",
        **environment,
    )
    assert done.stdout.split() == ["200000.0"]
    assert done.stderr.startswith("vineyard: VINEYARD_ALLOCATOR has no effect: ")
    assert done.stderr.count("\n") == 1


def test_a_program_without_numpy_imports_nothing(python, socket):
    done = python(
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "before = set(sys.modules)\n"
        "exec(open(sys.argv[1] + '/vineyard.pth').read())\n"
        "import json\n"
        "print({m.partition('.')[0] for m in sys.modules} & {'numpy', 'vineyard'})",
        STARTUP,
        VINEYARD_ALLOCATOR="force",
        VINEYARD_IPC_SOCKET=socket,
    )
    assert done.stdout.strip() == "set()"


STARTUP = os.path.join(os.path.dirname(os.path.dirname(__file__)), "startup")


def test_the_start_up_hook_is_one_line_that_does_nothing_unless_asked(python):
    with open(os.path.join(STARTUP, "vineyard.pth")) as hook:
        (line,) = hook.read().splitlines()
    assert line.startswith("import ")
    done = python("import sys\nexec(sys.argv[1])\nprint(len(sys.meta_path))", line)
    plain = python("import sys\nprint(len(sys.meta_path))")
    assert done.stdout == plain.stdout


def test_children_of_multiprocessing_have_it_too(python, socket):
    done = python(
        """
        import multiprocessing, sys
        import numpy as np, vineyard
        def work(n):
            array = np.full(200_000, float(n))
            client = vineyard.connect(sys.argv[1])
            (place, _), = client._core.placements([array])
            return place, client.put(array)
        if __name__ == "__main__":
            client = vineyard.connect(sys.argv[1])
            vineyard.enable_allocator(client, force=True)
            inherited = np.ones(200_000)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                results = pool.map(work, range(6))
            assert (inherited == 1).all()
            for n, (place, ref) in enumerate(results):
                assert place == "in place", place
                assert (client.get(ref) == n).all()
                client.delete(ref)
            print("right")
        """,
        socket,
    )
    assert done.stdout.split() == ["right"]


KEPT_BY_MALLOC = """
import ctypes, numpy, vineyard

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.mallinfo2.restype = Mallinfo2
vineyard.enable_allocator(vineyard.connect(), force=True)
numpy.ones(1 << 20).sum()
mapped = libc.mallinfo2().hblks
libc.malloc(8 << 20)
print(libc.mallinfo2().hblks - mapped)
"""


def test_what_else_the_program_allocates_is_kept_by_malloc_as_without_it(socket, python):
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library is no glibc, or an old one")
    assert python(KEPT_BY_MALLOC, VINEYARD_IPC_SOCKET=socket).stdout.split() == ["0"]
