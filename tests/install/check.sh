#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Installs a build into an empty folder, builds examples/cpp against that copy alone by
# find_package(vineyard), and runs it against the installed vineyardd.
# Usage: check.sh BUILD
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build="$1"
work="$(mktemp -d)"
daemon=''
finish() {
  [[ -z $daemon ]] || { kill "$daemon" 2>/dev/null && wait "$daemon"; } || true
  rm -rf "$work"
}
trap finish EXIT

fail() {
  echo "install: $1" >&2
  shift
  if (($#)); then cat "$@" >&2; fi
  exit 1
}

prefix="$work/prefix"
cmake --install "$build" --prefix "$prefix" >"$work/install.log" || fail "cmake --install" "$work/install.log"
for file in bin/vineyardd bin/vineyardctl include/vineyard/vineyard.h lib/systemd/system/vineyardd.service; do
  [[ -f $prefix/$file ]] || fail "$file was not installed"
done
for header in "$prefix"/include/*; do
  [[ $(basename "$header") == vineyard ]] || fail "$header was installed beside include/vineyard"
done

cmake -S examples/cpp -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
  cmake --build "$work/build" >>"$work/log" 2>&1 || fail "examples/cpp does not build" "$work/log"

socket="$work/vineyard.sock"
"$prefix/bin/vineyardd" --socket "$socket" --size 64Mi >"$work/vineyardd.log" 2>&1 &
daemon=$!
# The examples wait for the instance themselves.
for example in hello typed_values; do
  timeout 60 "$work/build/$example" "$socket" || fail "the example $example failed" "$work/vineyardd.log"
done
kill "$daemon"
wait "$daemon" || fail "vineyardd did not end cleanly" "$work/vineyardd.log"
daemon=''
[[ ! -e $socket ]] || fail "vineyardd left its socket"
echo "install: an installed copy builds and runs examples/cpp: 2 passed, 0 failed"
