# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""docs/formats/values.md shows what is written, by Python and by C++; docs/guides/cpp.md, what is compiled."""

import json
import re
from pathlib import Path

import numpy
import pyarrow
import pytest
from vineyard.codecs import encode

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "formats" / "values.md"


def _block(kind, name):
    (text,) = re.findall(rf"```{kind} {name}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return text


@pytest.mark.parametrize("name", ["tensor", "table"])
def test_the_values_page_shows_what_both_write(client, bridge, name):
    value = eval(_block("python", name), {"numpy": numpy, "pyarrow": pyarrow})
    expected = json.loads(_block("json", name))
    buffers = [bytes.fromhex(line) for line in _block("hex", name).splitlines()]
    _, metadata, given, _ = encode(value)
    assert json.loads(metadata) == expected
    assert [bytes(memoryview(b).cast("B")) for b in given] == buffers
    made = bridge.put_tensor(value) if name == "tensor" else bridge.put(value)
    meta = client.get_meta(made)
    stored = {key: meta[key] for key in expected}
    texts = {
        k: json.loads(v) if isinstance(expected[k], (list, dict)) else v for k, v in stored.items()
    }
    assert texts == expected
    assert meta.nbytes == sum(map(len, buffers))


def test_the_guides_code_stands_in_an_example_that_is_built():
    guide = (ROOT / "docs" / "guides" / "cpp.md").read_text()
    example = (ROOT / "examples" / "cpp" / "typed_values.cc").read_text()
    blocks = re.findall(r"```cpp\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        assert block in example
