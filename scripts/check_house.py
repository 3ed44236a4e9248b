#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Checks what every file must keep to: a licence header, and words that only mean something elsewhere.

Usage: check_house.py [ROOT]. Prints one line for each complaint, then which files have grown long;
exits 1 if there were complaints.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# What must not stand in the tree, and why.
FORBIDDEN = [
    (
        re.compile(r"\b(pypi|pythonhosted|debian|ubuntu|npmjs|crates|maven|conda)\.(org|io|com)\b"),
        "a package registry's host: whoever builds has registries of their own",
    ),
    (
        re.compile(r"(?<![\w.~$}])/(work|root|home/[a-z]+)/"),
        "a path of somebody's machine",
    ),
    (
        re.compile(r"\bissues? ?(#|no\.? ?)?\d|\(#\d+\)", re.IGNORECASE),
        "a number of a tracker: say it here, or in docs/design/",
    ),
    (
        re.compile(r"(?<![\w-])(\.\./)?shared/(design|style|reference|probes|hooks)"),
        "a file that is not in this tree",
    ),
]

# Files that show the forbidden to whoever checks for it.
EXEMPT = {"scripts/check_house.py", "LICENSE"}

SOURCE_SUFFIXES = {".h", ".cc", ".py", ".pyi", ".sh", ".fbs", ".js", ".css"}
OTHERS = "/vendor/"  # files of others, as they published them
HEADER = ("SPDX-License-Identifier: Apache-2.0", "Copyright The Vineyard Authors.")

LONG = 500  # lines; asks whether a file has become two


def tracked(root: Path) -> list[Path]:
    """The files that git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / name for name in sorted(set(listing.split("\0"))) if (root / name).is_file()]


def check_text(name: str, text: str) -> Iterator[str]:
    lines = text.splitlines()
    if name not in EXEMPT:
        for number, line in enumerate(lines, 1):
            for pattern, why in FORBIDDEN:
                if match := pattern.search(line):
                    yield f"{name}:{number}: '{match[0]}' is {why}"
    if Path(name).suffix in SOURCE_SUFFIXES and OTHERS not in name and lines:
        top = "\n".join(lines[:4])
        for line in HEADER:
            if line not in top:
                yield f"{name}:1: the header lacks the line '{line}'"
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                yield f"{name}:{number}: space at the end of the line"
            if "\t" in line:
                yield f"{name}:{number}: a tab"
        if not text.endswith("\n"):
            yield f"{name}:{len(lines)}: no newline at the end"


def main(argv: list[str]) -> int:
    root = Path(argv[1] if len(argv) > 1 else Path(__file__).parent.parent).resolve()
    complaints: list[str] = []
    sizes: list[tuple[int, str]] = []
    for path in tracked(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, or an example of bytes
        name = str(path.relative_to(root))
        complaints += check_text(name, text)
        if path.suffix in SOURCE_SUFFIXES:
            sizes.append((text.count("\n"), name))
    for complaint in complaints:
        print(complaint)
    total = sum(size for size, _ in sizes)
    print(f"house: {len(sizes)} sources, {total} lines, {len(complaints)} complaints")
    for size, name in sorted(sizes, reverse=True):
        if size > LONG:
            print(f"house: {name} has {size} lines: is it two files?")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
