# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Starting instances. `local`: on this machine."""

from vineyard.deploy import local

__all__ = ["local"]
