# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Run at the start of every Python program whose environment sets VINEYARD_ALLOCATOR (vineyard.pth).

Imports nothing then: once the program has imported numpy, `vineyard.allocating` does what the variable
asks for. A failure here must never be one of the program's.
"""

import sys
from importlib.machinery import PathFinder


class _AfterNumpy:
    """On `sys.meta_path`: acts when numpy has been imported, and leaves. Programs may have looked for
    numpy before, to know whether it is there."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "numpy":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None  # others may find it, or say that it is missing
        execute = spec.loader.exec_module

        def execute_and_enable(module):
            execute(module)
            if _AfterNumpy in sys.meta_path:
                sys.meta_path.remove(_AfterNumpy)
                _enable()

        spec.loader.exec_module = execute_and_enable
        return spec


def _enable():
    try:
        from vineyard.allocating import enable_as_environment_says
    except Exception as error:
        print(f"vineyard: VINEYARD_ALLOCATOR has no effect: {error}", file=sys.stderr)
    else:
        enable_as_environment_says()


sys.meta_path.insert(0, _AfterNumpy)
