#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Runs tests of numpy's and pandas' own, as installed, with and without the allocator, and compares.

With it their arrays of 256 bytes and more lie in the store (VINEYARD_ALLOCATOR=force and
VINEYARD_ALLOCATOR_THRESHOLD=256), as far as descriptors and memory go: their tests make few larger ones.
Every test must end as it does without, whatever that is. Arguments go to pytest.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from vineyard.launching import Instance

SUITES = {
    "numpy": [
        "numpy._core.tests.test_indexing",
        "numpy._core.tests.test_shape_base",
        "numpy._core.tests.test_item_selection",
        "numpy._core.tests.test_memmap",
        "numpy._core.tests.test_numeric",
        "numpy._core.tests.test_records",
        "numpy.lib.tests.test_arraysetops",
        "numpy.lib.tests.test_function_base",
        "numpy.lib.tests.test_io",
    ],
    "pandas": [
        "pandas.tests.copy_view.test_methods",
        "pandas.tests.copy_view.test_indexing",
        "pandas.tests.frame.indexing.test_where",
        "pandas.tests.frame.methods.test_sort_values",
        "pandas.tests.frame.test_reductions",
        "pandas.tests.groupby.methods.test_nth",
        "pandas.tests.internals.test_internals",
        "pandas.tests.reshape.merge.test_merge",
        "pandas.tests.reshape.concat.test_concat",
        "pandas.tests.test_sorting",
    ],
}


def outcomes(report):
    """Test -> how it ended, of a JUnit report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found[f"{case.get('classname')}::{case.get('name')}"] = kinds[0] if kinds else "passed"
    return found


def run(suite, arguments, environment):
    """What pytest says of the suite in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        command += [
            "-p",
            "count_allocations",
            "--tb=short",
            "-c",
            os.devnull,
            "--rootdir",
            directory,
        ]
        command += [f"--junitxml={report}", *arguments, "--pyargs", *SUITES[suite]]
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path, **environment},
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            sys.exit(f"{suite}: pytest made no report\n{done.stdout}{done.stderr}")
        return outcomes(report), done.stdout


def main():
    wrong = 0
    instance = Instance.start(size="2Gi", exit_with=os.getpid(), arguments=["--huge_pages=off"])
    try:
        for suite in SUITES:
            plain, _ = run(suite, sys.argv[1:], {"VINEYARD_ALLOCATOR": "off"})
            stored, text = run(
                suite,
                sys.argv[1:],
                {
                    "VINEYARD_ALLOCATOR": "force",
                    "VINEYARD_ALLOCATOR_THRESHOLD": "256",
                    "VINEYARD_IPC_SOCKET": instance.socket,
                },
            )
            (used,) = [line for line in text.splitlines() if line.startswith("allocator:")]
            differing = sorted(
                test for test in plain.keys() | stored.keys() if plain.get(test) != stored.get(test)
            )
            wrong += len(differing)
            passed = sum(outcome == "passed" for outcome in stored.values())
            print(f"{suite}: {len(stored)} tests, {passed} passed; {used}")
            for test in differing:
                print(f"  {test}: {plain.get(test)} without, {stored.get(test)} with the allocator")
            if differing:
                print(text)
    finally:
        instance.stop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
