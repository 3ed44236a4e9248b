#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""An incident, played with real programs: the store is full, a program waits, another holds memory that was deleted.

Each step is a command of `vineyardctl`, what has to be seen in its output, and what is said of it in the guide; some
are shown by the page too. Run by itself it fails where something is not seen; with ``--write FILE`` it puts the
commands and what they printed between the marks in that file. Pictures of the page are taken where somebody
brings a camera (scripts/page_pictures.py, and the tests of the page).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import vineyard
from vineyard.launching import Instance
from vineyard.programs import find_program

BEGIN = "<!-- rehearsal: begin -->"
END = "<!-- rehearsal: end -->"
SOCKET = "/run/vineyard.sock"

#: The pipeline's programs, by the names under which the instance shows them.
PROGRAMS = {
    "prepare.py": """
        import numpy as np, vineyard
        client = vineyard.connect()
        client.put(np.ones(12 << 20), name="features")
        for day in range(5):
            client.put(np.full(2 << 20, day), name=f"scratch/day-{day}")
        """,
    "train.py": """
        import sys, vineyard
        client = vineyard.connect()
        features = client.get(name="features")
        yesterday = client.get(name="scratch/day-0")
        client.drop_name("scratch/day-0")
        print("ready", flush=True)
        sys.stdin.readline()
        """,
    "load.py": """
        import sys
        import numpy as np, vineyard
        client = vineyard.connect(timeout=600)
        client.put(np.zeros(8 << 20), name="new")
        print("stored", flush=True)
        sys.stdin.readline()
        """,
}


class Camera(Protocol):
    """Somebody who looks at the page."""

    def take(self, url: str, name: str, seen: Sequence[str], chosen: str | None) -> None:
        """A picture called `name`, with all of `seen` in it; of the object of the name `chosen`, if any."""


class Failure(Exception):
    """Something that the guide shows was not seen."""


