#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# What a change must pass besides the tests. All checks run, then those that failed are named.
# Usage: check.sh [JOBS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs="${1:-$(nproc)}"
python=.venv/bin/python
failed=()
checks=0

# run TITLE COMMAND…: a line with what it took; its output only if it failed.
run() {
  local title="$1" start=$SECONDS log
  shift
  ((++checks))
  log="$(mktemp)"
  if "$@" >"$log" 2>&1; then
    printf 'check: %-14s ok      %3d s  %s\n' "$title" $((SECONDS - start)) "$(tail -n 1 "$log")"
  else
    printf 'check: %-14s FAILED  %3d s\n' "$title" $((SECONDS - start))
    cat "$log"
    failed+=("$title")
  fi
  rm -f "$log"
}

cpp_files() { git ls-files -co --exclude-standard -- '*.h' '*.cc'; }

format_cpp() { cpp_files | xargs clang-format-19 --dry-run --Werror; }

thread_safety() {
  cmake -Wno-dev --log-level=WARNING --preset tidy >/dev/null
  cmake --build --preset tidy -j "$jobs" | grep -v '^\[[0-9]*/[0-9]*\] [BL]' || return "${PIPESTATUS[0]}"
}

tidy() {
  run-clang-tidy-19 -quiet -p build/tidy -j "$jobs" "$PWD/src/.*(?<!_test)\.cc$" 2>/dev/null |
    grep -vE '^(clang-tidy-19|\[ *[0-9]+/[0-9]+\]|[0-9]+ warnings generated)' ||
    return "${PIPESTATUS[0]}"
}

run "layers" "$python" scripts/check_layers.py
run "house" "$python" scripts/check_house.py
run "documents" "$python" scripts/check_docs.py
run "format C++" format_cpp
run "format Python" "$python" -m ruff format --check .
run "lint Python" "$python" -m ruff check .
run "types Python" "$python" -m mypy
run "types Kedro" scripts/test_kedro.sh types
run "thread safety" thread_safety
run "clang-tidy" tidy

if ((${#failed[@]})); then
  echo "check: ${#failed[@]} of $checks failed: ${failed[*]}  (make format mends the format)"
  exit 1
fi
echo "check: all passed"
