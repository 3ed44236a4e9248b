# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fixtures: a real instance of the tests' own, and clients of it.

Property tests run a few examples here, the same each time; ``--hypothesis-profile=long`` runs
many, and others each time.
"""

import contextlib
import gc
import itertools
import os
import subprocess
import sys
import textwrap

import pytest
import vineyard
from hypothesis import HealthCheck, settings
from vineyard.launching import Instance

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
for _name, _examples in (("default", 100), ("long", 2000)):
    settings.register_profile(
        _name,
        deadline=None,
        database=None,
        derandomize=_name == "default",
        max_examples=_examples,
        suppress_health_check=_QUIET,
    )
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def _own_environment():
    """What the machine is set up for must not reach the tests."""
    homes = ("HOME", "XDG_RUNTIME_DIR")  # where an instance of this user's may listen
    others = (*homes, "KUBERNETES_SERVICE_HOST")
    names = [k for k in os.environ if k.startswith("VINEYARD_") or k in others]
    kept = {k: os.environ.pop(k) for k in names}
    yield
    os.environ.update(kept)


@contextlib.contextmanager
def running_instance(size="256Mi", arguments=(), **options):
    """A vineyardd in a directory of its own, ended at the end."""
    instance = Instance.start(
        size=size,
        exit_with=os.getpid(),
        # The machine's switches are not the tests' business.
        arguments=["--huge_pages=off", *arguments],
        **options,
    )
    try:
        yield instance
    finally:
        instance.stop()


def engine_of(instance):
    """The process id of the engine, which is the keeper's only child."""
    keeper = instance.process.pid
    with open(f"/proc/{keeper}/task/{keeper}/children") as children:
        return int(children.read().split()[0])


@pytest.fixture(scope="session")
def instance():
    """One instance for all tests that leave it as they found it."""
    with running_instance() as started:
        yield started


@pytest.fixture(scope="session")
def socket(instance):
    return instance.socket


@pytest.fixture
def client(socket):
    with vineyard.connect(socket) as connected:
        yield connected


@pytest.fixture
def own_instance():
    """An instance for one test, which may do to it what it likes."""
    with running_instance() as started:
        yield started


@pytest.fixture
def own_client(own_instance):
    with vineyard.connect(own_instance.socket) as connected:
        yield connected


@pytest.fixture
def memory(client):
    """numpy allocates in the store, in the test's own context."""
    with vineyard.allocator(client) as entered:
        yield entered
    gc.collect()
    entered.give_back()


_numbers = itertools.count()


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def python(tmp_path):
    """Runs a program in a new Python process: ``python(source, *arguments, **environment)``.

    Gives the finished process; fails if it ended badly, unless ``check=False``.
    """

    def run(source, *arguments, check=True, cwd=None, **environment):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)],
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run
