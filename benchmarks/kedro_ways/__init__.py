# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The Kedro project of examples/kedro/mlops, its nodes as processes, handing over in three ways: vineyard, S3, files.

`make bench-kedro` runs it. ``ways`` says what the ways are, and starts what each needs (``s3_server``); ``project`` runs
a node, and reads how long it took; ``digests`` says in a line what a way has kept of each table; ``session`` takes the
ways in turn; ``report`` writes the tables, ``picture`` draws them.

It is not called kedro, because it would be found in place of Kedro itself.
"""
