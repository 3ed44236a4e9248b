# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Writes the table that the pipeline reads: ``python src/mlops/generate.py data/01_raw/train.csv``.

The houses are made up. The table has the shape of the Ames table that house-price tutorials use: 1,460 rows, 81 columns
of these names, 43 of them text with such codes, and as many missing values in the same 19 columns. The same seed gives
the same file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

HOUSES = 1460
_SEED = 81

# Codes, and how many of a hundred houses or so have each.
_CODES: dict[str, dict[str, float]] = {
    "MSZoning": {"RL": 79, "RM": 15, "FV": 4, "RH": 1, "C (all)": 1},
    "Street": {"Pave": 99.5, "Grvl": 0.5},
    "Alley": {"Grvl": 55, "Pave": 45},
    "LotShape": {"Reg": 63, "IR1": 33, "IR2": 3, "IR3": 1},
    "LandContour": {"Lvl": 90, "Bnk": 4, "HLS": 3, "Low": 3},
    "Utilities": {"AllPub": 99.9, "NoSeWa": 0.1},
    "LotConfig": {"Inside": 72, "Corner": 18, "CulDSac": 6, "FR2": 3, "FR3": 1},
    "LandSlope": {"Gtl": 95, "Mod": 4, "Sev": 1},
    "Neighborhood": {
        "NAmes": 15, "CollgCr": 10, "OldTown": 8, "Edwards": 7, "Somerst": 6, "Gilbert": 5, "NridgHt": 5,
        "Sawyer": 5, "NWAmes": 5, "SawyerW": 4, "BrkSide": 4, "Crawfor": 4, "Mitchel": 3, "NoRidge": 3,
        "Timber": 3, "IDOTRR": 3, "ClearCr": 2, "StoneBr": 2, "SWISU": 2, "MeadowV": 1, "Blmngtn": 1,
        "BrDale": 1, "Veenker": 1, "NPkVill": 1, "Blueste": 0.5,
    },
    "Condition1": {"Norm": 86, "Feedr": 6, "Artery": 3, "RRAn": 2, "PosN": 1, "RRAe": 1, "PosA": 1},
    "Condition2": {"Norm": 99, "Feedr": 0.5, "Artery": 0.3, "PosN": 0.2},
    "BldgType": {"1Fam": 83, "TwnhsE": 8, "Duplex": 4, "Twnhs": 3, "2fmCon": 2},
    "HouseStyle": {"1Story": 50, "2Story": 30, "1.5Fin": 11, "SLvl": 4, "SFoyer": 3, "1.5Unf": 1, "2.5Unf": 1},
    "RoofStyle": {"Gable": 78, "Hip": 20, "Flat": 1, "Gambrel": 1},
    "RoofMatl": {"CompShg": 98, "Tar&Grv": 1, "WdShngl": 0.5, "WdShake": 0.5},
    "Exterior1st": {"VinylSd": 35, "HdBoard": 15, "MetalSd": 15, "Wd Sdng": 14, "Plywood": 8, "CemntBd": 5,
                    "BrkFace": 4, "WdShing": 2, "Stucco": 2},
    "Exterior2nd": {"VinylSd": 34, "MetalSd": 15, "HdBoard": 14, "Wd Sdng": 14, "Plywood": 10, "CmentBd": 5,
                    "Wd Shng": 3, "Stucco": 3, "BrkFace": 2},
    "MasVnrType": {"None": 59, "BrkFace": 31, "Stone": 9, "BrkCmn": 1},
    "ExterQual": {"TA": 62, "Gd": 33, "Ex": 4, "Fa": 1},
    "ExterCond": {"TA": 88, "Gd": 10, "Fa": 2},
    "Foundation": {"PConc": 44, "CBlock": 43, "BrkTil": 10, "Slab": 2, "Stone": 1},
    "BsmtQual": {"TA": 45, "Gd": 43, "Ex": 9, "Fa": 3},
    "BsmtCond": {"TA": 92, "Gd": 5, "Fa": 3},
    "BsmtExposure": {"No": 67, "Av": 15, "Gd": 10, "Mn": 8},
    "BsmtFinType1": {"Unf": 30, "GLQ": 29, "ALQ": 15, "BLQ": 11, "Rec": 10, "LwQ": 5},
    "BsmtFinType2": {"Unf": 88, "Rec": 4, "LwQ": 3, "BLQ": 3, "ALQ": 1, "GLQ": 1},
    "Heating": {"GasA": 98, "GasW": 1, "Grav": 0.5, "Wall": 0.5},
    "HeatingQC": {"Ex": 51, "TA": 29, "Gd": 17, "Fa": 3},
    "CentralAir": {"Y": 93, "N": 7},
    "Electrical": {"SBrkr": 91, "FuseA": 6, "FuseF": 2, "FuseP": 1},
    "KitchenQual": {"TA": 50, "Gd": 40, "Ex": 7, "Fa": 3},
    "Functional": {"Typ": 93, "Min2": 2, "Min1": 2, "Mod": 1, "Maj1": 1, "Maj2": 1},
    "FireplaceQu": {"Gd": 49, "TA": 41, "Fa": 4, "Ex": 3, "Po": 3},
    "GarageType": {"Attchd": 63, "Detchd": 28, "BuiltIn": 6, "Basment": 2, "CarPort": 1},
    "GarageFinish": {"Unf": 44, "RFn": 31, "Fin": 25},
    "GarageQual": {"TA": 95, "Fa": 4, "Gd": 1},
    "GarageCond": {"TA": 96, "Fa": 3, "Gd": 1},
    "PavedDrive": {"Y": 92, "N": 6, "P": 2},
    "PoolQC": {"Gd": 40, "Ex": 30, "Fa": 30},
    "Fence": {"MnPrv": 56, "GdPrv": 21, "GdWo": 19, "MnWw": 4},
    "MiscFeature": {"Shed": 90, "Gar2": 5, "Othr": 5},
    "SaleType": {"WD": 87, "New": 8, "COD": 3, "ConLD": 1, "CWD": 1},
    "SaleCondition": {"Normal": 82, "Partial": 9, "Abnorml": 7, "Family": 2},
}  # fmt: skip

