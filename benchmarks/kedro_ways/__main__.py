# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Runs the Kedro project's nodes in three ways; prints the tables in Markdown, and writes them and a JSON.

Exits 1 if the ways did not leave the same tables, to the bit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from seeing import instance
from side_by_side import processes
from side_by_side.peers.peer import ROOT

from kedro_ways import project, report, result, s3_server, session
from kedro_ways.ways import WAYS, started

SCALES = [1, 10, 100, 500]
_MIB_OF_SCALE = 8  # more than what the nodes of a run leave in the instance, for each 1,460 rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="kedro_ways", description=__doc__)
    parser.add_argument("--scales", type=int, nargs="+", default=SCALES, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="5 by default")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument(
        "--size", help="of the instance; by default what the largest scale asks for"
    )
    parser.add_argument("--quick", action="store_true", help="little of all: whether it works")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build/kedro", help="where files and objects lie"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench/kedro.json", metavar="FILE")
    options = parser.parse_args()
    if options.quick:
        options.scales, options.rounds = [2], 1
    if not project.PYTHON.exists():
        parser.error(f"{project.PYTHON} is not there: scripts/bench_kedro.sh makes it")

    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
    try:
        told = measured(options)
    except (project.Failed, s3_server.Failed, instance.Failed) as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        processes.end_all_children()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(told, indent=1) + "\n")
    text = "\n".join(report.of(told)) + "\n"
    options.out.with_suffix(".md").write_text(text)
    print(text, end="")
    return report_unequal(told["unequal"])


def measured(options: argparse.Namespace) -> dict[str, object]:
    """Return what was found, for JSON."""
    size = options.size or f"{512 + _MIB_OF_SCALE * max(options.scales)}Mi"
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=options.folder.resolve()))
    try:
        copy = project.Project(folder / "mlops")
        with started(options.ways, copy, folder, size) as ways:
            begin = result.begin(options.quick, options.rounds, size, ways)
            if not options.quick:
                session.warm_up(copy, ways, say)
            found = session.measure(copy, ways, options.scales, options.rounds, say)
        return begin | result.of(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def report_unequal(unequal: Sequence[str]) -> int:
    """Say what differed; returns how the program is to exit."""
    for line in unequal:
        say(f"unequal: {line}")
    return 1 if unequal else 0


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
