# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Where the programs vineyardd and vineyardctl are."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

_PACKAGE = Path(__file__).absolute().parent


def find_program(name: str) -> str:
    """The path of a program: beside the package, as wheels have it; else in the build directory of
    the checkout that this package lies in; else in ``PATH``.

    Raises
    ------
    FileNotFoundError
    """
    candidates = [_PACKAGE / "bin" / name]
    checkout = _PACKAGE.parent.parent
    if (checkout / "CMakeLists.txt").is_file():
        candidates.append(checkout / "build" / "release" / "bin" / name)
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    found = shutil.which(name)
    if found is not None and not _is_script(found):
        return found
    raise FileNotFoundError(
        f"the program {name} was not found: in a checkout, 'make build' makes it"
    )


def _is_script(path: str) -> bool:
    """Whether it may be the script that a wheel installs, which would look for the program again."""
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def exec_program(name: str) -> NoReturn:
    """Becomes the program, with the arguments of this process."""
    try:
        path = find_program(name)
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    os.execv(path, [name, *sys.argv[1:]])
