# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The fuzzer of the codecs runs, says the same each time, and would see a read outside of a buffer."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FUZZER = HERE / "fuzz_codecs.py"


def _run(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_some_hundred_lies_are_errors_or_values():
    done = _run(FUZZER, "--seed", 1, "--case", 0, "--count", 500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_case_is_the_same_each_time():
    first, second = (_run(FUZZER, "--seed", 5, "--case", 77) for _ in range(2))
    assert first.stdout == second.stdout
    assert first.stdout.count("\n") == 3


def test_a_read_outside_of_a_buffer_ends_the_process():
    program = """if True:
        import ctypes, numpy, sys
        sys.path.insert(0, sys.argv[1])
        from fuzz_codecs import guarded
        at_end, offset = sys.argv[2] == "end", int(sys.argv[3])
        view = guarded(bytes(16), at_end)
        address = numpy.frombuffer(view, "u1").ctypes.data
        print(ctypes.string_at(address + offset, 1))
    """
    for side, inside, outside in (("end", 15, 16), ("begin", 0, -1)):
        assert _run("-c", program, HERE, side, inside).returncode == 0
        assert _run("-c", program, HERE, side, outside).returncode < 0
