# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Measures what seeing costs; prints it as Markdown, and writes build/bench/seeing.md and .json."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from side_by_side import machine, processes
from side_by_side.peers.peer import ROOT
from side_by_side.result import commit_of

from seeing import answers, cost, report

SIZES = [1 << 10, 100 << 10, 10_000_000]
OBJECTS = 100_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="seeing", description=__doc__)
    parser.add_argument("--pairs", type=int, default=15, help="turns of each kind, of each row")
    parser.add_argument("--seconds", type=float, default=1.5, help="that a turn lasts")
    parser.add_argument("--rounds", type=int, default=9, help="instances with many objects")
    parser.add_argument("--objects", type=int, default=OBJECTS, help="that each of these holds")
    parser.add_argument("--quick", action="store_true", help="little of all: whether it works")
    parser.add_argument(
        "--part", choices=["cost", "answers"], help="one of them alone; both by default"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build/bench/seeing.json", metavar="FILE"
    )
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.seconds, options.rounds, options.objects = 2, 0.02, 1, 300

    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
    try:
        text, found = measured(options)
    except KeyboardInterrupt:
        return 130
    finally:
        processes.end_all_children()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(text)
    print(text, end="")
    return 0


def measured(options: argparse.Namespace) -> tuple[str, dict[str, object]]:
    """Return what was found, as Markdown and for JSON."""
    facts = machine.facts()
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    commit = commit_of(ROOT)
    lines = ["**A quick run: its figures say nothing.**", ""] if options.quick else []
    lines.append(
        f"{machine.describe(facts)}. {when} UTC, commit {commit}; load of the machine at the start: "
        f"{facts['load_at_start']:.1f}."
    )
    found: dict[str, object] = {"machine": facts, "when": when, "commit": commit}
    if options.part != "answers":
        say("Processor time of puts and gets")
        rows = cost.measure(SIZES, options.pairs, options.seconds, "1Gi", say)
        idle = cost.measure_idle("64Mi", 0.1 if options.quick else 10.0)
        lines += ["", *report.cost(rows, idle)]
        found |= {"cost": [asdict(row) for row in rows], "idle": asdict(idle)}
    if options.part != "cost":
        say(f"Answers with {options.objects} objects")
        times = answers.measure(options.objects, options.rounds, "2Gi", say)
        lines += ["", *report.answers(times)]
        found["answers"] = vars(times)
    return "\n".join(lines) + "\n", found


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
