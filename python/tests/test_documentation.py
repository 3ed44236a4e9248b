# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest
import vineyard

MODULES = [
    m.name
    for m in pkgutil.walk_packages(vineyard.__path__, "vineyard.")
    if not m.name.endswith(("__main__", "._core"))
]
#: What an environment of the tests may lack: make test-torch has the first, make test the others.
NOT_EVERYWHERE = {"torch_values": "torch", "sparse_values": "scipy", "polars_values": "polars"}


@pytest.mark.parametrize("module", ["vineyard", *MODULES])
def test_examples_run(module):
    if library := NOT_EVERYWHERE.get(module.rpartition(".")[2]):
        pytest.importorskip(library)
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_version_is_a_version():
    assert all(part.isdecimal() for part in vineyard.__version__.split("."))
