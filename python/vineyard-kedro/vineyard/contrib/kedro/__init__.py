# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Kedro: what one node hands to another goes through vineyard, also from process to process.

Installing is enough: the hooks of `plugins.hook` are found by Kedro, and `kedro vineyard` has the commands. A catalog
may name `VineyardDataset` itself.

>>> from vineyard.contrib.kedro import VineyardDataset
>>> VineyardDataset("prices")
vineyard.contrib.kedro.io.dataset.VineyardDataset(name='prices')
"""

from vineyard.contrib.kedro import versions

versions.check()

from vineyard.contrib.kedro.io.dataset import VineyardDataset  # noqa: E402  (the check says more than its error)

__all__ = ["VineyardDataset"]
