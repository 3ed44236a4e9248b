#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Installs what this machine lacks for the profiles named as arguments, and says what and why:
#   build   compiler, libraries, and .venv with numpy, pandas and pyarrow   (the default)
#   demo    what examples/flights needs in .venv, also as a part of the benchmarks
#   bench   Google Benchmark, and the server of one of the peers
#   test    GoogleTest, Relacy, pytest, hypothesis
#   check   clang 19 with its format and tidy tools, ruff, mypy
#   fuzz    what the fuzzers need besides clang
#   clang   clang 19 with its sanitizers and fuzzer
#   web     Chromium and what drives it, for the tests of the page
#   disk    fio, which says what the disk itself can do
#   web     promtool, which tries metrics and alerts
#   s3      Go, which builds the S3 server of the Kedro benchmark
#   wheel   debootstrap, for the bare system that the wheel is tried in
# Needs Debian 12 or Ubuntu 24.04, a Python of 3.11 or later (PYTHON=… names one), and root or sudo
# if a package is missing. Fast when nothing is. SETUP_NO_APT=1 leaves the system's packages alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# ---- system packages: "profile|package|why"
readonly PACKAGES='
build|g++|compiles the C++ code
build|cmake|configures the build
build|ninja-build|runs the build
build|ccache|keeps compiled files, so that a second build takes seconds
build|libasio-dev|the event loop of vineyardd
build|libboost-dev|Beast, which reads the requests of HTTP; headers alone
build|libflatbuffers-dev|messages between client and instance
build|flatbuffers-compiler|turns the message schema into C++
build|flatbuffers-compiler-dev|tells CMake where that compiler is
build|libfmt-dev|formats strings
build|libspdlog-dev|writes the log
build|libcli11-dev|reads command lines
build|nlohmann-json3-dev|reads and writes JSON
bench|libbenchmark-dev|runs the C++ benchmarks
bench|redis-tools|a peer of the benchmarks: its checking tool is the server too, and no service is started
test|libgtest-dev|runs the C++ tests
test|libgmock-dev|matchers for the C++ tests
test|relacy-dev|checks the models of lock-free code
check|clang-19|the second compiler: checks which thread may touch what
check|clang-format-19|checks the form of the C++ code
check|clang-tidy-19|looks for mistakes in the C++ code
fuzz|libgtest-dev|checks within one of the fuzzers
clang|clang-19|compiles for the thread sanitizer and the fuzzers
clang|libclang-rt-19-dev|the run-time part of those
clang|llvm-19|turns addresses in their reports into lines, and measures coverage
web|chromium|shows the page to its tests
web|chromium-driver|has the tests do what a person would
disk|fio|says what the disk itself can do, for make soak-spill
wheel|debootstrap|makes the bare system that the wheel is tried in
'

die() {
  printf 'error: %s\n' "$@" >&2
  exit 1
}

profiles=("${@:-build}")
for profile in "${profiles[@]}"; do
  case "$profile" in
    build | bench | demo | disk | s3 | test | check | fuzz | clang | web | wheel) ;;
    *) die "unknown profile '$profile'; there are: build bench demo disk s3 test check fuzz clang web wheel" ;;
  esac
done

[[ $(uname -s) == Linux ]] ||
  die "vineyard runs on Linux only (memfd, seals, pidfds); this is $(uname -s)." \
    "Use a Linux virtual machine or container: Debian 12 or Ubuntu 24.04."

# wants PROFILE: was it asked for?
wants() {
  local profile
  for profile in "${profiles[@]}"; do [[ $profile == "$1" ]] && return 0; done
  return 1
}

python="$(scripts/find_python.sh)"

# What is wanted and not installed, as "package|why" lines.
missing_packages() {
  local profile package why
  while IFS='|' read -r profile package why; do
    [[ -n $profile ]] && wants "$profile" || continue
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      echo "$package|$why"
  done <<<"$PACKAGES"
  # A Go from elsewhere will do; of which release, scripts/bench_kedro.sh sees to.
  if wants s3 && ! command -v go >/dev/null; then
    echo "golang-go|builds the S3 server of the Kedro benchmark"
  fi
  # The Python that was chosen may lack the parts that Debian packs apart.
  local version
  version="$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  if ! "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then
    echo "python$version-venv|makes .venv"
  fi
  if ! "$python" -I -c 'import os, sysconfig as s
os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null; then
    echo "python$version-dev|the headers that the Python extension is compiled against"
  fi
}

