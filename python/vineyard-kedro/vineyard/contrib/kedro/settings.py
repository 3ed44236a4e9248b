# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a project may say about this plugin: ``VINEYARD = {...}`` in its settings.py, or the environment.

================  ====================  ============  =====================================================
in settings.py    in the environment    default       means
================  ====================  ============  =====================================================
``"use"``         ``VINEYARD_KEDRO``    ``"auto"``    which datasets are shared: see `Use`
``"ttl"``         ``VINEYARD_KEDRO_TTL``  ``"1d"``    how long what parts of a run share stays after it was
                                                      saved; ``"never"``: until it is removed
================  ====================  ============  =====================================================

The environment counts more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kedro.io import DatasetError

#: The Kedro environment in which "use" is "always" by default.
ENVIRONMENT = "vineyard"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Use(Enum):
    """Which datasets between nodes go through vineyard, of those that are not `VineyardDataset` in the catalog."""

    #: Where an instance runs: those that would be lost between processes.
    AUTO = "auto"
    #: In every run, those that the catalog doesn't keep elsewhere.
    MEMORY = "memory"
    #: All, whatever the catalog says of them.
    ALWAYS = "always"
    #: None.
    NEVER = "never"


@dataclass(frozen=True)
class Settings:
    """What was said.

    Attributes
    ----------
    use : Use
    ttl : float, optional
        Seconds; None: for ever.
    """

    use: Use = Use.AUTO
    ttl: float | None = 86400.0


def read(said: Any = None, env: str | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    said : mapping, optional
        What the project's settings.py has as ``VINEYARD``.
    env : str, optional
        The Kedro environment; "vineyard" means ``use="always"`` where nothing else is said.

    Raises
    ------
    DatasetError
        A value is none of those that may be said.

    Examples
    --------
    >>> read({"use": "never"}).use
    <Use.NEVER: 'never'>
    >>> read(env="vineyard").use
    <Use.ALWAYS: 'always'>
    """
    said = {} if said is None else said
    if not isinstance(said, Mapping):
        raise DatasetError(
            f"VINEYARD in settings.py is a dict, like {{'use': 'auto'}}, and not {said!r}"
        )
    known = {"use": "VINEYARD_KEDRO", "ttl": "VINEYARD_KEDRO_TTL"}
    # Dynaconf may turn keys to upper case.
    given = {
        str(key).lower(): (f"VINEYARD['{key}'] in settings.py", value)
        for key, value in said.items()
    }
    if unknown := sorted(given.keys() - known.keys()):
        raise DatasetError(
            f"VINEYARD in settings.py says {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    for key, variable in known.items():
        if os.environ.get(variable):
            given[key] = (variable, os.environ[variable])
    found = Settings(use=Use.ALWAYS if env == ENVIRONMENT else Use.AUTO)
    use, ttl = found.use, found.ttl
    if "use" in given:
        use = _use(*given["use"])
    if "ttl" in given:
        ttl = seconds(*given["ttl"])
    return Settings(use, ttl)


def _use(where: str, value: Any) -> Use:
    try:
        return Use(str(value).lower())
    except ValueError:
        known = ", ".join(use.value for use in Use)
        raise DatasetError(f"{where} is {value!r}; there are: {known}") from None


def seconds(what: str, value: Any) -> float | None:
    """Return how many seconds a duration has: a number of them, or like "90s", "30m", "12h", "7d"; "never" is None.

    Examples
    --------
    >>> seconds("ttl", "12h")
    43200.0
    """
    if value is None or value == "never":
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", value)
        if isinstance(value, str)
        else None
    )
    if match is None or float(match[1]) == 0:
        raise DatasetError(f"{what} is {value!r}, and no duration: say 90s, 30m, 12h, 7d or never")
    return float(match[1]) * _SECONDS[match[2] or "s"]
