# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Measures vineyard beside its peers; writes build/bench/{result.json,table.md,performance.svg}."""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
from pathlib import Path

from side_by_side import machine, processes, profile, programs, table
from side_by_side.measuring import Run, System, say
from side_by_side.peers import NAMES
from side_by_side.peers.peer import ROOT, NotToBeHad
from side_by_side.result import Result
from side_by_side.rows import FAMILIES
from side_by_side.rows.family import Scale
from side_by_side.session import Session
from side_by_side.ways import COMPARISONS, comparison

OUT = ROOT / "build/bench"


def main() -> int:
    parser = argparse.ArgumentParser(prog="side_by_side", description=__doc__)
    parser.add_argument(
        "--rows", nargs="*", default=[], metavar="PATTERN", help="which rows: put-*"
    )
    parser.add_argument("--systems", nargs="*", default=list(NAMES), metavar="NAME")
    parser.add_argument("--rounds", type=int, metavar="N", help="5, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="tiny values: whether it works")
    parser.add_argument(
        "--against", type=Path, metavar="CHECKOUT", help="another build of vineyard, as a system"
    )
    parser.add_argument(
        "--programs",
        type=Path,
        metavar="FOLDER",
        help="C++ programs that are run too, where all rows are",
    )
    parser.add_argument(
        "--profile", action="store_true", help="see where the time of the usual operations goes"
    )
    parser.add_argument("--out", type=Path, default=OUT / "result.json", metavar="FILE")
    options = parser.parse_args()
    if unknown := sorted(set(options.systems) - set(NAMES)):
        parser.error(f"there are the systems {' '.join(NAMES)}; and none is called {unknown[0]}")
    names = [row.name for family in FAMILIES for measure in family.measures for row in measure.rows]
    names += [row.name for comparison in COMPARISONS for row in comparison.rows]
    for pattern in options.rows:
        if not fnmatch.filter(names, pattern):
            parser.error(f"there are the rows {' '.join(names)}; and none is called {pattern}")
    rounds = options.rounds or (1 if options.quick else 5)

    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
    (ROOT / "build/bench").mkdir(parents=True, exist_ok=True)
    try:
        systems = [System.of(name) for name in options.systems]
        if options.against:
            systems.insert(1, System.of("base", options.against.resolve()))
        run = Run(systems, options.rows, rounds, Scale(options.quick))
        result = run.measure(lambda found: found.write(options.out))
        if options.against is None:
            compare_ways(run, options.out)
        if options.programs and not options.rows:
            say("The layers in C++")
            result.cpp = programs.run(options.programs, rounds, options.quick)
        if options.profile:
            profiled(result)
    except KeyboardInterrupt:
        say(f"\nstopped; what was finished is in {options.out}, if anything was")
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for session in list(Session.running):
            session.stop()
        processes.end_all_children()
    result.write(options.out)
    for (system, row), seconds in sorted(run.seconds.items(), key=lambda item: -item[1])[:12]:
        say(f"  {seconds:6.1f} s went to {system}: {row}")
    say(f"on {machine.describe(result.machine)}")
    print(table.of_file(options.out))
    return 0


def compare_ways(run: Run, out: Path) -> None:
    """Add the ways of using vineyard to the result, if it is among the systems."""
    for system in run.systems:
        if system.name == "ours" and system.missing is None:
            for compared in COMPARISONS:
                comparison.run(compared, run.patterns, run.rounds, run.scale, system, run.result)
                run.note_systems()
                run.result.write(out)


def profiled(result: Result) -> None:
    """Add the profile to the result, or say why there is none."""
    try:
        result.profile = profile.run()
    except NotToBeHad as error:
        say(str(error))


if __name__ == "__main__":
    sys.exit(main())
