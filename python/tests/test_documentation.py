# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The examples in docstrings run, and the stubs name what is there."""

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
import vineyard
from vineyard import _core

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


def test_the_stubs_name_everything_that_is_there():
    stub = ast.parse((Path(vineyard.__file__).parent / "_core.pyi").read_text())
    declared = {}
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            declared[node.name] = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            declared[node.name] = set()
    there = {n for n in dir(_core) if not n.startswith("_")}
    assert there == set(declared)
    for name, members in declared.items():
        if isinstance(getattr(_core, name), type):
            public = {n for n in dir(getattr(_core, name)) if not n.startswith("_")}
            assert public == {m for m in members if not m.startswith("_")}, name


def test_the_version_is_a_version():
    assert all(part.isdecimal() for part in vineyard.__version__.split("."))
