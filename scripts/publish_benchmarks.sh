#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Puts the newest result of `make bench` into docs/performance.md, and its picture into docs/images/.
# Usage: publish_benchmarks.sh [RESULT.json]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD/benchmarks"
readonly result="${1:-build/bench/result.json}"

.venv/bin/python -m side_by_side.document "$result" docs/performance.md
picture="$(.venv/bin/python -m side_by_side.environments picture)"
"$picture" -m side_by_side.picture "$result" docs/images/performance.svg
