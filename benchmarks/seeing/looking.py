# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Who looks at an instance: what the page asks and how often, a scraper, and a trace.

`python -m seeing.looking PORT` asks what an open page does and scrapes metrics, until it is ended.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from side_by_side import processes
from side_by_side.peers.peer import ROOT
from vineyard.programs import find_program

from seeing.instance import Instance, environment, processor_ns

PAGE = ROOT / "src/http/page"
_SCRAPED_EVERY = 1.0  # seconds


def page_asks() -> list[str]:
    """Return the paths that the page asks for each time, read from the page itself."""
    found = []
    for name in ("page.js", "objects_worker.js"):
        found += re.findall(r"\bget\([\"`](/api/v1/\w+)", (PAGE / name).read_text())
    return found


def page_pause() -> float:
    """Return the seconds between an answer and the next questions, read from the page itself."""
    found = re.search(r"\bEVERY = (\d+); // milliseconds", (PAGE / "page.js").read_text())
    assert found is not None
    return int(found[1]) / 1000


class Refused(Exception):
    """The server said no; the message says how."""


class Browser:
    """Asks as a browser does: one connection that stays."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._version: int | None = None

    def get(self, path: str) -> bytes:
        """Return the body; empty where nothing has changed."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 304):
            raise Refused(f"{path}: {answer.status} {body[:200]!r}")
        return body

    def look(self) -> None:
        """Ask all that an open page asks at a time."""
        for path in page_asks():
            if not path.endswith("/objects"):
                self.get(path)
            elif body := self.get(
                path if self._version is None else f"{path}?since={self._version}"
            ):
                self._version = json.loads(body[:40].partition(b",")[0] + b"}")["version"]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _look_on(port: int) -> None:
    pause, browser = page_pause(), Browser(port)
    while True:
        # Whoever was stopped for a while has old figures for a moment, says so, and is asked again, as by the page.
        with contextlib.suppress(Refused):
            browser.look()
        time.sleep(pause)


def _scrape_on(port: int) -> None:
    browser = Browser(port)
    while True:
        browser.get("/metrics")
        time.sleep(_SCRAPED_EVERY)


class Lookers:
    """A page, a scraper and a trace that look at an instance; stopped until `begin`.

    Attributes
    ----------
    trace : int
        The process of `vineyardctl trace --follow`.
    """

    def __init__(self, instance: Instance, page: int, trace: int) -> None:
        self.trace = trace
        self._instance = instance
        self._own = [page, trace]

    def begin(self) -> None:
        """Have them look, and the instance's process for HTTP with them."""
        processes.thaw([*self._own, *self._instance.web_processes()])

    def pause(self) -> None:
        """Have them take no processor time."""
        processes.freeze([*self._own, *self._instance.web_processes()])

    def processor_ns(self) -> int:
        """Return the processor time of the trace and of the process for HTTP so far; a browser's is its own."""
        return processor_ns([self.trace, *self._instance.web_processes()])


@contextlib.contextmanager
def lookers(instance: Instance) -> Iterator[Lookers]:
    """Start them; they are ended with the block."""
    command = [find_program("vineyardctl"), "trace", "--follow", "--socket", instance.socket]
    with (
        subprocess.Popen(
            [sys.executable, "-m", "seeing.looking", str(instance.port)],
            env=environment(),
        ) as page,
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as trace,
    ):
        found = Lookers(instance, page.pid, trace.pid)
        try:
            yield found
            for process, name in ((page, "the page's questions"), (trace, "the trace")):
                if process.poll() is not None:
                    raise ConnectionError(f"{name} ended with {process.returncode}")
        finally:
            found.begin()  # what is stopped would not end
            page.kill()
            trace.kill()


if __name__ == "__main__":
    processes.die_with_parent()
    threading.Thread(target=_scrape_on, args=[int(sys.argv[1])], daemon=True).start()
    _look_on(int(sys.argv[1]))
