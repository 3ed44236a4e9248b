# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The C++ programs (``benchmarks/*.cc``, Google Benchmark): what a layer costs by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from side_by_side.processes import die_with_parent
from side_by_side.result import cell

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def run(folder: Path, rounds: int, quick: bool) -> list[dict[str, Any]]:
    """Run every program of the folder, in turn, `rounds` times.

    Returns
    -------
    list of dict
        For each benchmark the fields of a cell of the table (see result.py), its ``name``, and the
        ``program`` that it is of. Times are real time.
    """
    samples: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    programs = sorted(p for p in folder.glob("*_benchmark") if os.access(p, os.X_OK))
    for _ in range(rounds):
        for program in programs:
            for name, seconds in _one(program, quick):
                samples[program.name, name].append([seconds])
    return [
        {"program": program, "name": name} | cell(found, True)
        for (program, name), found in samples.items()
    ]


def _one(program: Path, quick: bool) -> list[tuple[str, float]]:
    done = subprocess.run(
        [program, "--benchmark_format=json", f"--benchmark_min_time={0.001 if quick else 0.05}"],
        capture_output=True,
        text=True,
        preexec_fn=die_with_parent,
        check=False,
    )
    if done.returncode != 0:
        print(f"bench: {program.name} failed: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return []
    return [
        (
            entry["name"].removesuffix("/real_time"),
            entry["real_time"] * _SECONDS[entry["time_unit"]],
        )
        for entry in json.loads(done.stdout)["benchmarks"]
        if not entry.get("error_occurred")
    ]
