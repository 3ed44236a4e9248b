# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A pipeline of steps that hand values over by paths below a mounted volume."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import vineyard
from vineyard.csi import read, write
from vineyard.deploy.local import start_vineyardd


def prepare(directory):
    rng = np.random.default_rng(0)
    vineyard.csi.write(
        pd.DataFrame(rng.standard_normal((1000, 4)), columns=list("ABCD")),
        f"{directory}/raw.pkl",
    )


def split(directory):
    frame = read(f"{directory}/raw.pkl")
    frame = frame.drop(frame[frame["A"] > 3].index)
    x, y = frame.drop("A", axis=1), frame["A"]
    os.makedirs(f"{directory}/sets", exist_ok=True)
    write(x, f"{directory}/sets/x.pkl")
    write(y, f"{directory}/sets/y.pkl")
    write(y, f"{directory}/sets/y.pkl")  # replaces


def fit(directory):
    os.chdir(f"{directory}/sets")
    x, y = read("x.pkl"), read(os.path.join(os.getcwd(), "y.pkl"))
    assert x.index.equals(y.index)
    weights, *_ = np.linalg.lstsq(x.to_numpy(), y.to_numpy(), rcond=None)
    write({"weights": weights}, "model")
    assert read(f"{directory}/sets/model")["weights"].shape == (3,)


def main(directory):
    with start_vineyardd(size="64Mi", socket=f"{directory}/vineyard.sock", rpc=False):
        for step in ("prepare", "split", "fit"):
            subprocess.run([sys.executable, __file__, directory, step], check=True)
        try:
            read(f"{directory}/absent.pkl")
        except vineyard.ObjectNotExistsException as error:
            assert isinstance(error, KeyError)
        else:
            raise AssertionError("there is nothing at that path")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"prepare": prepare, "split": split, "fit": fit}[sys.argv[2]](sys.argv[1])
    else:
        main(sys.argv[1])
