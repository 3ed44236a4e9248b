# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The check of the documents: each rule broken once, and the documents themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check_docs

SCRIPTS = Path(check_docs.__file__).parent


@pytest.fixture
def complaints(tmp_path):
    """What is said of a page beside another one, a folder and a picture."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "picture.png").write_bytes(b"")
    (tmp_path / "sub/other.md").write_text(
        "# Other\n\n## What `it` is: a_b [link](x)\n\n## Twice\n## Twice\n"
    )

    (tmp_path / "sub/a_test.cc").write_text("TEST_F(Suite, Holds) {}\n")
    (tmp_path / "sub/test_b.py").write_text("def holds():\n    def inner(): ...\n")

    def check(text):
        page = tmp_path / "page.md"
        page.write_text(text)
        found = {p: check_docs.Page(p.read_text()) for p in (page, tmp_path / "sub/other.md")}
        return list(check_docs.check_page(tmp_path, page, found[page], found))

    return check


@pytest.mark.parametrize(
    "text",
    [
        "# Here\n\n[a](#here) [b](sub/other.md) [c](sub/other.md#what-it-is-a_b-link) [d](sub)",
        "[e](sub/other.md#twice-1) [f](https://example.org/x#y) [g](mailto:a@b.c)",
        "![p](picture.png) <img src='picture.png'> [![q](picture.png)](sub)",
        '[h](sub/other.md "title") [i](<picture.png>)\n\n[j]: sub/other.md#twice',
        "`[no](link)` and ``[no](`link`)``\n\n```\n[no](link)\n| a\n|---|\n```",
        '<a id="mark"></a>\n\n[k](#mark)',
        "| a | b |\n|---|---|\n| 1 | `x \\| y` |\n\nno | table | here",
        "| a | b |\n|:-:|--:|\n| 1 | 2 |\ntext",
        "```python\nx = await f(...)\n```\n\n```python\n>>> for i in a:\n...     i\nnot python\n```",
        "- item\n\n  ```python\n  if x:\n      y\n  ```\n",
        "````\n```\n````",
        "~~~python\nx = 1\n~~~",
        "[`Suite.Holds`](sub/a_test.cc) [`test_b.holds`](sub/test_b.py) [`a.b`](sub/other.md)",
    ],
)
def test_what_renders_has_no_complaints(complaints, text):
    if text.endswith("\ntext"):  # a line below a table is a row of one cell
        assert len(complaints(text)) == 1
    else:
        assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("one\n\n[a](absent.md)", 3, "leads to nothing"),
        ("[a](sub/other.md#absent)", 1, "no heading"),
        ("[a](sub/other.md#twice-2)", 1, "no heading"),
        ("[a](#absent)", 1, "no heading"),
        ("[a](picture.png#part)", 1, "no headings"),
        ("[a](../../etc)", 1, "out of the repository"),
        ("![a](absent.png)", 1, "leads to nothing"),
        ("<img src='absent.png'>", 1, "leads to nothing"),
        ("[![a](absent.png)](sub)", 1, "leads to nothing"),
        ("[a]: absent.md", 1, "leads to nothing"),
        ("```\nx", 1, "never closed"),
        ("| a | b |\n|---|---|\n| 1 |", 3, "1 cells in a table of 2"),
        ("| a | b |\n|---|---|\n| 1 | `x | y` |", 3, "3 cells in a table of 2"),
        ("| a |\n|---|---|\n", 2, "2 columns with 1 headings"),
        ("text\n```python\nx = (\n```", 2, "does not compile"),
        ("```python\n>>> x = (\n```", 1, "does not compile"),
        ("```pycon\n>>> return = 1\n```", 1, "does not compile"),
        ("\n[`Suite.Hold`](sub/a_test.cc)", 2, "a_test.cc has no test Suite.Hold"),
        ("[`Suit.Holds`](sub/a_test.cc)", 1, "has no test Suit.Holds"),
        ("[`test_b.inner`](sub/test_b.py)", 1, "test_b.py has no test test_b.inner"),
    ],
)
def test_a_mistake_is_named_with_its_line(complaints, text, line, why):
    found = complaints(text)
    assert len(found) == 1, found
    assert found[0].startswith(f"page.md:{line}: ") and why in found[0]


def test_the_documents_render():
    root = SCRIPTS.parent
    if not (root / ".git").exists():
        pytest.skip("not a checkout: which files belong to it is not known")
    done = subprocess.run(
        [sys.executable, SCRIPTS / "check_docs.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
