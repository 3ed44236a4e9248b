# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Run the four steps, one process after another, and collect what they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.step import SPAWNED_AT

HERE = Path(__file__).resolve().parents[1]
STEPS = ("prepare", "preprocess", "train", "test")


class StepFailedError(Exception):
    """A step ended with an error; the text is one line that says which and why."""


def step_arguments(step: str, folder: Path, rows: int) -> list[str]:
    """Return the paths that `step` takes when everything is handed over below `folder`."""
    raw, model = str(folder / "flights"), str(folder / "model")
    return {
        "prepare": ["--rows", str(rows), "--output", raw],
        "preprocess": ["--input", raw, "--output", str(folder)],
        "train": ["--input", str(folder), "--model", model],
        "test": ["--input", str(folder), "--model", model],
    }[step]


def run_step(step: str, transport: str, folder: Path, rows: int, reports: Path) -> dict[str, Any]:
    """Run one step in a process of its own and return its report.

    Raises
    ------
    StepFailedError
        If it ends with an error.
    """
    report = reports / f"{transport}-{step}.json"
    command = [sys.executable, str(HERE / f"{step}.py"), "--transport", transport]
    command += ["--report", str(report), *step_arguments(step, folder, rows)]
    spawned = time.monotonic()
    process = subprocess.Popen(
        command,
        env=os.environ | {SPAWNED_AT: repr(spawned)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        _, errors = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode != 0:
        words = errors.strip().splitlines() or [f"{step}: ended with status {process.returncode}"]
        raise StepFailedError(f"{transport}: {words[-1]}")
    wall = time.monotonic() - spawned
    said = json.loads(report.read_text())
    known = sum(said[part] for part in ("read_s", "write_s", "compute_s", "measuring_s"))
    # The rest of a process's life: starting Python, importing, connecting, giving memory back.
    return said | {"wall_s": wall, "overhead_s": wall - known}


def run_pipeline(
    transport: str,
    folder: Path,
    rows: int,
    reports: Path,
    started: Callable[[str], None] = lambda step: None,
    finished: Callable[[dict[str, Any]], None] = lambda report: None,
) -> list[dict[str, Any]]:
    """Run all steps in order and return their reports; tell `started` and `finished` of each."""
    done = []
    for step in STEPS:
        started(step)
        report = run_step(step, transport, folder, rows, reports)
        finished(report)
        done.append(report)
    return done


def handed_over_bytes(steps: list[dict[str, Any]]) -> int:
    """Return the bytes of all values that were written, each once."""
    return sum(output["bytes"] for step in steps for output in step["outputs"].values())
