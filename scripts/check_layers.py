#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Checks the layers of ARCHITECTURE.md: who includes whom, and who talks to the kernel.

Usage: check_layers.py [ROOT]. Prints one line for each include that breaks a rule, and exits 1.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# A folder of src/ includes only itself and folders before it ...
ORDER = [
    "base",
    "os",
    "wire",
    "layout",
    "spill",
    "store",
    "daemon",
    "client",
    "types",
    "cli",
    "http",
]

# ... and never these: a program that uses the store knows nothing of how the instance is built, and
# what lies on disk nothing of what it describes.
NEVER = {
    "client": {"spill", "store", "daemon"},
    "types": {"spill", "store", "daemon"},
    "cli": {"spill", "store", "daemon"},
    "http": {"layout", "spill", "store", "daemon", "types", "cli"},
    "spill": {"wire", "layout"},
}

# Headers of the kernel and of POSIX. Only src/os/ calls the kernel; tests may do as they like.
# <sys/types.h> has no calls, only the names of types.
KERNEL_HEADER = re.compile(
    r"(sys/(?!types\.h)|linux/|asm/|arpa/|netinet/|net/).*|"
    r"(aio|dirent|dlfcn|fcntl|ftw|glob|grp|mqueue|netdb|poll|pthread|pwd|sched|semaphore|signal|"
    r"spawn|syslog|termios|ucontext|unistd)\.h"
)

# (path, header) pairs that may stand outside src/os/, each with its reason.
ALLOWED_KERNEL_HEADERS: dict[tuple[str, str], str] = {
    ("src/daemon/keeper.cc", "poll.h"): "the keeper is one thread around poll(), and no more",
    ("src/http/server.cc", "poll.h"): "so is the server of HTTP",
}

# (path, header) pairs that may reach into a later folder, each with its reason.
ALLOWED_INCLUDES: dict[tuple[str, str], str] = {
    ("src/daemon/main.cc", "http/serve.h"): "vineyardd is all processes of an instance",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SUFFIXES = {".h", ".cc", ".inc"}


def is_test(path: Path) -> bool:
    """Tests stand beside the code, and may look at the kernel themselves."""
    return bool(re.search(r"^(test|fake)_|_(test|benchmark|fuzz)$", path.stem))


def includes(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(line number, header, written in angle brackets) for each include of the file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[2], match[1] == "<"


def may_include(folder: str, other: str) -> bool:
    if other in NEVER.get(folder, ()):
        return False
    return ORDER.index(other) <= ORDER.index(folder)


def check_file(root: Path, path: Path) -> Iterator[str]:
    relative = path.relative_to(root)
    where = relative.parts[0]
    folder = relative.parts[1] if where == "src" and len(relative.parts) > 2 else ""
    if where == "src" and folder not in ORDER:
        yield f"{relative}: no layer; the folders of src/ are {', '.join(ORDER)}"
        return
    for number, header, system in includes(path):
        place = f"{relative}:{number}"
        other = header.split("/")[0] if "/" in header and not system else ""
        ours = (root / "src" / header).is_file() or other in ORDER
        if ours and where == "include":
            yield f"{place}: include/ must not include src/ ({header})"
        elif ours and where == "python":
            yield f"{place}: the bindings use include/vineyard only ({header})"
        elif (
            ours
            and other
            and not may_include(folder, other)
            and (str(relative), header) not in ALLOWED_INCLUDES
        ):
            yield f"{place}: {folder}/ must not include {other}/ ({header})"
        if folder and not system and "/" not in header and (path.parent / header).is_file():
            yield f'{place}: write "{folder}/{header}", from the root of the tree'
        if (
            KERNEL_HEADER.fullmatch(header)
            and folder != "os"
            and not is_test(path)
            and (str(relative), header) not in ALLOWED_KERNEL_HEADERS
        ):
            yield f"{place}: only src/os/ calls the kernel (<{header}>)"


def sources(root: Path) -> list[Path]:
    found = []
    for top in ("include", "src", "python/bindings"):
        found += [p for p in (root / top).rglob("*") if p.suffix in SUFFIXES]
    return sorted(found)


def check(root: Path) -> list[str]:
    return [complaint for path in sources(root) for complaint in check_file(root, path)]


def main(argv: list[str]) -> int:
    root = Path(argv[1] if len(argv) > 1 else Path(__file__).parent.parent).resolve()
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    if not complaints:
        print(f"layers: {len(sources(root))} files keep to them")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
