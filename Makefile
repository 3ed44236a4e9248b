# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# `make` alone says what there is. Each target installs first what it needs (scripts/setup.sh).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# JOBS=2 bounds what is compiled at once. PYTHON=/path/to/python3 chooses the Python of .venv.
JOBS ?= $(shell nproc)
export PYTHON
# Size of the demo's data; empty: what the machine's memory suggests.
ROWS ?=
# Only the C++ tests whose name matches, and more arguments for pytest.
TESTS ?=
PYTEST_ARGS ?=
# What the benchmarks measure, with whom and how often; empty: everything. QUICK=1: whether they work.
ROWS_OF ?=
SYSTEMS ?=
ROUNDS ?=
QUICK ?=
# More arguments for bench-seeing, and for bench-kedro.
SEEING ?=
KEDRO ?=
# How long the soak is, how many engines and clients it kills, and more arguments for it.
OPERATIONS ?=
KILLS ?= 1000
SOAK_ARGS ?=
# How long soak-spill's clients work.
SECONDS ?= 1800
# How long each fuzzer runs, and which; empty: all.
FUZZ_SECONDS ?= 60
FUZZERS ?=
export FUZZERS

VENV := .venv/bin
RELEASE := build/release
REPORT := Testing/report.xml
CMAKE := cmake -Wno-dev --log-level=WARNING
PYTHON_OPTIONS = -DVINEYARD_PYTHON=ON -DPython_EXECUTABLE=$(CURDIR)/$(VENV)/python

define HELP
Vineyard: immutable data in shared memory, handed over without a copy.

  make demo     the flights pipeline through vineyard and through files  [ROWS=3000000]
  make test     all C++ and Python tests        [TESTS=regex] [PYTEST_ARGS="-k name"]
  make build    $(RELEASE)/bin/{vineyardd,vineyardctl}, and .venv where `import vineyard` works
  make bench    vineyard beside its peers, in one run: up to an hour; see docs/performance.md
                [ROUNDS=5] [ROWS_OF="put-* get-*"] [SYSTEMS="ours ray lmdb"] [QUICK=1]
  make bench-compare BASE=<commit>  this tree and a commit, in turn; BASE=x.json: an older result
  make bench-seeing  what it costs to look at an instance, and how long its answers take with 100,000
                objects: ten minutes                     [SEEING="--part answers --rounds 3"]
  make bench-kedro  the Kedro project examples/kedro/mlops through vineyard, an S3 server and files, at four
                scales: half an hour                     [KEDRO="--scales 1 10 --rounds 3"] [QUICK=1]
  make test-long    the Python tests with 2,000 examples of each property instead of 100
  make test-oldest  the Python tests with the oldest supported numpy, pandas and pyarrow
  make test-mutants breaks each codec on purpose, and sees that its tests notice
  make test-allocator  tests of numpy's and pandas' own, with their arrays in the store
  make soak     random operations by 8 processes, engines and clients killed meanwhile, against models
                [OPERATIONS=5000000] [KILLS=1000] [SOAK_ARGS="--spill --seed 7"]
  make soak-python  the same from Python, and slower  [OPERATIONS=300000] [SOAK_ARGS="--size 64Mi"]
  make soak-spill   8 clients on four times the memory, and what fio does on the same disk meanwhile
                [SECONDS=1800] [SOAK_ARGS="--size 1Gi --working-set 4Gi --spill-path DIR"]
  make test-monitoring  metrics, alerts and dashboard, with Prometheus' own tool
  make test-kedro   the Kedro plugin with the newest and the oldest Kedro that it supports, and with an older one
  make test-torch   what needs torch, which the first run installs below build/ (gigabytes)
  make test-web     the page in a browser, which the first run installs (Chromium)

  make check    what a change must also pass: format, layers, lint, types, thread safety
  make format   put the code into form

  make asan     the C++ tests under the address and undefined behaviour sanitizers
  make tsan     the C++ tests under the thread sanitizer
  make fuzz     the fuzzers, two at a time, and a line for each  [FUZZ_SECONDS=60] [FUZZERS="frame_fuzz"]
  make fuzz-coverage  how much of the decoders the fuzzers' inputs reach, file by file
  make fuzz-python  the one of the Python codecs alone

  make wheel        dist/vineyard-….whl, and that of the Kedro plugin
  make wheel-check  the wheel, tried on a bare system with nothing but Python

  make clean    remove build/, dist/ and .venv

The first run installs what is missing and says so; it needs Debian 12 or Ubuntu 24.04, and root or
sudo. Also: JOBS=n (compile jobs), PYTHON=path (the Python to build with, 3.11 or later).
endef

.PHONY: help
help:
	@: $(info $(HELP))

# ---- the main things

.PHONY: build
build:
	@scripts/setup.sh build
	@$(CMAKE) --preset release -DVINEYARD_TESTS=OFF $(PYTHON_OPTIONS) >/dev/null
	@cmake --build --preset release -j $(JOBS) --target vineyardd vineyardctl _core
	@cmake --install $(RELEASE) --component python --prefix python >/dev/null

.PHONY: demo
demo: build
	@scripts/setup.sh demo
	@$(VENV)/python examples/flights/run.py $(if $(ROWS),--rows $(ROWS))

.PHONY: build-tests
build-tests:
	@scripts/setup.sh build demo test
	@$(CMAKE) --preset release -DVINEYARD_TESTS=ON $(PYTHON_OPTIONS) >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@cmake --build --preset release -j $(JOBS) --target vineyard_soak
	@cmake --install $(RELEASE) --component python --prefix python >/dev/null

