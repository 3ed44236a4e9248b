# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Integrations, each from a wheel of its own: `vineyard.contrib.kedro` is that of vineyard-kedro.

Such a wheel may be installed elsewhere than this package: for one user, or from a checkout.
"""

import os
import sys

__path__ += [
    found
    for place in sys.path
    if os.path.isdir(found := os.path.join(place, "vineyard", "contrib")) and found not in __path__
]
