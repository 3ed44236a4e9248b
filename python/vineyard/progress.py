# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""How far a transfer is: a line on the terminal while a long one lasts.

The copying reports to a callable of ``(done, total)``, in bytes. A `Bar` is one that shows them. Only
one is shown at a time; it appears when a transfer has lasted a second, is redrawn by a thread of its
own (so that waiting shows too), and leaves nothing behind. A bar never fails a transfer.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, TextIO, TypeAlias

from vineyard import _core

Progress: TypeAlias = Callable[[int, int], object]

#: Seconds that a transfer must have lasted, and between two drawings.
AFTER, EVERY = 1.0, 0.2
#: Bytes below which a transfer is over before anybody looks.
LEAST = 16 << 20

_turn = threading.Lock()


def _renew_lock() -> None:
    global _turn
    _turn = threading.Lock()  # whoever held it is not in this process


os.register_at_fork(after_in_child=_renew_lock)


def bar_over(buffers: Iterable[Any], what: str) -> Bar | None:
    """A bar for the copying of these, if it may be long and there is somebody to see it."""
    stream = _terminal()
    if stream is None or sum(memoryview(b).nbytes for b in buffers) < LEAST:
        return None
    return Bar(what, stream)


def _terminal() -> TextIO | None:
    stream = sys.stderr
    try:
        if stream.isatty():
            return None if os.environ.get("TERM") == "dumb" else stream
    except (AttributeError, ValueError):  # none at all, or closed
        return None
    return stream if type(stream).__module__ == "ipykernel.iostream" else None


def copies(buffers: Iterable[Any], progress: Progress | None, bars: bool) -> list[bytearray]:
    """The bytes of what a get gave, as memory of this process's own."""
    buffers = list(buffers)
    if progress is None and bars:
        bar = bar_over(buffers, "get")
        if bar is not None:
            with bar:
                return _core.copy_buffers(buffers, bar)
    return _core.copy_buffers(buffers, progress)


class Bar:
    """Shows what it is called with, for as long as a ``with`` block runs.

    Parameters
    ----------
    what : str
        ``"put"`` or ``"get"``.
    stream : text file
    """

    def __init__(self, what: str, stream: TextIO) -> None:
        self._what = what
        self._stream = stream
        self._began = monotonic()
        self._first: tuple[float, int] | None = None  # when the first bytes were reported
        self._last: tuple[float, int, int] = (self._began, 0, 0)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._shown = 0  # characters on the line

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if done < self._last[1]:  # begins anew
            self._first = None
        if done and self._first is None:
            self._first = now, done
        self._last = now, done, total

    def __enter__(self) -> Bar:
        self._turn = _turn
        if self._turn.acquire(blocking=False):
            thread = threading.Thread(target=self._run, name="vineyard-progress", daemon=True)
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # no more threads, or Python is about to end
                self._turn.release()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()
        self._turn.release()

    def _run(self) -> None:
        try:
            if self._ended.wait(AFTER):
                return None
            while True:
                self._show(self.line(self._columns() - 1))
                if self._ended.wait(EVERY):
                    return self._show("")
        except (OSError, ValueError):  # the terminal has gone
            pass

    def _show(self, line: str) -> None:
        text = f"\r{line:{self._shown}}"
        if not line:
            text += "\r"
        self._stream.write(text)
        self._stream.flush()
        self._shown = len(line)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            return 80

    def line(self, width: int) -> str:
        """What is shown now, in at most so many characters."""
        when, done, total = self._last
        if not done:
            state = "waiting for memory" if self._what == "put" and total else "begins"
            waited = _duration(monotonic() - self._began)
            return f"vineyard {self._what}: {size_text(total)}, {state}, {waited}"[:width]
        left = f"vineyard {self._what}: {100 * done // max(total, 1):3d}% "
        right = f" {size_text(done)} of {size_text(total)}"
        assert self._first is not None
        since, before = self._first
        if when > since and done > before:
            rate = (done - before) / (when - since)
            right += f", {size_text(rate)}/s, {_duration((total - done) / rate)} left"
        room = min(width - len(left) - len(right) - 2, 30)
        if room < 5:
            return (left + right.lstrip())[:width]
        full = room * done // max(total, 1)
        return f"{left}[{'#' * full}{'.' * (room - full)}]{right}"


def size_text(size: float) -> str:
    """A number of bytes as people read it.

    >>> size_text(900), size_text(3 << 20), size_text(5.25 * 2**30)
    ('900 B', '3.0 MiB', '5.2 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
