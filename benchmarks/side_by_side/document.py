# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fills the tables of docs/performance.md from a result: what stands between two markers is replaced.

``<!-- figures: NAME … -->`` and ``<!-- end -->``, where NAME is ``facts``, ``systems``, ``programs``,
``profile``, or the title of a family of rows or of a comparison of ways.

Usage: python -m side_by_side.document RESULT.json DOCUMENT.md
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from side_by_side import table

_PLACE = re.compile(r"(<!-- figures: ([^\n]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str, result: dict[str, Any]) -> str:
    """Return the text with all its tables made anew.

    Raises
    ------
    ValueError
        A marker names nothing that there is.
    """
    return _PLACE.sub(lambda m: m[1] + "\n" + _figures(m[2], result) + "\n\n" + m[3], text)


def _figures(name: str, result: dict[str, Any]) -> str:
    if name == "facts":
        return "\n".join(table.facts(result))
    if name == "systems":
        return "\n".join(table.notes(result))
    if name == "programs":
        return "\n".join(table.programs(result))
    if name == "profile":
        return "\n".join(table.profile(result))
    lines = list(table.family(result, name))
    if not lines:
        families = ", ".join(dict.fromkeys(row["family"] for row in result["rows"]))
        raise ValueError(f"no family '{name}' in the result; there are: {families}")
    return "\n".join(lines)


def main(source: str, target: str) -> int:
    result = json.loads(Path(source).read_text())
    if result["settings"]["quick"]:
        print("document: this is a quick run: its figures say nothing", file=sys.stderr)
        return 1
    path = Path(target)
    try:
        text = fill(path.read_text(), result)
    except ValueError as error:
        print(f"document: {error}", file=sys.stderr)
        return 1
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
