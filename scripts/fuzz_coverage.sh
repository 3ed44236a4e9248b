#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# How many lines of what decodes bytes from elsewhere the fuzzers' inputs reach: builds the fuzzers with
# clang's coverage, runs them over their first inputs (tests/fuzz/make_corpus) and what a fuzz build has
# learned, and prints a line for each file. Fails below 95 % of all. SHOW=1 lists the lines that nothing reaches.
# Usage: fuzz_coverage.sh [FUZZ_BUILD [COVERAGE_BUILD]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

learned="${1:-build/fuzz}/corpus"
build="${2:-build/coverage}"
least=95
# Whose files are judged.
decoders=(src/wire/codec.cc src/wire/frame.cc src/layout/record.cc src/layout/index.h
  src/layout/ledger.cc src/layout/ring.cc src/layout/ring.h src/layout/stream_state.cc
  src/client/catalog_reader.cc src/store/recovery.cc src/spill/format.cc
  src/daemon/config.cc src/daemon/flags.cc src/daemon/settings.cc src/base/size.cc src/base/duration.cc src/base/glob.cc
  src/types/tree.cc src/types/utf8.cc
  src/types/arrow_type.cc src/types/arrow_type_json.cc src/types/arrow_json.cc src/types/arrow_check.cc
  src/types/table_json.cc src/types/tensor_reader.cc src/types/pandas_values.cc src/types/pandas_columns.cc
  src/http/request.cc)

cmake -Wno-dev --log-level=WARNING -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_COMPILER=clang++-19 -DVINEYARD_FUZZERS=ON -DVINEYARD_TESTS=OFF \
  -DVINEYARD_SANITIZER=address \
  -DCMAKE_CXX_FLAGS="-O1 -fprofile-instr-generate -fcoverage-mapping" >/dev/null
mapfile -t fuzzers < <(ninja -C "$build" -t targets all | sed -nE 's!^fuzzers/([a-z_]+):.*!\1!p' | sort -u)
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target make_corpus "${fuzzers[@]}" >"$build/build.log" ||
  { grep -A 10 FAILED "$build/build.log" >&2 && exit 1; }

# Made anew: none is left of a make_corpus that wrote others.
rm -rf "$build/profiles" "$build/corpus"
mkdir -p "$build/profiles"
LLVM_PROFILE_FILE=/dev/null "$build/bin/make_corpus" "$build/corpus" >/dev/null
objects=()
for fuzzer in "${fuzzers[@]}"; do
  inputs=("$build/corpus/$fuzzer")
  [[ -d $learned/$fuzzer ]] && inputs+=("$learned/$fuzzer")
  LLVM_PROFILE_FILE="$build/profiles/$fuzzer.profraw" \
    "$build/fuzzers/$fuzzer" -runs=0 "${inputs[@]}" >"$build/$fuzzer.log" 2>&1 ||
    { tail -n 40 "$build/$fuzzer.log" && exit 1; }
  # The first is the program, the others are named as objects: what follows are sources.
  objects+=(${objects[0]:+-object} "$build/fuzzers/$fuzzer")
done
llvm-profdata-19 merge -sparse "$build"/profiles/*.profraw -o "$build/fuzz.profdata"
if [[ -n ${SHOW:-} ]]; then
  llvm-cov-19 show -instr-profile "$build/fuzz.profdata" "${objects[@]}" "${decoders[@]}" |
    grep -E '^/|^ +[0-9]+\| +0\|' || true
fi
llvm-cov-19 export -summary-only -instr-profile "$build/fuzz.profdata" "${objects[@]}" \
  >"$build/coverage.json"
python3 - "$build" "$least" "${decoders[@]}" <<'PYTHON'
import json
import sys

build, least, decoders = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
rows = {}
for file in json.load(open(f"{build}/coverage.json"))["data"][0]["files"]:
    for name in decoders:
        if file["filename"].endswith("/" + name):
            rows[name] = (file["summary"]["lines"]["covered"], file["summary"]["lines"]["count"])
missing = set(decoders) - set(rows)
rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
for name, (covered, count) in rows.items():
    print(f"{name:30} {covered:5} of {count:5} lines  {100 * covered / max(count, 1):5.1f} %")
for name in sorted(missing):
    print(f"{name}: not there", file=sys.stderr)
covered, count = rows["all"]
sys.exit(bool(missing) or 100 * covered / count < least)
PYTHON
