# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the nodes do: plain pandas, which knows nothing of where a table comes from or goes to.

A table that comes from another process may be read-only. Nothing here minds: a node computes new columns, and never
writes into old ones.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

_SEED = 1460  # of what augments: the same multiplier gives the same table, in every process


def augment(houses: pd.DataFrame, multiplier: int | None = None) -> pd.DataFrame:
    """Return so many times as many houses.

    Parameters
    ----------
    houses : pandas.DataFrame
    multiplier : int, optional
        By default what ``DATA_AUGMENT_MULTIPLIER`` says, and 1 where it says nothing.

    Returns
    -------
    pandas.DataFrame
        The houses, then others. Each column of these is drawn, with replacement, from the same column of the first:
        it has the same type, the same values and about the same share of missing ones.
    """
    if multiplier is None:
        multiplier = int(os.environ.get("DATA_AUGMENT_MULTIPLIER", "1"))
    if multiplier < 1:
        raise ValueError(f"DATA_AUGMENT_MULTIPLIER is {multiplier}; it is 1 or more")
    if multiplier == 1:
        return houses
    random = np.random.default_rng(_SEED)
    first = np.arange(len(houses))
    more = len(houses) * (multiplier - 1)
    columns = {}
    for name in houses.columns:
        rows = np.concatenate([first, random.integers(len(houses), size=more)])
        columns[name] = houses[name].take(rows).array
    return pd.DataFrame(columns)


def remove_outliers(houses: pd.DataFrame, outliers: dict[str, float]) -> pd.DataFrame:
    """Augment, and leave out houses that are large and yet cheap."""
    houses = augment(houses)
    large = houses["GrLivArea"] > outliers["GrLivArea"]
    cheap = houses["SalePrice"] < outliers["SalePrice"]
    return houses[~(large & cheap)]


def create_target(houses: pd.DataFrame) -> pd.Series:
    """Return what a model would predict: the logarithm of the price."""
    return np.log1p(houses["SalePrice"])


def drop_cols(houses: pd.DataFrame, cols_to_drop: list[str]) -> pd.DataFrame:
    """Leave out columns that tell nothing of a house, and the price."""
    return houses.drop(columns=cols_to_drop)


def fill_na(houses: pd.DataFrame, none_cols: list[str], zero_cols: list[str]) -> pd.DataFrame:
    """Replace what is missing: where there is no such thing by a word or a zero, else by what is usual."""
    absent = dict.fromkeys(none_cols, "None") | dict.fromkeys(zero_cols, 0)
    houses = houses.fillna(absent)
    frontage = houses.groupby("Neighborhood")["LotFrontage"].transform("median")
    houses = houses.assign(LotFrontage=houses["LotFrontage"].fillna(frontage))
    left = houses.columns[houses.isna().any()]
    usual = {name: houses[name].mode().iloc[0] for name in left}
    return houses.fillna(usual)


def total_sf(houses: pd.DataFrame) -> pd.DataFrame:
    """Add the area of all floors together."""
    total = houses["TotalBsmtSF"] + houses["1stFlrSF"] + houses["2ndFlrSF"]
    return houses.assign(TotalSF=total)
