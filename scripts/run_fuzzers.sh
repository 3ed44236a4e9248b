#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs each fuzzer of a build for SECONDS, starting from its corpus in tests/fuzz/corpus/NAME. What
# it learns goes to BUILD/corpus/NAME, a finding to BUILD/findings/.
# Usage: run_fuzzers.sh BUILD SECONDS
set -euo pipefail

build="$1"
seconds="$2"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

shopt -s nullglob
fuzzers=("$build"/fuzzers/*)
if ((${#fuzzers[@]} == 0)); then
  echo "error: no fuzzers in $build/fuzzers" >&2
  exit 1
fi
failed=0
for fuzzer in "${fuzzers[@]}"; do
  name="$(basename "$fuzzer")"
  learned="$build/corpus/$name"
  mkdir -p "$learned" "$build/findings"
  seeds=()
  [[ -d $root/tests/fuzz/corpus/$name ]] && seeds=("$root/tests/fuzz/corpus/$name")
  echo "fuzz: $name for $seconds s"
  log="$build/$name.log"
  if ! "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$name-" "$learned" "${seeds[@]}" >"$log" 2>&1; then
    failed=1
    tail -n 60 "$log"
    echo "fuzz: $name FAILED; the input is in $build/findings/"
  else
    grep -E 'number_of_executed_units|DONE' "$log" | tr '\n' ' '
    echo
  fi
done
exit "$failed"
