#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs all benchmarks: the C++ programs and the side-by-side driver, whose arguments these are. Leaves
# build/bench/result.json, result.md and performance.svg.
# Usage: run_benchmarks.sh [ARGUMENT OF side_by_side]…
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD/benchmarks"
readonly out=build/bench

.venv/bin/python -m side_by_side --programs build/release/benchmarks --profile \
  --out "$out/result.json" "$@"
if picture="$(.venv/bin/python -m side_by_side.environments picture)"; then
  "$picture" -m side_by_side.picture "$out/result.json" "$out/performance.svg" ||
    echo "bench: no picture" >&2
fi
echo
echo "bench: the figures are in $out/result.json, the table in $out/result.md, the picture in" \
  "$out/performance.svg"
echo "bench: scripts/publish_benchmarks.sh puts them into docs/performance.md and docs/images/"
