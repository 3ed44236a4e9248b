#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs each fuzzer of a build for SECONDS, AT_ONCE of them at a time (2), starting from what is in
# BUILD/corpus/NAME: what the build has put there (tests/fuzz/make_corpus), and what earlier runs have
# learned. What it learns goes there too, a finding to BUILD/findings/. Ends with a line for each.
# FUZZERS="a_fuzz b_fuzz" runs these alone.
# Usage: run_fuzzers.sh BUILD SECONDS [AT_ONCE]
set -euo pipefail

build="$1"
seconds="$2"
at_once="${3:-2}"
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

shopt -s nullglob
names=()
for fuzzer in "$build"/fuzzers/*; do
  name="$(basename "$fuzzer")"
  [[ -z ${FUZZERS:-} || " $FUZZERS " == *" $name "* ]] && names+=("$name")
done
if ((${#names[@]} == 0)); then
  echo "error: no fuzzers in $build/fuzzers${FUZZERS:+ of the names '$FUZZERS'}" >&2
  exit 1
fi

run() {
  local name="$1" learned="$build/corpus/$1"
  mkdir -p "$learned" "$build/findings"
  rm -f "$build/$name.failed"
  "$build/fuzzers/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$build/findings/$name-" "$learned" \
    >"$build/$name.log" 2>&1 || touch "$build/$name.failed"
}

echo "fuzz: ${#names[@]} fuzzers for $seconds s each, $at_once at a time"
for name in "${names[@]}"; do
  while (($(jobs -rp | wc -l) >= at_once)); do wait -n; done
  run "$name" &
done
wait

# figure NAME PATTERN: the number behind the last line that has it
figure() { sed -nE "s/$2/\1/p" "$build/$1.log" | tail -n 1; }
failed=0
printf '%-18s %14s %12s %10s %10s\n' fuzzer inputs 'a second' reached 'peak MiB'
for name in "${names[@]}"; do
  printf '%-18s %14s %12s %10s %10s' "$name" "$(figure "$name" '^stat::number_of_executed_units: *([0-9]+).*')" \
    "$(figure "$name" '^stat::average_exec_per_sec: *([0-9]+).*')" \
    "$(figure "$name" '.* cov: ([0-9]+) .*')" "$(figure "$name" '^stat::peak_rss_mb: *([0-9]+).*')"
  if [[ -e $build/$name.failed ]]; then
    failed=1
    echo '  FAILED'
    tail -n 40 "$build/$name.log"
    echo "fuzz: $name FAILED; the input is in $build/findings/"
  else
    echo
  fi
done
exit "$failed"
