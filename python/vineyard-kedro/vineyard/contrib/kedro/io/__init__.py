# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Datasets."""

from vineyard.contrib.kedro.io.dataset import VineyardDataSet, VineyardDataset

__all__ = ["VineyardDataSet", "VineyardDataset"]
