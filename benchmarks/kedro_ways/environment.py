# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The environment that nodes run in: Kedro and its own packages, and this checkout's vineyard with its plugin.

Usage: python -m kedro_ways.environment         makes it, or brings it up to date
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from side_by_side.environments import installed
from side_by_side.peers.peer import ROOT, NotToBeHad

PLUGIN = ROOT / "python/vineyard-kedro"


def ready() -> Path:
    """Return the environment's folder, made if need be.

    Raises
    ------
    NotToBeHad
        Something could not be installed.
    """
    folder = installed("kedro", ROOT / "requirements/bench-kedro.txt")
    python = folder / "bin/python"
    mark = folder / ".plugin.toml"
    wanted = (PLUGIN / "pyproject.toml").read_text()
    if not mark.exists() or mark.read_text() != wanted:
        # From its sources; without what it depends on, because that is this checkout's vineyard.
        _run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", PLUGIN)
        mark.write_text(wanted)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(_run(python, "-c", asked).strip())
    start = (ROOT / "python/startup/vineyard.pth").read_text()
    (site / "vineyard-checkout.pth").write_text(f"{ROOT}/python\n{ROOT}/python/startup\n{start}")
    return folder


def _run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NotToBeHad(
            f"the plugin could not be installed: {lines[-1] if lines else 'pip failed'}"
        )
    return done.stdout


if __name__ == "__main__":
    try:
        ready()
    except NotToBeHad as error:
        sys.exit(f"bench: {error}")
