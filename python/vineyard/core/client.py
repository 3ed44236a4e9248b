# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""`vineyard.Client`, under an older name."""

from vineyard.client import Client
from vineyard.connecting import connect, get, put

__all__ = ["Client", "connect", "get", "put"]
