# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Any array, index, series and frame of pandas comes back the same, without pickle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas_strategies import KINDS, frames, indexes, series
from same_value import assert_kept


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_arrays_are_kept(kind, data):
    assert_kept(data.draw(st.integers(0, 9).flatmap(kind)))


@given(st.integers(0, 7).flatmap(indexes))
def test_indexes_are_kept(index):
    assert_kept(index)


@given(series())
def test_series_are_kept(value):
    assert_kept(value)


@given(frames())
def test_frames_are_kept(frame):
    assert_kept(frame)


@given(st.lists(st.one_of(series(), frames()), max_size=3))
def test_several_in_a_list_are_kept(values):
    assert_kept([*values, *values[:1]])
