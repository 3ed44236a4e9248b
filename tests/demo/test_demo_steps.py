# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the steps compute, and that they leave their inputs alone."""

import numpy as np
import pandas as pd
import pytest
from harness.data import load_flights
from harness.fingerprint import fingerprint
from prepare import repeat
from preprocess import clean, encode, minutes, one_of_many, share


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return load_flights()


def test_the_flights_have_strings_times_and_missing_values(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert isinstance(flights["carrier"].dtype, pd.StringDtype)
    assert flights["time_hour"].dtype.kind == "M"
    assert flights["arr_delay"].isna().sum() == 9_430


def test_rows_repeat_from_the_start(flights: pd.DataFrame) -> None:
    few = flights[:3]
    assert repeat(few, 7)["flight"].tolist() == (few["flight"].tolist() * 3)[:7]
    assert len(repeat(few, 2)) == 2


def test_labels_become_shares_and_zeros_and_ones() -> None:
    labels = pd.Series(["JFK", "EWR", None, "JFK"], name="origin", dtype="str")
    assert share(labels).tolist() == [0.5, 0.25, 0, 0.5]
    assert {k: v.tolist() for k, v in one_of_many(labels).items()} == {
        "origin_JFK": [True, False, False, True]
    }
    assert minutes(pd.Series([0, 517, 2359])).tolist() == [0, 317, 1439]


def test_encoding_leaves_no_gaps_and_its_input_alone(flights: pd.DataFrame) -> None:
    some = flights[:5000].reset_index(drop=True)
    before = fingerprint(some)
    x, y = encode(clean(some))
    assert len(x) == len(y) < 5000
    assert not x.isna().any().any() and not y.isna().any()
    assert all(dtype == np.float64 for dtype in x.dtypes)
    assert fingerprint(some) == before
