# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Five nodes and the tables between them::

house_prices ─ outliers_node ─ house_prices_no_outliers ─┬─ create_target_node ─ y_train
                                                         └─ drop_cols_node ─ house_prices_drop
house_prices_drop ─┬─ fill_na_node ─ house_prices_no_na
                   └─ total_sf_node ─ house_prices_clean
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from mlops import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline."""
    return Pipeline(
        [
            Node(
                nodes.remove_outliers,
                ["house_prices", "params:outliers"],
                "house_prices_no_outliers",
                name="outliers_node",
            ),
            Node(
                nodes.create_target,
                "house_prices_no_outliers",
                "y_train",
                name="create_target_node",
            ),
            Node(
                nodes.drop_cols,
                ["house_prices_no_outliers", "params:cols_to_drop"],
                "house_prices_drop",
                name="drop_cols_node",
            ),
            Node(
                nodes.fill_na,
                ["house_prices_drop", "params:none_cols", "params:zero_cols"],
                "house_prices_no_na",
                name="fill_na_node",
            ),
            Node(
                nodes.total_sf,
                "house_prices_drop",
                "house_prices_clean",
                name="total_sf_node",
            ),
        ]
    )