class Rehearsal:
    def __init__(
        self, folder: Path, instance: Instance, url: str = "", camera: Camera | None = None
    ) -> None:
        self.folder = folder
        self.url = url
        self.camera = camera
        self.socket = instance.socket
        self.text: list[str] = []
        for name, program in PROGRAMS.items():
            (folder / name).write_text(textwrap.dedent(program))

    @contextlib.contextmanager
    def program(self, name: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, str(self.folder / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"VINEYARD_IPC_SOCKET": self.socket, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def say(self, text: str) -> None:
        self.text.append(textwrap.dedent(text).strip())

    def show(self, command: str, *seen: str) -> str:
        """Runs ``vineyardctl command``; all of `seen` must be in what it prints."""
        done = subprocess.run(
            [find_program("vineyardctl"), *command.split()],
            env=os.environ | {"VINEYARD_IPC_SOCKET": self.socket},
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout + done.stderr
        for text in seen:
            if text not in printed:
                raise Failure(f"vineyardctl {command}: '{text}' is not in\n{printed}")
        printed = printed.replace(self.socket, SOCKET).rstrip()
        self.text.append(f"```console\n$ vineyardctl {command}\n{printed}\n```")
        return printed

    def picture(self, name: str, title: str, *seen: str, chosen: str | None = None) -> None:
        if self.camera is not None:
            self.camera.take(self.url, name, seen, chosen)
        self.text.append(f"![{title}](../images/{name}.png)")


def play(rehearsal: Rehearsal) -> None:
    with rehearsal.program("prepare.py") as prepare:
        if prepare.wait() != 0:
            raise Failure("prepare.py has failed")
    with rehearsal.program("train.py") as train, rehearsal.program("load.py") as load:
        if train.stdout.readline() != "ready\n":
            raise Failure("train.py has failed")
        wait_until_somebody_waits(rehearsal.socket)
        full(rehearsal)
        free(rehearsal, train)
        if load.stdout.readline() != "stored\n":
            raise Failure("load.py was not let in")
        after(rehearsal)


def wait_until_somebody_waits(socket: str) -> None:
    with vineyard.connect(socket, progress=False) as client:
        while not any(wait.since >= 2 for wait in client.waits()):
            time.sleep(0.05)  # each question is a request that the instance remembers, too


def full(rehearsal: Rehearsal) -> None:
    rehearsal.say("""
        ### A program hangs

        `load.py` should have been done long ago. What waits, and for what?
        """)
    rehearsal.show("waits", "load.py", "of memory")
    rehearsal.say("So the memory is full. Where is it?")
    rehearsal.show("du", "sealed", "deleted but mapped", "16.0 MiB")
    rehearsal.say("""
        Most of it is in large objects; some was deleted, and a program has it mapped still, so that it can't be given to
        anybody. What is it that lies there, and who uses it?
        """)
    rehearsal.show("top --limit 3", "features", "train.py", "prepare.py")
    rehearsal.say(
        "Or with one look, where the instance was started with `--http` ([The page](the-page.md)):"
    )
    rehearsal.picture(
        "incident-full", "The page: the store is full, load.py waits", "features", "load.py"
    )
    rehearsal.say("""
        ### Who holds it

        The clients, those first that hold most:
        """)
    rehearsal.show("clients", "train.py", "load.py")
    rehearsal.say("""
        `train.py` has more mapped than `features`: the rest is what was deleted. Why does the largest object stay?
        """)
    rehearsal.show("why features", "train.py", "the name 'features' points to it", "to do")
    rehearsal.say("The page says the same of what is clicked:")
    rehearsal.picture(
        "incident-why",
        "The page: why features is in memory",
        "the name 'features' points to it",
        "train.py",
        chosen="features",
    )


def free(rehearsal: Rehearsal, train: subprocess.Popen[str]) -> None:
    rehearsal.say("""
        ### Free it

        `features` is in use, and has its name for a reason. What `prepare.py` left under `scratch/` has not:
        """)
    rehearsal.show("name ls --prefix scratch/", "scratch/day-1", "scratch/day-4")
    rehearsal.show("name rm scratch/day-1 scratch/day-2 scratch/day-3 scratch/day-4")
    rehearsal.say("""
        The objects were put with these names and went with them; `load.py` has what it waited for. What is deleted and mapped
        comes back when `train.py` lets go of it, or ends:
        """)
    train.communicate("\n")
    with vineyard.connect(rehearsal.socket, progress=False) as client:
        while client.status.memory_lingering > 0:
            time.sleep(0.02)
    rehearsal.show("du", "sealed")


def after(rehearsal: Rehearsal) -> None:
    rehearsal.show("waits", "nothing waits")
    rehearsal.say("""
        ### Find the slow one

        The instance remembers the last requests, with how long each took and how much of that was waiting:
        """)
    rehearsal.show("trace --slower-than 1ms", "load.py", "waited")
    rehearsal.say("""
        `3#2` is the second request of client 3, as it counts them. `trace --follow` shows requests as they come.
        """)


def transcript(camera: Camera | None = None) -> str:
    with tempfile.TemporaryDirectory(prefix="vineyard-rehearsal-") as folder:
        address = f"127.0.0.1:{_free_port()}"
        instance = Instance.start(
            socket=f"{folder}/vineyard.sock",
            size="192Mi",
            exit_with=os.getpid(),
            arguments=[f"--http={address}"] if camera is not None else [],
        )
        try:
            rehearsal = Rehearsal(Path(folder), instance, f"http://{address}", camera)
            play(rehearsal)
        finally:
            instance.stop()
    return "\n\n".join(rehearsal.text)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write(guide: Path, text: str) -> None:
    before, _, rest = guide.read_text().partition(BEGIN)
    _, _, behind = rest.partition(END)
    guide.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{behind}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="the guide that shows what was printed")
    options = parser.parse_args()
    text = transcript()
    if options.write is None:
        print(text)
        return 0
    write(options.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
