# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How long the page and the commands wait for their answers when an instance holds many objects.

Each round has an instance of its own, since an answer that was given is kept: what is asked first, nobody asked before.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import vineyard
from vineyard.programs import find_program

from seeing.instance import Instance, running, until
from seeing.looking import Browser, Refused, page_asks

_AT_ONCE = 10_000  # objects put in a call
_AGAIN = 3  # times that what is kept is asked for in a round
_PAUSE = 0.005  # seconds between the questions beside the first list

#: What is told of: a title, and the arguments of vineyardctl, {id} being an object's.
COMMANDS = {
    "why": ["why", "{id}"],
    "why, by a name": ["why", "name-0"],
    "top": ["top"],
    "du": ["du"],
    "du --by type": ["du", "--by", "type"],
    "clients": ["clients"],
    "waits": ["waits"],
    "trace": ["trace"],
}
PAGE_LOAD = "the page: files, state, list and the rest"


@dataclass
class Answers:
    """Seconds that answers took.

    Attributes
    ----------
    first, kept : dict
        Of each path: when nobody asked before, and again.
    page : list of float
        Of all that a browser asks until the page is whole.
    beside : dict
        Of state and metrics while the first list is made.
    commands : dict
        Of each command, from its start to its end.
    """

    first: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    kept: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    page: list[float] = field(default_factory=list)
    beside: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    commands: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def measure(objects: int, rounds: int, size: str, say: Callable[[str], None]) -> Answers:
    """Ask instances that hold so many objects."""
    found = Answers()
    for number in range(rounds):
        with _filled(objects, size) as (instance, example):
            _ask_each(instance, found, f"/api/v1/why?id={example}")
            _run_commands(instance, found, example)
        with _filled(objects, size) as (instance, _):
            found.page.append(_timed(lambda port=instance.port: load_page(Browser(port))))
        with _filled(objects, size) as (instance, _):
            _ask_beside(instance, found)
        say(f"  round {number + 1} of {rounds}: the page took {found.page[-1] * 1000:.0f} ms")
    return found


@contextlib.contextmanager
def _filled(objects: int, size: str) -> Iterator[tuple[Instance, str]]:
    """An instance that holds the objects and knows that it does, and the id of one of them."""
    with running(size, http=True) as instance, vineyard.connect(instance.socket) as client:
        keys = []
        for begin in range(0, objects, _AT_ONCE):
            numbers = range(begin, min(begin + _AT_ONCE, objects))
            keys += client.put_many([_value(n) for n in numbers], [_name(n) for n in numbers])
        browser = Browser(_port(instance))
        until(lambda: _knows(browser, objects))
        yield instance, str(keys[-1])
        browser.close()


def _value(number: int) -> object:
    if number % 1000 == 999:
        return np.zeros(1 << 20, dtype=np.uint8)
    return np.zeros(1 << 13, dtype=np.uint8) if number % 20 == 19 else b"x" * 100


def _name(number: int) -> str | None:
    return f"name-{number}" if number % 10 == 0 else None


def _knows(browser: Browser, objects: int) -> bool:
    try:
        state = json.loads(browser.get("/api/v1/state"))
    except Refused:  # it has not asked the instance yet
        return False
    return bool(sum(volume["objects"] for volume in state["volumes"]) == objects)


def _port(instance: Instance) -> int:
    assert instance.port is not None
    return instance.port


def load_page(browser: Browser) -> list[str]:
    """Ask for all that makes the page, as a browser does; returns the paths."""
    asked = page_files(browser) + page_asks()
    for path in page_asks():
        browser.get(path)
    return asked


def page_files(browser: Browser) -> list[str]:
    """Ask for the page and the files that it names, and those that these name; returns their paths."""
    asked, left = [], ["/"]
    while left:
        path = left.pop(0)
        asked.append(path)
        text = browser.get(path).decode()
        names = re.findall(r"(?:href|src)=\"(/?[\w./-]+\.(?:css|js))\"", text)
        if path.endswith(".js") and "/vendor/" not in path:
            names += re.findall(r"(?:from|Worker\()\s*\"\.?(/[\w./-]+\.js)\"", text)
        for name in names:
            if (full := "/" + name.lstrip("/")) not in [*asked, *left]:
                left.append(full)
    return asked


def _ask_each(instance: Instance, found: Answers, why: str) -> None:
    browser = Browser(_port(instance))
    paths = ["/", *page_asks(), why, "/metrics", "/readyz"]
    for path in paths:
        found.first[path.partition("?")[0]].append(_timed(lambda path=path: browser.get(path)))
    for _ in range(_AGAIN):
        for path in paths:
            found.kept[path.partition("?")[0]].append(_timed(lambda path=path: browser.get(path)))
    browser.close()


def _ask_beside(instance: Instance, found: Answers) -> None:
    """Ask for state and metrics while another connection waits for the first list."""
    done = threading.Event()

    def take_list() -> None:
        Browser(_port(instance)).get("/api/v1/objects")
        done.set()

    browser = Browser(_port(instance))
    other = threading.Thread(target=take_list)
    other.start()
    while not done.is_set():
        for path in ("/api/v1/state", "/metrics"):
            found.beside[path].append(_timed(lambda path=path: browser.get(path)))
        time.sleep(_PAUSE)
    other.join()
    browser.close()


def _run_commands(instance: Instance, found: Answers, example: str) -> None:
    program = find_program("vineyardctl")
    for title, arguments in COMMANDS.items():
        command = [program, *(argument.format(id=example) for argument in arguments)]
        command += ["--socket", instance.socket]
        found.commands[title].append(
            _timed(lambda command=command: subprocess.run(command, check=True, capture_output=True))
        )


def _timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
