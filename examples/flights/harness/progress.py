# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A line for each step on stderr, as it happens."""

from __future__ import annotations

import sys
from typing import Any

from harness.sizes import format_seconds
from transports import TRANSPORTS


class Progress:
    """Say what runs and what it took; on a terminal, the running step shows in place."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Say something in a line of its own."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def started(self, transport: str, step: str) -> None:
        """Show that a step runs, where this can be taken away again."""
        if self._live:
            print(
                f"  {TRANSPORTS[transport].title:19} {step:10} …",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def finished(self, transport: str, report: dict[str, Any]) -> None:
        """Say what a step took."""
        read = format_seconds(report["read_s"]) if report["inputs"] else "–"
        write = format_seconds(report["write_s"]) if report["outputs"] else "–"
        self.note(
            f"  {TRANSPORTS[transport].title:19} {report['step']:10} read {read:>8}   "
            f"write {write:>8}   compute {format_seconds(report['compute_s']):>8}"
        )

    def _clear(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr)
