# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What needs torch: `make test-torch` has an environment with it, and `make test` has none."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # same_value.py and its like

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]
