# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The house check: each rule broken once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check_house

HEADER = "// SPDX-License-Identifier: Apache-2.0\n// Copyright The Vineyard Authors.\n"


def complaints(name, text):
    return list(check_house.check_text(name, text))


def test_a_good_file_has_no_complaints():
    assert complaints("src/a.cc", HEADER + "int a;\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "see pypi" + ".org",  # in two parts: this file is looked through as well
        "http://deb.debian" + ".org/",
        "in /" + "work/main/x",
        "in /" + "root/x",
        "as issue" + " #3 says",
        "issue" + " 12",
        "fixed (" + "#4)",
        "shared" + "/design.md",
        "../shared" + "/style.md",
    ],
)
def test_a_word_from_elsewhere_is_named(line):
    (found,) = complaints("docs/a.md", f"one\n{line}\n")
    assert found.startswith("docs/a.md:2: ")


@pytest.mark.parametrize(
    "line",
    [
        "${PREFIX}/" + "work/x",
        "a networking.framework/root",
        "the shared/private choice",
        "issues a call",
    ],
)
def test_an_innocent_word_is_not(line):
    assert complaints("docs/a.md", line + "\n") == []


def test_a_source_needs_its_two_header_lines():
    assert len(complaints("src/a.h", "#pragma once\n")) == 2
    assert complaints("docs/a.md", "text\n") == []


def test_layout_of_lines():
    assert len(complaints("src/a.cc", HEADER + "int a; \n")) == 1
    assert len(complaints("src/a.cc", HEADER + "\tint a;\n")) == 1
    assert len(complaints("src/a.cc", HEADER + "int a;")) == 1
