# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Types of other installed packages bring codecs of their own."""

import textwrap

import pytest

USE = """
import sys
import numpy as np
import vineyard
from vineyard.codecs import decode, encode

assert "in_vineyard" not in sys.modules
parts = encode([1, 2], pickle=False)
assert "geometry" not in sys.modules
if sys.argv[1] == "write":
    from geometry import Point
    assert "in_vineyard" not in sys.modules
    value = {"p": [Point(1, np.arange(3.0))]}
    typename, metadata, buffers, members = encode(value, pickle=False)
    print(metadata)
    print(bytes(buffers[0]).hex())
else:
    back = decode("vineyard::Dict", sys.argv[2], [bytes.fromhex(sys.argv[3])], pickle=False)["p"][0]
    assert type(back).__name__ == "Point"
    print(back.x, back.y)
"""


@pytest.fixture
def package(tmp_path):
    """A folder with an installed package whose types have codecs."""
    (tmp_path / "geometry.py").write_text(
        textwrap.dedent(
            """
            class Point:
                def __init__(self, x, y):
                    self.x, self.y = x, y
            """
        )
    )
    (tmp_path / "in_vineyard.py").write_text(
        textwrap.dedent(
            """
            from geometry import Point
            from vineyard.codecs.tree import decodes, encodes

            @encodes(Point)
            def _encode(encoder, value):
                return {"codec": "geometry.point", "x": value.x, "y": encoder.node(value.y)}

            @decodes("geometry.point")
            def _decode(decoder, node):
                return Point(decoder.need_int(node, "x"), decoder.value(node["y"]))
            """
        )
    )
    info = tmp_path / "geometry-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: geometry\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vineyard.codecs]\ngeometry = in_vineyard\n")
    return str(tmp_path)


def test_a_package_brings_codecs_by_an_entry_point(package, python):
    written = python(USE, "write", PYTHONPATH=package).stdout.splitlines()
    assert '"codec":"geometry.point"' in written[0]
    read = python(USE, "read", *written, PYTHONPATH=package)
    assert read.stdout == "1 [0. 1. 2.]\n"


def test_without_the_package_its_values_can_not_be_read(package, python):
    written = python(USE, "write", PYTHONPATH=package).stdout.splitlines()
    failed = python(USE, "read", *written, check=False)
    assert "UnknownLayoutException" in failed.stderr
    assert "geometry.point" in failed.stderr
