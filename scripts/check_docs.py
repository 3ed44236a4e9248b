#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Checks that the Markdown files render: links and anchors lead somewhere, images are there, tables
have as many cells in each row, code fences are closed, those of Python compile, and a link that names a test
leads to the file that has it.

Usage: check_docs.py [ROOT]. Prints one line for each mistake, and exits 1.
"""

import ast
import doctest
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)"
)  # of images too, which may stand in links
REFERENCE = re.compile(r"^ {0,3}\[[^\]^]+\]:\s*<?([^\s>]+)")
TAG = re.compile(r"<(?:img|a)\b[^>]*\b(?:src|href)=[\"']([^\"']+)")
TEST = re.compile(r"\[`(\w+)\.(\w+)`\]\(([^)\s#]+)\)")  # [`Suite.Name`](file)
ANCHOR = re.compile(r"<a\b[^>]*\b(?:id|name)=[\"']([^\"']+)")
FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*([\w+-]*)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
CODE = re.compile(r"(`+)(?:(?!\1).)+?\1")
SEPARATOR = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")


class Page:
    """One file: its lines outside of fences, and its fences."""

    def __init__(self, text: str) -> None:
        self.lines: list[tuple[int, str]] = []
        self.fences: list[tuple[int, str, str]] = []  # line, language, text
        self.open_fence = 0
        mark, indent, body = "", 0, []
        for number, line in enumerate(text.splitlines(), 1):
            fence = FENCE.match(line)
            if not mark and fence:
                mark, language, indent, body = fence[2], fence[3], len(fence[1]), []
                self.open_fence = number
            elif mark and line.strip().startswith(mark) and set(line.strip()) == {mark[0]}:
                self.fences.append((self.open_fence, language, "\n".join(body)))
                mark, self.open_fence = "", 0
            elif mark:
                body.append(line[indent:] if line[:indent].isspace() else line)
            else:
                self.lines.append((number, line))

    def anchors(self) -> set[str]:
        """What links may name, as GitHub makes it of headings."""
        found: Counter[str] = Counter()
        names = set()
        for _, line in self.lines:
            names |= set(ANCHOR.findall(line))
            if heading := HEADING.match(line):
                text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
                slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
                names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
                found[slug] += 1
        return names


def check_page(root: Path, path: Path, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    where = path.relative_to(root)
    if page.open_fence:
        yield f"{where}:{page.open_fence}: this fence is never closed"
    for number, line in page.lines:
        bare = CODE.sub("", line)
        for target in [*LINK.findall(bare), *REFERENCE.findall(bare), *TAG.findall(bare)]:
            if not re.match(r"[a-z][a-z0-9+.-]*:", target):
                for why in check_link(root, path, unquote(target), pages):
                    yield f"{where}:{number}: {why}"
        for suite, name, target in TEST.findall(line):
            if why := check_test(path.parent / unquote(target), suite, name):
                yield f"{where}:{number}: {why}"
    yield from (f"{where}:{number}: {why}" for number, why in check_tables(page))
    for number, language, text in page.fences:
        if language in ("python", "py", "pycon") and (why := check_python(text)):
            yield f"{where}:{number}: {why}"


def check_link(root: Path, path: Path, target: str, pages: dict[Path, Page]) -> Iterator[str]:
    name, _, anchor = target.partition("#")
    to = (path.parent / name).resolve() if name else path
    if not to.is_relative_to(root):
        yield f"{target!r} leads out of the repository"
    elif not to.exists():
        yield f"{target!r} leads to nothing"
    elif anchor and to in pages and anchor not in pages[to].anchors():
        yield f"{target!r}: {to.name} has no heading for it"
    elif anchor and to not in pages and not re.fullmatch(r"L\d+(-L\d+)?", anchor):
        yield f"{target!r}: {to.name} has no headings"


def check_test(file: Path, suite: str, name: str) -> str | None:
    if not re.search(r"_test\.cc$|^test_.*\.py$", file.name) or not file.is_file():
        return None
    if re.search(rf"\b{suite}, {name}\)|^def {name}\(", file.read_text(encoding="utf-8"), re.M):
        return None
    return f"{file.name} has no test {suite}.{name}"


def check_tables(page: Page) -> Iterator[tuple[int, str]]:
    before = (0, "")
    columns = 0
    for number, line in page.lines:
        if columns and line.strip() and number == before[0] + 1:
            if (cells := count_cells(line)) != columns:
                yield number, f"{cells} cells in a table of {columns}"
        elif SEPARATOR.match(line) and "|" in line and before[1].strip():
            columns = count_cells(line)
            if (cells := count_cells(before[1])) != columns:
                yield number, f"a table of {columns} columns with {cells} headings"
                columns = 0
        else:
            columns = 0
        before = (number, line)


def count_cells(line: str) -> int:
    """A bar splits cells within code too, unless it is escaped."""
    inner = re.sub(r"\\.", "", line).strip()
    return inner.removeprefix("|").removesuffix("|").count("|") + 1


def check_python(text: str) -> str | None:
    """Why it does not compile; examples with prompts are taken from between their output."""
    try:
        if ">>>" in text:
            sources = [e.source for e in doctest.DocTestParser().get_examples(text)]
        else:
            sources = [text]
        for source in sources:
            compile(source, "fence", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return f"this Python does not compile: {error}"
    return None


def markdown_files(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "--", "*.md"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [root / name for name in listed.stdout.splitlines() if (root / name).is_file()]


def main(arguments: list[str]) -> int:
    root = Path(arguments[1] if len(arguments) > 1 else Path(__file__).parents[1]).resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in markdown_files(root)}
    complaints = [c for path, page in pages.items() for c in check_page(root, path, page, pages)]
    for complaint in complaints:
        print(f"docs: {complaint}")
    fences = sum(len(page.fences) for page in pages.values())
    print(f"docs: {len(pages)} pages, {fences} fences, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
