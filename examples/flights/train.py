# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Step 3: fit a linear regression of the delay on arrival, and hand the model on."""

from __future__ import annotations

from sklearn.linear_model import LinearRegression

from harness.step import Step, step_parser


def main() -> None:
    parser = step_parser(__doc__, "input", "model")
    args = parser.parse_args()

    step = Step("train", args, args.model)
    x = step.read(f"{args.input}/x_train")
    y = step.read(f"{args.input}/y_train")
    model = LinearRegression().fit(x, y)
    step.write(model, args.model)
    step.finish(
        coefficients=[float(c).hex() for c in model.coef_],
        intercept=float(model.intercept_).hex(),
    )


if __name__ == "__main__":
    main()
