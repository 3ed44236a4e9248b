# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Ways of working beside one another, with vineyard and without: not systems, but how one is used."""

from __future__ import annotations

from side_by_side.ways import pipeline, work

COMPARISONS = (work.COMPARISON, pipeline.COMPARISON)