# The same without dpkg, for the message on other distributions.
wanted_packages() {
  local profile package why
  while IFS='|' read -r profile package why; do
    [[ -n $profile ]] && wants "$profile" && echo "$package"
  done <<<"$PACKAGES"
  if wants s3; then echo golang-go; fi
  echo python3-venv
  echo python3-dev
}

install_packages() {
  local id='' version=''
  if [[ -r /etc/os-release ]]; then
    id="$(. /etc/os-release && echo "${ID:-}")"
    version="$(. /etc/os-release && echo "${VERSION_ID:-}")"
  fi
  case "$id $version" in
    'debian 12' | 'ubuntu 24.04') ;;
    *)
      command -v dpkg-query >/dev/null && [[ $id == debian || $id == ubuntu ]] ||
        die "this set-up knows Debian 12 and Ubuntu 24.04, not '${id:-unknown} $version'." \
          "Install what these packages hold, then say SETUP_NO_APT=1:" \
          "$(wanted_packages | sort -u | tr '\n' ' ')"
      ;;
  esac

  local missing
  missing="$(missing_packages | sort -u -t'|' -k1,1)"
  [[ -n $missing ]] || return 0

  local sudo=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null ||
      die "packages are missing, and this is neither root nor is there a sudo." \
        "As root: apt-get install $(cut -d'|' -f1 <<<"$missing" | tr '\n' ' ')"
    sudo=(sudo)
  fi
  local package why names=()
  while IFS='|' read -r package why; do
    printf 'setup: installing %-26s %s\n' "$package" "$why"
    names+=("$package")
  done <<<"$missing"
  local log apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q)
  log="$(mktemp)"
  if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${names[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    die "the packages could not be installed (whole output: $log)" \
      "Needed: ${names[*]}"
  fi
  rm -f "$log"
}

# ---- .venv

# install_python PROFILE…: requirements/PROFILE.txt, each unless .venv has it already as it stands.
install_python() {
  local venv=.venv
  if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    echo "setup: making .venv with $python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
  fi
  local site
  site="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  # `import vineyard` in .venv means the sources of this checkout.
  {
    echo "$PWD/python"
    echo "$PWD/python/startup"
    cat python/startup/vineyard.pth
  } >"$site/vineyard-checkout.pth"

  local profile todo=()
  for profile in "$@"; do
    cmp -s "requirements/$profile.txt" "$venv/.installed-$profile.txt" || todo+=("$profile")
  done
  ((${#todo[@]})) || return 0
  local files=()
  for profile in "${todo[@]}"; do
    files+=(-r "requirements/$profile.txt")
    sed -nE 's/^([A-Za-z0-9_.=-]+) +# (.*)$/\1|\2/p' "requirements/$profile.txt" |
      while IFS='|' read -r package why; do
        printf 'setup: installing %-26s %s\n' "$package" "$why"
      done
  done
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "${files[@]}" ||
    die "pip could not install the Python packages above into .venv"
  for profile in "${todo[@]}"; do
    cp "requirements/$profile.txt" "$venv/.installed-$profile.txt"
  done
}

# Out of the package of Prometheus, and only that: installed whole it would start a service.
fetch_promtool() {
  local folder="$PWD/build/monitoring"
  if command -v promtool >/dev/null || [[ -x $folder/usr/bin/promtool ]]; then return 0; fi
  printf 'setup: fetching   %-26s %s\n' promtool "tries metrics and alerts, below build/"
  mkdir -p "$folder"
  (cd "$folder" && apt-get -q download prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb . &&
    rm prometheus_*.deb) ||
    die "promtool could not be fetched: 'apt-get download prometheus' failed." \
      "Install prometheus, or put promtool into the path."
}

[[ ${SETUP_NO_APT:-} == 1 ]] || install_packages
if wants web && [[ ${SETUP_NO_APT:-} != 1 ]]; then fetch_promtool; fi

python_profiles=(build)
for profile in demo test check web; do
  if wants "$profile"; then python_profiles+=("$profile"); fi
done
install_python "${python_profiles[@]}"