# How many of 1,460 houses lack the value, and which columns lack it together.
_MISSING: list[tuple[int, tuple[str, ...]]] = [
    (259, ("LotFrontage",)),
    (1369, ("Alley",)),
    (8, ("MasVnrType", "MasVnrArea")),
    (37, ("BsmtQual", "BsmtCond", "BsmtFinType1")),
    (38, ("BsmtExposure",)),
    (38, ("BsmtFinType2",)),
    (1, ("Electrical",)),
    (690, ("FireplaceQu",)),
    (81, ("GarageType", "GarageYrBlt", "GarageFinish", "GarageQual", "GarageCond")),
    (1453, ("PoolQC",)),
    (1179, ("Fence",)),
    (1406, ("MiscFeature",)),
]

# The order of the columns.
_COLUMNS = """
    Id MSSubClass MSZoning LotFrontage LotArea Street Alley LotShape LandContour Utilities LotConfig LandSlope
    Neighborhood Condition1 Condition2 BldgType HouseStyle OverallQual OverallCond YearBuilt YearRemodAdd RoofStyle
    RoofMatl Exterior1st Exterior2nd MasVnrType MasVnrArea ExterQual ExterCond Foundation BsmtQual BsmtCond
    BsmtExposure BsmtFinType1 BsmtFinSF1 BsmtFinType2 BsmtFinSF2 BsmtUnfSF TotalBsmtSF Heating HeatingQC CentralAir
    Electrical 1stFlrSF 2ndFlrSF LowQualFinSF GrLivArea BsmtFullBath BsmtHalfBath FullBath HalfBath BedroomAbvGr
    KitchenAbvGr KitchenQual TotRmsAbvGrd Functional Fireplaces FireplaceQu GarageType GarageYrBlt GarageFinish
    GarageCars GarageArea GarageQual GarageCond PavedDrive WoodDeckSF OpenPorchSF EnclosedPorch 3SsnPorch ScreenPorch
    PoolArea PoolQC Fence MiscFeature MiscVal MoSold YrSold SaleType SaleCondition SalePrice
""".split()  # noqa: SIM905  (81 lines of one name each are no easier to read)


