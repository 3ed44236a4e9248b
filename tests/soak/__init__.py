# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Random operations by several processes, engines and clients killed meanwhile, against a model."""
