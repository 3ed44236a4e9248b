#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Compares this checkout's build with another. BASE is a commit: it is checked out and built below
# build/bench/base/, and both are measured in turn, in one run. Or BASE is a result.json: the newest
# result of `make bench` is compared with it, and nothing is measured.
# Usage: compare_benchmarks.sh BASE [ARGUMENT OF side_by_side]…
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD/benchmarks"
readonly out=build/bench
base="${1:-}"
shift || true

if [[ -z $base ]]; then
  echo "bench-compare: say BASE=<commit>, or BASE=<a result.json of before>" >&2
  exit 2
fi
if [[ $base == *.json ]]; then
  if [[ ! -f $base ]]; then
    echo "bench-compare: there is no $base" >&2
    exit 2
  fi
  if [[ ! -f $out/result.json ]]; then
    echo "bench-compare: there is no $out/result.json to compare: \`make bench\` makes it" >&2
    exit 2
  fi
  exec .venv/bin/python -m side_by_side.compare "$base" "$out/result.json"
fi

commit="$(git rev-parse --verify --quiet "$base^{commit}")" || {
  echo "bench-compare: '$base' is no commit of this repository" >&2
  exit 2
}
readonly tree="$out/base/${commit:0:10}"
git worktree prune
if [[ ! -d $tree ]]; then
  git worktree add -q --detach "$tree" "$commit"
fi
echo "bench-compare: building ${commit:0:10} in $tree"
make -C "$tree" build
.venv/bin/python -m side_by_side --systems ours --against "$tree" --out "$out/compare.json" "$@" \
  >/dev/null
.venv/bin/python -m side_by_side.compare "$out/compare.json" | tee "$out/compare.md"