.PHONY: test
test: build-tests
	@ctest --preset release --output-junit $(REPORT) $(if $(TESTS),-R '$(TESTS)') \
	  || { scripts/failed_tests.py $(RELEASE)/$(REPORT); exit 1; }
	@tests/install/check.sh $(RELEASE)
	@$(VENV)/python -m pytest python/tests tests $(PYTEST_ARGS)
	@scripts/test_kedro.sh newest --no-cov $(PYTEST_ARGS)

.PHONY: test-kedro
test-kedro: build
	@scripts/test_kedro.sh all $(PYTEST_ARGS)

.PHONY: test-long
test-long: build-tests
	@$(VENV)/python -m pytest python/tests tests/interop --hypothesis-profile=long $(PYTEST_ARGS)

.PHONY: test-torch
test-torch: build
	@scripts/test_torch.sh $(PYTEST_ARGS)

.PHONY: test-monitoring
test-monitoring: build
	@scripts/setup.sh test web
	@$(VENV)/python -m pytest tests/monitoring $(PYTEST_ARGS)

.PHONY: test-allocator
test-allocator: build
	@scripts/setup.sh test
	@$(VENV)/python tests/allocator/run.py $(PYTEST_ARGS)

.PHONY: test-web
test-web: build
	@scripts/setup.sh test web
	@$(VENV)/python -m pytest tests/web $(PYTEST_ARGS)

.PHONY: page-pictures
page-pictures: build
	@scripts/setup.sh demo test web
	@$(VENV)/python scripts/page_pictures.py

.PHONY: test-oldest
test-oldest: build
	@scripts/test_oldest.sh $(VENV)/python $(PYTEST_ARGS)

.PHONY: soak soak-python soak-spill
soak:
	@scripts/setup.sh build test
	@$(CMAKE) --preset release -DVINEYARD_TESTS=ON >/dev/null
	@cmake --build --preset release -j $(JOBS) --target vineyard_soak
	@scripts/soak.sh $(RELEASE) $(or $(OPERATIONS),5000000) $(KILLS) $(SOAK_ARGS)

soak-python: build
	@$(VENV)/python tests/soak/run.py --operations $(or $(OPERATIONS),300000) $(SOAK_ARGS)

soak-spill: build
	@scripts/setup.sh disk
	@$(VENV)/python tests/soak/spilling.py --seconds $(SECONDS) $(SOAK_ARGS)

.PHONY: test-mutants
test-mutants: build
	@scripts/setup.sh test
	@$(VENV)/python scripts/test_mutants.py

# What bench and bench-compare say to the driver.
BENCH = $(if $(ROWS_OF),--rows $(ROWS_OF)) $(if $(SYSTEMS),--systems $(SYSTEMS)) \
  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick)

.PHONY: bench-build
bench-build:
	@scripts/setup.sh build bench
	@$(CMAKE) --preset release -DVINEYARD_TESTS=OFF -DVINEYARD_BENCHMARKS=ON $(PYTHON_OPTIONS) >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@cmake --install $(RELEASE) --component python --prefix python >/dev/null

.PHONY: bench
bench: bench-build
	@scripts/setup.sh demo
	@set -f; scripts/run_benchmarks.sh $(BENCH)

.PHONY: bench-compare
bench-compare: bench-build
	@set -f; scripts/compare_benchmarks.sh '$(BASE)' $(BENCH)

.PHONY: bench-seeing
bench-seeing: build
	@scripts/setup.sh test
	@PYTHONPATH=benchmarks $(VENV)/python -m seeing $(if $(QUICK),--quick) $(SEEING)

.PHONY: bench-kedro
bench-kedro: build
	@scripts/setup.sh s3
	@scripts/bench_kedro.sh $(if $(QUICK),--quick) $(KEDRO)

# ---- what a change must also pass

.PHONY: check
check:
	@scripts/setup.sh build test check
	@scripts/check.sh $(JOBS)

.PHONY: format
format:
	@scripts/setup.sh build check
	@git ls-files -co --exclude-standard -- '*.h' '*.cc' | xargs clang-format-19 -i
	@$(VENV)/ruff format -q .
	@$(VENV)/ruff check -q --fix .

.PHONY: asan tsan
asan:
	@scripts/setup.sh build test
	@$(CMAKE) --preset asan >/dev/null
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan $(if $(TESTS),-R '$(TESTS)')

tsan:
	@scripts/setup.sh build test clang
	@$(CMAKE) --preset tsan >/dev/null
	@cmake --build --preset tsan -j $(JOBS)
	@ctest --preset tsan $(if $(TESTS),-R '$(TESTS)')

.PHONY: fuzz
fuzz:
	@scripts/setup.sh build fuzz clang
	@$(CMAKE) --preset fuzz >/dev/null
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/run_fuzzers.sh build/fuzz $(FUZZ_SECONDS)
	@$(MAKE) fuzz-python

.PHONY: fuzz-coverage
fuzz-coverage:
	@scripts/setup.sh build fuzz clang
	@JOBS=$(JOBS) scripts/fuzz_coverage.sh

.PHONY: fuzz-python
fuzz-python: build
	@scripts/setup.sh test
	@echo "fuzz: codecs for $(FUZZ_SECONDS) s"
	@$(VENV)/python tests/fuzz/python/fuzz_codecs.py --seconds $(FUZZ_SECONDS)

# ---- the wheel

.PHONY: wheel
wheel:
	@scripts/setup.sh build
	@CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(VENV)/python -m pip wheel -q --no-deps -w dist . ./python/vineyard-kedro
	@ls dist/vineyard*.whl

.PHONY: wheel-check
wheel-check:
	@scripts/setup.sh build wheel
	@CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) scripts/check_wheel.sh

.PHONY: clean
clean:
	rm -rf build dist .venv python/vineyard/_core*.so
