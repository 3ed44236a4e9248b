# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the commands have in common: options, errors, tables, and which stream says what."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import click
from kedro.framework.cli.utils import KedroCliError
from vineyard.notebook import visible

#: Characters of a cell of a table.
_WIDEST = 60

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class CommandFailed(KedroCliError):
    """What was asked, what is, and what to do."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Unlike Kedro's, on stderr, and without the name of a class."""
        click.echo(f"Error: {self.format_message()}", file=file, err=True)


def remark(text: str) -> None:
    """Say something that is not the answer."""
    click.echo(text, err=True)


@contextlib.contextmanager
def talk_on_stderr() -> Iterator[None]:
    """Have Kedro's logging, which writes to stdout, write to stderr, and only what matters."""
    kedro = logging.getLogger("kedro")
    level = kedro.level
    kedro.setLevel(max(logging.WARNING, level))
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    with contextlib.ExitStack() as restored:
        restored.callback(kedro.setLevel, level)
        for handler in {handler for logger in loggers for handler in logger.handlers}:
            console = getattr(handler, "console", None)  # of rich
            if console is not None:
                restored.callback(setattr, console, "stderr", console.stderr)
                console.stderr = True
            elif isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                restored.callback(handler.setStream, sys.stdout)
                handler.setStream(sys.stderr)
        yield


# ---- options


def pipeline_option(what: str) -> Decorator:
    """``-p``: a pipeline of the project."""
    return click.option(
        "-p", "--pipeline", "pipeline", metavar="NAME", help=f"{what}; all that is run by default."
    )


def env_option(default: str | None = None) -> Decorator:
    """``-e``: a Kedro environment."""
    said = f"{default} by default" if default else "as in 'kedro run'"
    return click.option(
        "-e",
        "--env",
        default=default,
        metavar="ENV",
        help=f"Kedro's configuration environment; {said}.",
    )


def by_option() -> Decorator:
    """``--by``: what becomes a task."""
    return click.option(
        "--by",
        type=click.Choice(["node", "namespace"]),
        default="node",
        show_default=True,
        help="What runs as a process of its own: each node, or all nodes of a namespace together (of its first part, "
        "before the dot), and each node that has none.",
    )


def output_option() -> Decorator:
    """``-o table|json``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Form of the output.",
    )


def force_option(what: str) -> Decorator:
    """``--force``."""
    return click.option("--force", is_flag=True, help=what)


# ---- output


def print_json(value: Any) -> None:
    """One line, so that it can be told from what others print."""
    click.echo(json.dumps(value))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as what they hold, of which the middle is left out where it is very long.

    What a terminal would obey is shown instead.
    """
    cells = [list(header), *([_short(visible(str(cell))) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _short(text: str) -> str:
    """Return a text with its ends only, where it is long.

    >>> _short("x" * 100)
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
    """
    half = _WIDEST // 2
    return text if len(text) <= _WIDEST else f"{text[:half]}…{text[1 - half :]}"


def write_file(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all, and never over another unless told to.

    Raises
    ------
    CommandFailed
        It is there already, or can't be written.
    """
    if not force and os.path.lexists(path):
        raise CommandFailed(
            f"'{path}' is there already. Look at it, and move it away or say --force to replace it."
        )
    replace_file(path, text)


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise CommandFailed(f"'{path}' can't be written: {error.strerror}.") from error
