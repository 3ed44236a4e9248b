# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The pipelines of the project: there is one."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from mlops.pipeline import create_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Return the pipelines by name; Kedro asks for them."""
    return {"__default__": create_pipeline()}
