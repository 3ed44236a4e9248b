# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Starting instances in Kubernetes, which needs a cluster."""

from __future__ import annotations

from typing import Any, NoReturn

from vineyard.errors import NeedsClusterException


def start_vineyardd(*args: Any, **kwargs: Any) -> NoReturn:
    """Needs a cluster; `vineyard.deploy.local.start_vineyardd` starts an instance on this machine."""
    raise NeedsClusterException(
        "starting instances in Kubernetes needs a cluster: vineyard.deploy.local starts one on this machine"
    )


def delete_kubernetes_objects(*args: Any, **kwargs: Any) -> NoReturn:
    """Needs a cluster."""
    raise NeedsClusterException(
        "delete_kubernetes_objects() needs a cluster: there is one instance"
    )
