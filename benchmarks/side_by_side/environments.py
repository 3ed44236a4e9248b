# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Environments of the peers: each installs itself below ``build/peers``, once.

Usage: python -m side_by_side.environments picture        prints the Python that can draw
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from side_by_side.peers import server_of
from side_by_side.peers.peer import ROOT, NotToBeHad

PEERS = ROOT / "build/peers"


@dataclass(frozen=True)
class Environment:
    """Where a system's workers run.

    Attributes
    ----------
    peer : str
        The module of ``peers/``.
    python : Path
        The interpreter.
    folder : Path
        The environment that it belongs to.
    """

    peer: str
    python: Path
    folder: Path


def environment_of(peer: str, checkout: Path | None = None) -> Environment:
    """Return the peer's environment, made and filled if it is not there yet.

    Parameters
    ----------
    peer : str
        The module of ``peers/``.
    checkout : Path, optional
        For vineyard: the checkout whose package and programs are used.

    Raises
    ------
    NotToBeHad
        A package could not be installed.
    """
    requirements = server_of(peer).requirements
    if requirements is None:
        venv = (checkout or ROOT) / ".venv"
        if (venv / "bin/python").exists():
            return Environment(peer, venv / "bin/python", venv)
        if checkout is not None:
            raise NotToBeHad(f"{venv} is not there: `make build` makes it")
        return Environment(peer, Path(sys.executable), Path(sys.prefix))
    name = requirements.removeprefix("bench-").removesuffix(".txt")
    folder = installed(name, ROOT / "requirements" / requirements)
    return Environment(peer, folder / "bin/python", folder)


def installed(name: str, requirements: Path) -> Path:
    """Return the folder of an environment that has these packages, installing them if need be.

    Raises
    ------
    NotToBeHad
        They could not be installed; with the last line that pip said.
    """
    folder = PEERS / name
    mark = folder / ".installed.txt"
    wanted = requirements.read_text()
    if mark.exists() and mark.read_text() == wanted:
        return folder
    print(f"bench: installing {requirements.name} into {folder}", file=sys.stderr)
    python = _python_for(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in (
        [python, "-m", "venv", folder],
        [folder / "bin/python", "-m", "pip", "install", "-q", "-r", requirements],
    ):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            check=False,
        )
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise NotToBeHad(f"could not be installed: {lines[-1] if lines else 'pip failed'}")
    mark.write_text(wanted)
    return folder


def _python_for(name: str) -> str:
    """Return an interpreter: this one, except where a peer is too old for it."""
    if name != "v6d" or sys.version_info < (3, 12):
        return sys.executable
    for minor in (11, 10, 9):
        if found := shutil.which(f"python3.{minor}"):
            return found
    raise NotToBeHad("its wheels need a Python of at most 3.11, and there is none on PATH")


if __name__ == "__main__":  # prints the Python of the environment that draws the picture
    try:
        print(installed("picture", ROOT / "requirements/bench.txt") / "bin/python")
    except NotToBeHad as error:
        sys.exit(f"bench: {error}")
