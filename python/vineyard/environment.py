# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Environment variables for as long as a block runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from vineyard.errors import InvalidException


@contextlib.contextmanager
def envvars(
    key: str | Mapping[str, str], value: str | None = None, append: bool = False
) -> Iterator[os._Environ[str]]:
    """Sets environment variables of this process, and gives them back their values afterwards.

    The environment is the whole process's: other threads see it too.

    Parameters
    ----------
    key : str, or mapping of str to str
        A name, or names with their values.
    value : str, optional
        Of the one name.
    append : bool
        Whether what a variable had is kept before, after a colon (as in ``PATH``).

    Examples
    --------
    >>> with envvars("EXAMPLE", "1"):
    ...     os.environ["EXAMPLE"]
    '1'
    >>> "EXAMPLE" in os.environ
    False
    """
    if isinstance(key, str):
        if value is None:
            raise InvalidException(f"variable {key!r} has no value")
        wanted = {key: value}
    else:
        wanted = dict(key)
    before = {name: os.environ.get(name) for name in wanted}
    try:
        for name, text in wanted.items():
            old = before[name]
            os.environ[name] = f"{old}:{text}" if append and old else text
        yield os.environ
    finally:
        for name, was in before.items():
            if was is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = was