def houses(count: int = HOUSES) -> pd.DataFrame:
    """Make up so many houses.

    Parameters
    ----------
    count : int
        Of other counts than 1,460, the same share of values is missing.
    """
    random = np.random.default_rng(_SEED)
    found = {name: _draw(random, codes, count) for name, codes in _CODES.items()}
    found |= _numbers(random, count)
    table = pd.DataFrame({name: found[name] for name in _COLUMNS})
    for missing, names in _MISSING:
        rows = random.permutation(count)[: round(missing * count / HOUSES)]
        table.loc[rows, list(names)] = None
    return table


def _draw(random: np.random.Generator, codes: dict[str, float], count: int) -> np.ndarray:
    weights = np.array(list(codes.values()))
    return random.choice(np.array(list(codes), dtype=object), count, p=weights / weights.sum())


def _numbers(random: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Return the columns of numbers: larger and better houses cost more."""

    def some(share: float, mean: float) -> np.ndarray:
        """Return areas that only this share of the houses has."""
        has = random.random(count) < share
        return np.where(has, random.gamma(2, mean / 2, count), 0).round().astype(int)

    def of(low: int, high: int) -> np.ndarray:
        return random.integers(low, high, count, endpoint=True)

    quality = random.normal(6, 1.4, count).round().clip(1, 10).astype(int)
    built = (2010 - random.gamma(1.6, 24, count)).round().clip(1872, 2010).astype(int)
    first = random.lognormal(7.0, 0.32, count).round().astype(int)
    second = np.where(random.random(count) < 0.43, first * random.uniform(0.5, 1.2, count), 0)
    second = second.round().astype(int)
    low_quality = some(0.02, 300)
    living = first + second + low_quality
    finished, finished_more = some(0.68, 600), some(0.11, 400)
    unfinished = some(0.92, 600)
    cars = random.binomial(4, 0.45, count)
    price = 52 * living * (quality / 6) ** 1.2 + 320 * (built - 1900) + 12000 * cars
    return {
        "Id": np.arange(1, count + 1),
        "MSSubClass": random.choice([20, 30, 50, 60, 70, 80, 90, 120, 160, 190], count),
        "LotFrontage": random.gamma(9, 70 / 9, count).round().clip(21),
        "LotArea": random.lognormal(9.1, 0.5, count).round().astype(int),
        "OverallQual": quality,
        "OverallCond": of(3, 9),
        "YearBuilt": built,
        "YearRemodAdd": np.maximum(built, of(1950, 2010)),
        "MasVnrArea": some(0.4, 260).astype(float),
        "BsmtFinSF1": finished,
        "BsmtFinSF2": finished_more,
        "BsmtUnfSF": unfinished,
        "TotalBsmtSF": finished + finished_more + unfinished,
        "1stFlrSF": first,
        "2ndFlrSF": second,
        "LowQualFinSF": low_quality,
        "GrLivArea": living,
        "BsmtFullBath": of(0, 1),
        "BsmtHalfBath": (random.random(count) < 0.06).astype(int),
        "FullBath": of(1, 2),
        "HalfBath": of(0, 1),
        "BedroomAbvGr": of(1, 5),
        "KitchenAbvGr": 1 + (random.random(count) < 0.05),
        "TotRmsAbvGrd": of(4, 10),
        "Fireplaces": of(0, 2),
        "GarageYrBlt": built.astype(float),
        "GarageCars": cars,
        "GarageArea": 240 * cars + some(0.9, 40),
        "WoodDeckSF": some(0.48, 190),
        "OpenPorchSF": some(0.55, 85),
        "EnclosedPorch": some(0.14, 150),
        "3SsnPorch": some(0.02, 200),
        "ScreenPorch": some(0.08, 190),
        "PoolArea": some(0.005, 550),
        "MiscVal": some(0.04, 1200),
        "MoSold": of(1, 12),
        "YrSold": of(2006, 2010),
        "SalePrice": (price * random.lognormal(0, 0.15, count)).round(-2).astype(int),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes made-up houses as CSV.")
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    path.parent.mkdir(parents=True, exist_ok=True)
    houses().to_csv(path, index=False, na_rep="NA")


if __name__ == "__main__":
    main()
