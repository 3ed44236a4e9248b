#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the Kedro project of examples/kedro/mlops in three ways, and leaves build/bench/kedro.json, kedro.md and
# kedro.svg. Makes first what that needs, below build/: an environment with Kedro, and an S3 server.
# Usage: bench_kedro.sh [ARGUMENT OF kedro_ways]…
#        bench_kedro.sh --prepare      makes what is needed, and runs nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD/benchmarks"
readonly out=build/bench python=.venv/bin/python

# The S3 server, the oldest Go that compiles it, and the one that is fetched where the machine's is older.
readonly server=github.com/versity/versitygw/cmd/versitygw@v1.8.0
readonly oldest=1.25 newer=1.26.8
readonly place="$PWD/build/kedro"

# go_is_new_enough GO: is this program a Go of $oldest or later?
go_is_new_enough() {
  local version
  version="$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null)" || return 1
  [[ "$(printf '%s\n' "$oldest" "${version#go}" | sort -V | head -n 1)" == "$oldest" ]]
}

# Prints the Go to compile with. A newer one than the machine's comes as a module, which any Go can fetch.
find_go() {
  local go machine folder
  go="$(command -v go)" || {
    echo "error: there is no go, which builds the S3 server: scripts/setup.sh s3 installs it" >&2
    return 1
  }
  if go_is_new_enough "$go"; then
    echo "$go"
    return
  fi
  machine="$(go env GOOS)-$(go env GOARCH)"
  printf 'setup: fetching   %-26s %s\n' "Go $newer" \
    "the S3 server needs $oldest, and $("$go" version | cut -d' ' -f3) is here" >&2
  folder="$(go mod download -json "golang.org/toolchain@v0.0.1-go$newer.$machine" |
    sed -nE 's/^\s*"Dir": "(.*)",?$/\1/p')"
  [[ -d $folder ]] || {
    echo "error: Go $newer could not be fetched; put a Go of $oldest or later into the path" >&2
    return 1
  }
  chmod +x "$folder"/bin/* "$folder"/pkg/tool/*/*  # a module's files are no programs
  echo "$folder/bin/go"
}

build_server() {
  if [[ -x $place/bin/versitygw && $(cat "$place/.server" 2>/dev/null) == "$server" ]]; then return; fi
  local go
  # All that is fetched and compiled on the way goes again. Modules could not be removed without -modcacherw.
  rm -rf "$place/go"
  mkdir -p "$place"
  export GOPATH="$place/go" GOMODCACHE="$place/go/mod" GOCACHE="$place/go/cache" GOBIN="$place/bin"
  export GOFLAGS=-modcacherw GO111MODULE=on GOTOOLCHAIN=local CGO_ENABLED=0
  go="$(find_go)"
  printf 'setup: building   %-26s %s\n' versitygw "the S3 server of the benchmark, a few minutes"
  (cd "$place" && env -u GOROOT "$go" install "$server") >"$place/build.log" 2>&1 || {
    tail -n 20 "$place/build.log" >&2
    echo "error: $server could not be built (whole output: $place/build.log)" >&2
    return 1
  }
  rm -rf "$place/go" "$place/build.log"
  echo "$server" >"$place/.server"
}

build_server
"$python" -m kedro_ways.environment
[[ ${1:-} != --prepare ]] || exit 0

"$python" -m kedro_ways --out "$out/kedro.json" "$@"
if picture="$("$python" -m side_by_side.environments picture)"; then
  "$picture" -m kedro_ways.picture "$out/kedro.json" "$out/kedro.svg" || echo "bench: no picture" >&2
fi
echo
echo "bench: the figures are in $out/kedro.json, the tables in $out/kedro.md, the picture in $out/kedro.svg"
