# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Which releases of Kedro this works with."""

from importlib import metadata

OLDEST = (1, 0)
BELOW = (2, 0)


class UnsupportedKedro(ImportError):
    """The installed Kedro is one that this plugin does not know."""


def check(version: str | None = None) -> None:
    """Raise unless the version, by default that of the installed Kedro, is supported.

    Examples
    --------
    >>> check("1.4.0")
    >>> check("0.18.14")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    vineyard.contrib.kedro.versions.UnsupportedKedro: vineyard-kedro needs Kedro 1.0 or later and below 2.0, ...
    """
    version = version or metadata.version("kedro")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if not OLDEST <= numbers < BELOW:
        oldest, below = (".".join(map(str, bound)) for bound in (OLDEST, BELOW))
        raise UnsupportedKedro(
            f"vineyard-kedro needs Kedro {oldest} or later and below {below}, and {version} is installed: "
            f'pip install "kedro>={oldest},<{below}", or pip uninstall vineyard-kedro'
        )
