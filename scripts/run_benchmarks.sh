#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the C++ benchmarks of a build, then benchmarks/*.py. What they write goes to build/bench/.
# Usage: run_benchmarks.sh BUILD PYTHON
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build="$1"
python="$2"
out=build/bench
mkdir -p "$out"

shopt -s nullglob
for benchmark in "$build"/benchmarks/*; do
  [[ -f $benchmark && -x $benchmark ]] || continue
  name="$(basename "$benchmark")"
  echo "== $name"
  "$benchmark" --out="$out/$name.json"
done
for benchmark in benchmarks/*.py; do
  echo "== $(basename "$benchmark" .py)"
  "$python" "$benchmark"
done
