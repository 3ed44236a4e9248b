# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The tests of the page need a browser, and run when they are asked for: `make test-web`, or `pytest tests/web`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # of the rehearsal


def _asked(config: pytest.Config) -> bool:
    base = config.invocation_params.dir
    paths = [(base / argument.split("::")[0]).resolve() for argument in config.args]
    return any(path == HERE or HERE in path.parents for path in paths)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if _asked(config) or collection_path == HERE else True


_reports: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _reports:
        terminalreporter.write_line(line)


@pytest.fixture
def report() -> list[str]:
    """Lines for the end of the run: figures that are told, and judge nothing."""
    return _reports


@pytest.fixture(scope="session")
def _browser() -> Iterator[object]:
    from browser import chromium, programs

    if programs() is None:
        pytest.fail("there is no chromium with a chromedriver here: scripts/setup.sh web")
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(_browser):
    """The browser with nothing in it. After each test: nothing was wrong, and nobody else was asked for anything."""
    from browser import Page

    shown = Page(_browser)
    shown.reset()
    yield shown
    assert shown.complaints() == []
    assert not shown.run("return window.pwned === true")
    elsewhere = [
        url for url in shown.requested() if not url.startswith((f"{shown.origin}/", "data:"))
    ]
    assert elsewhere == [], f"besides {shown.origin}"


@pytest.fixture
def store():
    from fake import Store

    return Store()


@pytest.fixture
def fake(store):
    """A server that tells of `store`."""
    from fake import FakeServer

    server = FakeServer(store)
    yield server
    server.stop()


@pytest.fixture(params=["fake", "instance"])
def served(request) -> Iterator[object]:
    """A store with a server: a made one, and an instance's."""
    from stores import running_fake, running_instance

    with {"fake": running_fake, "instance": running_instance}[request.param]() as running:
        yield running
