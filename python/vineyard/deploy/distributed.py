# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Starting instances on several hosts, which needs a cluster."""

from __future__ import annotations

from typing import Any, NoReturn

from vineyard.errors import NeedsClusterException


def start_vineyardd(*args: Any, **kwargs: Any) -> NoReturn:
    """Needs a cluster; `vineyard.deploy.local.start_vineyardd` starts an instance on this machine."""
    raise NeedsClusterException(
        "starting instances on several hosts needs a cluster: vineyard.deploy.local starts one on this machine"
    )
