# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Step 1: load a year of flights and repeat them to the chosen number of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.data import load_flights
from harness.sizes import parse_count
from harness.step import Step, fail, step_parser


def repeat(flights: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return the first `rows` rows of `flights` written one after another without end."""
    return flights.take(np.resize(np.arange(len(flights)), rows)).reset_index(drop=True)


def main() -> None:
    parser = step_parser(__doc__, "output")
    parser.add_argument("--rows", type=parse_count, default=336_776, help="such as 500k or 1.5M")
    args = parser.parse_args()

    step = Step("prepare", args, args.output)
    try:
        flights = load_flights()
    except FileNotFoundError as error:
        fail(f"prepare: {error}")
    step.write(repeat(flights, args.rows), args.output)
    step.finish()


if __name__ == "__main__":
    main()
