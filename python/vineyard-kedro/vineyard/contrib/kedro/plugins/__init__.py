# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What Kedro finds by itself: hooks and commands."""
