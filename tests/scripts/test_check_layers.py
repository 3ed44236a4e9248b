# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The layer check: each rule broken once, in a tree made for it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check_layers


@pytest.fixture
def tree(tmp_path):
    """Writes files into an empty tree: {path: text}."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_this_tree_keeps_to_its_layers():
    assert check_layers.check(Path(__file__).parents[2]) == []


def test_a_folder_includes_itself_and_the_ones_before_it(tree):
    root = tree(
        {
            "include/vineyard/ids.h": "#include <string>\n",
            "src/base/size.h": '#include "vineyard/ids.h"\n',
            "src/store/volume.cc": '#include "base/size.h"\n#include "store/arena.h"\n',
        }
    )
    assert check_layers.check(root) == []


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("src/base/size.h", '#include "os/fd.h"', "base/ must not include os/"),
        ("src/wire/frame.cc", '#include "layout/record.h"', "wire/ must not include layout/"),
        ("src/spill/place.cc", '#include "layout/record.h"', "spill/ must not include layout/"),
        ("src/client/client.cc", '#include "store/volume.h"', "client/ must not include store/"),
        ("src/cli/main.cc", '  # include "daemon/config.h"', "cli/ must not include daemon/"),
        ("src/daemon/main.cc", '#include "client/client.h"', "daemon/ must not include client/"),
        ("include/vineyard/blob.h", '#include "base/size.h"', "include/ must not include src/"),
        ("python/bindings/core.cc", '#include "client/client.h"', "use include/vineyard only"),
        ("src/layout/record.h", "#include <sys/mman.h>", "only src/os/ calls the kernel"),
        ("src/cli/main.cc", "#include <unistd.h>", "only src/os/ calls the kernel"),
        ("include/vineyard/blob.h", "#include <fcntl.h>", "only src/os/ calls the kernel"),
        ("src/misc/x.h", "", "no layer"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(tree, name, line, complaint):
    (found,) = check_layers.check(tree({name: f"#pragma once\n{line}\n"}))
    assert found.startswith(name)
    assert complaint in found


def test_a_header_is_named_from_the_root(tree):
    root = tree({"src/base/a.h": "", "src/base/b.h": '#include "a.h"\n'})
    assert check_layers.check(root) == [
        'src/base/b.h:1: write "base/a.h", from the root of the tree'
    ]


def test_os_and_tests_may_call_the_kernel(tree):
    root = tree(
        {
            "src/os/fd.cc": "#include <unistd.h>\n#include <sys/mman.h>\n",
            "src/store/volume_test.cc": "#include <unistd.h>\n",
        }
    )
    assert check_layers.check(root) == []
