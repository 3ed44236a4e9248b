# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""House prices in five steps: a Kedro project that hands its tables over in several ways."""

__version__ = "1.0.0"
