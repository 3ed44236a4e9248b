# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What runs and measures the pipeline; the pipeline itself is in the step scripts beside it."""
