# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Step 2: clean the flights, turn them into numbers, and split these for training and testing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from harness.step import Step, step_parser

TARGET = "arr_delay"


def clean(flights: pd.DataFrame) -> pd.DataFrame:
    """Keep the flights that arrived where they were going: the others have no delay to learn."""
    arrived = flights[TARGET].notna() & flights["dep_delay"].notna()
    return flights[arrived]


def minutes(clock: pd.Series) -> np.ndarray:
    """Turn times of day written as the number hhmm into minutes since midnight."""
    hhmm = clock.to_numpy()
    return hhmm // 100 * 60 + hhmm % 100


def share(labels: pd.Series) -> np.ndarray:
    """Return for each row how large a share of all rows has the same label; 0 without a label."""
    codes, known = pd.factorize(labels)
    counts = np.bincount(codes + 1, minlength=len(known) + 1)
    counts[0] = 0
    return counts[codes + 1] / len(labels)


def one_of_many(labels: pd.Series) -> dict[str, np.ndarray]:
    """Return a column of zeros and ones for each label but the first, in alphabetical order."""
    codes, known = pd.factorize(labels, sort=True)
    return {f"{labels.name}_{known[i]}": codes == i for i in range(1, len(known))}


def encode(flights: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return what is known when a plane leaves the gate, as numbers, and how late it arrived."""
    hour = flights["time_hour"].dt
    day_angle = 2 * np.pi * hour.hour.to_numpy() / 24
    year_angle = 2 * np.pi * hour.day_of_year.to_numpy() / 365
    columns = {
        "month": flights["month"],
        "day": flights["day"],
        "weekday": hour.day_of_week,
        "day_sin": np.sin(day_angle),
        "day_cos": np.cos(day_angle),
        "year_sin": np.sin(year_angle),
        "year_cos": np.cos(year_angle),
        "leaves": minutes(flights["sched_dep_time"]),
        "arrives": minutes(flights["sched_arr_time"]),
        "dep_delay": flights["dep_delay"],
        "distance": flights["distance"],
        "dest_share": share(flights["dest"]),
        "plane_share": share(flights["tailnum"]),
        **one_of_many(flights["carrier"]),
        **one_of_many(flights["origin"]),
    }
    # One block of float64 whose columns lie one after another: what pandas itself would arrive at.
    numbers = np.empty((len(columns), len(flights)))
    for row, values in zip(numbers, columns.values(), strict=True):
        row[:] = values
    x = pd.DataFrame(numbers.T, columns=list(columns), copy=False)
    return x, flights[TARGET].reset_index(drop=True)


def main() -> None:
    parser = step_parser(__doc__, "input", "output")
    args = parser.parse_args()

    step = Step("preprocess", args, args.input)
    x, y = encode(clean(step.read(args.input)))
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=13)
    step.write(x_train, f"{args.output}/x_train")
    step.write(x_test, f"{args.output}/x_test")
    step.write(y_train, f"{args.output}/y_train")
    step.write(y_test, f"{args.output}/y_test")
    step.finish()


if __name__ == "__main__":
    main()
