#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# How many lines of the decoders the fuzzers' inputs reach: builds the fuzzers with clang's coverage,
# runs them over what a fuzz build has learned, and prints a line for each file. Fails below 90 %.
# Usage: fuzz_coverage.sh [FUZZ_BUILD [COVERAGE_BUILD]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

learned="${1:-build/fuzz}/corpus"
build="${2:-build/coverage}"
least=90
fuzzers=(frame_fuzz descriptor_fuzz record_fuzz ledger_fuzz spill_fuzz types_fuzz)
decoders=(src/wire/codec.cc src/wire/frame.cc src/layout/record.cc src/layout/ledger.cc src/spill/format.cc src/types/tree.cc
  src/types/arrow_type_json.cc src/types/arrow_json.cc src/types/arrow_check.cc src/types/table_json.cc
  src/types/tensor_reader.cc src/types/pandas_values.cc src/types/pandas_columns.cc)

cmake -Wno-dev --log-level=WARNING -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_COMPILER=clang++-19 -DVINEYARD_FUZZERS=ON -DVINEYARD_TESTS=OFF \
  -DVINEYARD_SANITIZER=address \
  -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping" >/dev/null
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target make_corpus "${fuzzers[@]}" >/dev/null

rm -rf "$build/profiles"
mkdir -p "$build/profiles"
objects=("$build/fuzzers/${fuzzers[0]}")
for fuzzer in "${fuzzers[@]}"; do
  inputs=("$build/corpus/$fuzzer")
  [[ -d $learned/$fuzzer ]] && inputs+=("$learned/$fuzzer")
  LLVM_PROFILE_FILE="$build/profiles/$fuzzer.profraw" \
    "$build/fuzzers/$fuzzer" -runs=0 "${inputs[@]}" >/dev/null 2>&1
  objects+=(-object "$build/fuzzers/$fuzzer")
done
llvm-profdata-19 merge -sparse "$build"/profiles/*.profraw -o "$build/fuzz.profdata"
llvm-cov-19 export -summary-only -instr-profile "$build/fuzz.profdata" "${objects[@]}" \
  >"$build/coverage.json"
python3 - "$build/coverage.json" "$least" "${decoders[@]}" <<'PYTHON'
import json
import sys

report, least, decoders = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
rows = {}
for file in json.load(open(report))["data"][0]["files"]:
    for name in decoders:
        if file["filename"].endswith("/" + name):
            rows[name] = (file["summary"]["lines"]["covered"], file["summary"]["lines"]["count"])
rows["all decoders"] = tuple(map(sum, zip(*rows.values(), strict=True)))
for name, (covered, count) in rows.items():
    print(f"{name:24} {covered:4} of {count:4} lines  {100 * covered / count:5.1f} %")
covered, count = rows["all decoders"]
sys.exit(len(rows) != len(decoders) + 1 or 100 * covered / count < least)
PYTHON
