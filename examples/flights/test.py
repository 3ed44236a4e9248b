# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Step 4: measure how far the model is off on flights that it has not seen."""

from __future__ import annotations

from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error

from harness.step import Step, step_parser


def main() -> None:
    parser = step_parser(__doc__, "input", "model")
    args = parser.parse_args()

    step = Step("test", args, args.model)
    x = step.read(f"{args.input}/x_test")
    y = step.read(f"{args.input}/y_test")
    model: LinearRegression = step.read(args.model)
    step.finish(mse=float(mean_squared_error(y, model.predict(x))))


if __name__ == "__main__":
    main()
