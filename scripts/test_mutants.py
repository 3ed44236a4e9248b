#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Breaks each codec on purpose, one small change at a time, and sees that its family's tests fail.

Each change is made in a copy of the package, and only the named tests run. A change that they do not
notice "survives": what it breaks is not tested. One whose text is no longer in the source is an error.

Not among them, since what they change is not seen, as was tried:
* arrays, `len(buffer) != nbytes` as `>`: numpy refuses buffers that are too short
* tree, `index >= len(self.buffers)`, and pandas_values, `type(block) is not dict`: the decoder makes
  the same typed error of the IndexError or AttributeError that comes then
* pandas_indexes, `isinstance(name, Hashable)`, and pandas_arrays, `values.shape != mask.shape`: pandas
  itself refuses such names and masks, and that is the same typed error
* pandas_arrays, `if freq is None`: arrays of pandas 3.1 have no frequency, only indexes (test-oldest)
* arrow_arrays, `len(children) != len(types)`: zip(strict=True) two lines below finds it too
* standard_values, `again.parts != value.parts`: before Python 3.12 `==` of paths compares the parts

Usage: test_mutants.py [part of a module's name]…
"""

from __future__ import annotations

import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
TESTS = REPOSITORY / "python/tests"
PROGRAMS = REPOSITORY / "build/release/bin"
WORKERS = 2

_ARROW = "test_arrow.py test_arrow_hostile.py"
_NUMPY = "test_codecs.py test_numpy_values.py test_codecs_hostile.py test_numpy_hostile.py"
_PANDAS = "test_pandas_parts.py test_codecs_pandas.py test_pandas_values.py test_pandas_hostile.py"
_PYTHON = "test_codecs.py test_python_hostile.py test_python_values.py test_codecs_hostile.py"

#: Module -> its tests, and the changes: (the text as it is, what stands there instead).
MUTANTS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "arrays": (
        _NUMPY,
        [
            ('if order == "C":', 'if order != "C":'),
            ("array.transpose(order)), keys", "array), keys"),
            (
                "if len(buffer) != nbytes:\n        corrupted",
                "if len(buffer) < nbytes:\n        corrupted",
            ),
            (
                "if len(buffer) != nbytes:\n        return",
                "if len(buffer) > nbytes:\n        return",
            ),
            (
                "if len(buffer) != nbytes:\n        return",
                "if len(buffer) < nbytes:\n        return",
            ),
        ],
    ),
    "dtypes": (
        _NUMPY,
        [
            ("if not _DTYPE_TEXT.fullmatch(text):", "if False:"),
            ('dtype.itemsize == 0 or dtype.kind == "V":', 'dtype.kind == "V":'),
        ],
    ),
    "scalars": (
        _PYTHON,
        [
            ("if INT64_MIN <= value <= INT64_MAX:", "if INT64_MIN < value <= INT64_MAX + 1:"),
            ("<= INT64_MAX:\n        return value", "<= INT64_MAX + 1:\n        return value"),
            ('if "hex_" in node:', "if False:"),
        ],
    ),
    "containers": (
        _PYTHON,
        [
            ("if sum(lengths) != len(text):", "if False:"),
            ("if len(made) != len(keys):", "if False:"),
        ],
    ),
    "standard_values": (
        _PYTHON,
        [
            ("return fold, timezones", "return 0, timezones"),
            ("    return decimal.Decimal(text)", "    return decimal.Decimal(float(text))"),
        ],
    ),
    "classes": (
        f"{_PYTHON} test_python_classes.py",
        [
            ("if not isinstance(found, type):", "if False:"),
            ("if type(member._value_) in _PLAIN:", "if True:"),
            ("if type(member._value_) in _PLAIN:", "if False:"),
        ],
    ),
    "timezones": (
        _PYTHON,
        [
            ('node if cached else {**node, "cached_": False}', "node"),
            ("if not _KEY.fullmatch(key):\n        refuse", "if False:\n        refuse"),
            ("if not _KEY.fullmatch(key):\n        corrupted", "if False:\n        corrupted"),
        ],
    ),
    "memoryviews": (
        "test_python_values.py test_buffers.py",
        [('if "dtype_" in node:', "if False:")],
    ),
    "buffer_values": (
        "test_buffers.py",
        [
            ("if len(buffer) != size * value.itemsize:", "if False:"),
            ('if decoder.need_int(node, "item_bytes_") != value.itemsize:', "if False:"),
        ],
    ),
    "ctypes_values": (
        "test_buffers.py test_ctypes.py",
        [
            ('ctypes.sizeof(item) != decoder.need_int(node, "item_bytes_"):', "False:"),
            ('ctypes.sizeof(t) != node.get("item_bytes_"):', "False:"),
            ('if layout != node.get("layout_") or', "if"),
            ("len(buffer) != prod(shape)", "len(buffer) < prod(shape)"),
            ("if len(shape) > 64 or ", "if "),
            ("if not prod(shape) and prod(n or 1 for n in shape) > 2**40:", "if False:"),
        ],
    ),
    "numpy_classes": (
        "test_numpy_values.py test_codecs.py",
        [("if value._fill_value is not None:", "if False:")],
    ),
    "pandas_arrays": (
        _PANDAS,
        [
            ("validate=not decoder.pickle)", "validate=False)"),
        ],
    ),
    "pandas_indexes": (
        _PANDAS,
        [
            ("if freq is not None:", "if False:"),
        ],
    ),
    "pandas_offsets": (
        _PANDAS,
        [("{name: encoder.node(value) for name, value in keywords.items()}", "{}")],
    ),
    "pandas_scalars": (
        _PANDAS,
        [
            ("if zone is not None:", "if False:"),
            ("encoder.node(value.right)", "encoder.node(value.left)"),
        ],
    ),
    "pandas_values": (
        _PANDAS,
        [
            ("encoder.node(frame.index)", "encoder.node(frame.index.rename(None))"),
        ],
    ),
    "pandas_dtypes": (_PANDAS, [(", text), closed)", ', text), "right")')]),
    "arrow_types": (
        _ARROW,
        [
            ('"ordered_": True} if t.ordered else node', '"ordered_": True}'),
            ("if not field.nullable:", "if False:"),
            ("len(set(codes)) != len(codes) or", ""),
            ("if key.nullable or entries.nullable:", "if False:"),
        ],
    ),
    "arrow_arrays": (
        _ARROW,
        [
            ("0 <= index < len(stored)", "index < len(stored)"),
            ("views[array.is_null().to_numpy(zero_copy_only=False)] = 0", "pass"),
        ],
    ),
    "arrow_writing": (
        _ARROW,
        [
            ("own - own[0]", "own"),
            ("values.slice(first, last - first)", "values"),
            ("views[self.odd] = 0", "pass"),
            ("- np.where(mine, np.int32(low), np.int32(0))", ""),
        ],
    ),
    "arrow_values": (
        _ARROW,
        [
            ("if len(array) != 1:", "if False:"),
            ("pa.nulls(1, storage) if scalar.value is None else ", ""),
        ],
    ),
    "capsule_values": (
        "test_arrow_capsules.py",
        [
            ("if held is None:", "if False:"),
            ('if not type(data).__module__.startswith("pyarrow"):', "if False:"),
        ],
    ),
    "polars_values": (
        "test_polars.py",
        [
            ('return {**node, "sorted_": flags} if flags else node', "return node"),
            ("if not decoder.pickle and not _is_sorted(column, descending):", "if False:"),
            ("if frame.width != 1:", "if False:"),
        ],
    ),
    "sparse_values": (
        "test_sparse.py",
        [
            ("if used < len(data):", "if False:"),
            ("if not decoder.pickle and (indptr[1:] < indptr[:-1]).any():", "if False:"),
            ("if len(items) != len(data):", "if False:"),
        ],
    ),
    "pickled": (
        "test_codecs.py test_codecs_hostile.py test_python_values.py",
        [
            ("    if not decoder.pickle:", "    if False:"),
            ("    if not encoder.pickle:", "    if False:"),
        ],
    ),
    "tree": (
        _PYTHON,
        [
            ('            self._shared[self.need_int(node, "id", 0)] = value', "            pass"),
        ],
    ),
}


class Result(NamedTuple):
    module: str
    old: str
    new: str
    said: str


def run(module: str, tests: str, old: str, new: str) -> Result:
    """Breaks a copy of the package, and runs the tests with it."""
    with tempfile.TemporaryDirectory(prefix="vineyard-mutant-") as directory:
        package = Path(directory, "vineyard")
        shutil.copytree(REPOSITORY / "python/vineyard", package)
        source = package / "codecs" / f"{module}.py"
        text = source.read_text()
        if old not in text:
            return Result(module, old, new, "not there")
        source.write_text(text.replace(old, new, 1))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
            + [str(TESTS / test) for test in tests.split()],
            env={
                **os.environ,
                "PYTHONPATH": directory,
                "PYTHONDONTWRITEBYTECODE": "1",
                # The copy does not lie in the checkout: it finds vineyardd in PATH.
                "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            },
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    return Result(module, old, new, "SURVIVED" if done.returncode == 0 else "caught")


def main() -> int:
    parts = sys.argv[1:] or [""]
    jobs = [
        (module, tests, old, new)
        for module, (tests, changes) in MUTANTS.items()
        if any(part in module for part in parts)
        for old, new in changes
    ]
    tests = " ".join(sorted({test for _, named, _, _ in jobs for test in named.split()}))
    if run("tree", tests, "", "").said == "caught":
        print("error: these tests fail with nothing broken; mend that first", file=sys.stderr)
        return 1
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda job: run(*job), jobs))
    for result in results:
        print(
            f"{result.said:<9} {result.module:<16} {result.old.strip().splitlines()[0][:44]:<45} -> {result.new.strip().partition(chr(10))[0][:30]}"
        )
    bad = [result for result in results if result.said != "caught"]
    print(f"mutants: {len(results)}, {len(results) - len(bad)} caught")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
