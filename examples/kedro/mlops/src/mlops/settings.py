# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Kedro's settings of this project; what is not here is as Kedro has it."""

from mlops.timing import TimingHook

HOOKS = (TimingHook(),)  # does nothing unless MLOPS_TIMES names a file

CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
