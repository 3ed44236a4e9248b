# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values that may be written to: nobody else sees what is written."""

import numpy as np
import pandas as pd
import pytest

WAYS = [{"copy": True}, {"writable": True}]
SIZES = [10, 100_000]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_arrays(client, way, size):
    ref = client.put({"a": np.arange(size), "b": [np.zeros(size)]})
    mine = client.get(ref, **way)
    mine["a"][:] = -1
    mine["b"][0][3] = 7
    again = client.get(ref, **way)
    for stored in (client.get(ref), again):
        assert np.array_equal(stored["a"], np.arange(size))
        assert not stored["b"][0].any()
    assert not client.get(ref)["a"].flags.writeable
    assert mine["a"][0] == -1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_data_frames(client, way, size):
    frame = pd.DataFrame({"x": np.arange(float(size)), "y": range(size), "s": ["a"] * size})
    ref = client.put(frame)
    mine = client.get(ref, **way)
    mine.loc[0, "x"] = 5.0
    mine["y"] += 1
    mine.iloc[1, 0] = 6.0
    pd.testing.assert_frame_equal(client.get(ref), frame)


@pytest.mark.parametrize("way", WAYS)
def test_blobs_and_bytes(client, name, way):
    builder = client.create_blob(300_000)
    builder.copy(0, b"abc")
    sealed = builder.seal(client)
    view = client.get(sealed.id, **way)
    view[0] = ord("x")
    assert bytes(view[:3]) == b"xbc"
    assert bytes(client.get(sealed.id)[:3]) == b"abc"
    assert client.get(client.put(b"abc"), **way) == b"abc"


@pytest.mark.parametrize("way", WAYS)
def test_by_name_and_after_it_is_deleted(client, name, way):
    client.put(np.arange(100_000), name=name)
    mine = client.get(name=name, **way)
    client.drop_name(name)
    mine[0] = 5
    assert mine[:2].tolist() == [5, 1]


@pytest.mark.parametrize("way", WAYS)
def test_arrays_of_objects(client, way):
    ref = client.put(np.array([1, "a", None], object))
    mine = client.get(ref, **way)
    mine[0] = 2
    assert mine.tolist() == [2, "a", None]
    assert client.get(ref).tolist() == [1, "a", None]
