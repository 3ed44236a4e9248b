# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fixtures: one instance, a Python client of it, and the C++ client (`bridge`)."""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import vineyard
from hypothesis import HealthCheck, settings
from vineyard.launching import Instance

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python" / "tests"))  # strategies, and what "the same" means

#: These go through all that the newest pyarrow has.
collect_ignore_glob = [] if hasattr(pa, "uuid") else ["test_*.py"]

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
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


@pytest.fixture(scope="session")
def interop_socket():
    instance = Instance.start(size="256Mi", exit_with=os.getpid(), arguments=["--huge_pages=off"])
    yield instance.socket
    instance.stop()


@pytest.fixture(scope="session")
def client(interop_socket):
    with vineyard.connect(interop_socket) as connected:
        yield connected


@pytest.fixture(scope="session")
def bridge(interop_socket):
    from bridge import Bridge

    with Bridge(interop_socket) as connected:
        yield connected
