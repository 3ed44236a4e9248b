# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Makes the benchmarks' driver importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
