# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What every step script shares: its command line, its clock, and its report.

Time inside a read or write call goes to that call. All other time between :func:`Step` being ready
and :meth:`Step.finish` is the step's computing. Starting the interpreter, importing libraries,
getting the transport ready, dropping caches and fingerprinting count as none of these; they are
reported on their own or not at all.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness.fingerprint import fingerprint, value_bytes
from harness.stopwatch import Stopwatch
from transports import TRANSPORTS

SPAWNED_AT = "FLIGHTS_SPAWNED_AT"


def step_parser(description: str, *paths: str) -> argparse.ArgumentParser:
    """Make a step's command line: one required option for each of `paths`, and the common ones."""
    parser = argparse.ArgumentParser(description=description)
    for path in paths:
        parser.add_argument(f"--{path}", required=True, metavar="PATH")
    parser.add_argument("--transport", choices=TRANSPORTS, default="vineyard")
    parser.add_argument("--report", metavar="FILE", help="write measurements here, not to stdout")
    return parser


class Step:
    """One step at work: reads, writes, and keeps the clock.

    Parameters
    ----------
    name : str
        The step's name in the report.
    args : argparse.Namespace
        What :func:`step_parser` parsed.
    path : str
        A path that the step is going to use, to get the transport ready with.
    """

    def __init__(self, name: str, args: argparse.Namespace, path: str) -> None:
        spawned = float(os.environ.get(SPAWNED_AT, "nan"))
        self._name = name
        self._report_path = args.report
        self._interpreter_s = time.monotonic() - spawned
        self._transport = TRANSPORTS[args.transport]()
        self._read, self._write, self._aside = Stopwatch(), Stopwatch(), Stopwatch()
        self._inputs: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, dict[str, Any]] = {}
        self._values: dict[str, Any] = {}
        self._dropped: list[bool] = []
        with Stopwatch() as starting:
            self._startup = self._call("start", self._transport.start, path)
        self._startup_s = starting.seconds
        self._ready_at = time.perf_counter()

    def read(self, path: str) -> Any:
        """Return the value under `path`; the time this takes counts as reading."""
        with self._aside:
            self._dropped.append(self._transport.before_read(path))
        with self._read:
            value = self._call("read", self._transport.read, path)
        self._inputs[Path(path).name] = {"seconds": self._read.last}
        self._values[Path(path).name] = value
        return value

    def write(self, value: Any, path: str) -> None:
        """Hand `value` over under `path`; the time this takes counts as writing."""
        with self._write:
            self._call("write", self._transport.write, value, path)
        with self._aside:
            self._outputs[Path(path).name] = {
                "seconds": self._write.last,
                "bytes": value_bytes(value),
                "sha256": fingerprint(value),
            }

    def finish(self, **results: Any) -> None:
        """Stop the clock and report; `results` is what the step found out."""
        worked = time.perf_counter() - self._ready_at
        rest = worked - self._read.seconds - self._write.seconds - self._aside.seconds
        # Inputs only now: looking at them earlier would have brought their pages in for free.
        with self._aside:
            for name, value in self._values.items():
                self._inputs[name] |= {"bytes": value_bytes(value), "sha256": fingerprint(value)}
        report = {
            "step": self._name,
            "interpreter_s": self._interpreter_s,
            "startup_s": self._startup_s,
            **self._startup,
            "read_s": self._read.seconds,
            "write_s": self._write.seconds,
            "compute_s": rest,
            "measuring_s": self._aside.seconds,
            "caches_dropped": bool(self._dropped) and all(self._dropped),
            "inputs": self._inputs,
            "outputs": self._outputs,
            "results": results,
        }
        text = json.dumps(report, indent=2)
        if self._report_path:
            Path(self._report_path).write_text(text + "\n")
        else:
            print(text)

    def _call(self, verb: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:  # whatever a transport may raise, people get one line
            fail(f"{self._name}: {verb} {args[-1]}: {type(error).__name__}: {error}")


def fail(message: str, status: int = 1) -> NoReturn:
    """End this program with one line on stderr, and `status`."""
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)
