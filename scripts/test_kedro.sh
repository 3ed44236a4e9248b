#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the tests of the Kedro plugin with real Kedro, in environments of their own: build/test-kedro with the newest
# (requirements/kedro.txt), build/test-kedro-oldest with the oldest that it supports. `make build` comes first.
# Usage: test_kedro.sh newest|oldest|unsupported|all [argument for pytest]…
#        test_kedro.sh types
# unsupported: that an older Kedro, and a project made with one, get a clear error (build/test-kedro-unsupported).
# types: what mypy says of the plugin, with the newest Kedro.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly tests=python/vineyard-kedro/tests
which="$1"
shift

# site NAME: where the environment build/test-NAME has its packages.
site() { "build/test-$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

# install NAME: requirements/NAME.txt and the plugin into the environment build/test-NAME.
install() {
  local environment="build/test-$1" wanted="requirements/$1.txt"
  if ! "$environment/bin/python" -c '' 2>/dev/null; then
    rm -rf "$environment"
    .venv/bin/python -m venv "$environment"
  fi
  # `import vineyard` means the sources of this checkout.
  {
    echo "$PWD/python"
    echo "$PWD/python/startup"
    cat python/startup/vineyard.pth
  } >"$(site "$1")/vineyard-checkout.pth"
  if ! cmp -s "$wanted" "$environment/.installed.txt"; then
    printf 'setup: installing %s into %s\n' "$(sed -nE 's/^(kedro==[0-9.]+).*/\1/p' "$wanted")" "$environment"
    "$environment/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$environment/.installed.txt"
  fi
  # As users have it: a wheel. Not what it depends on, since vineyard is that of this checkout.
  "$environment/bin/python" -m pip install -q --disable-pip-version-check --root-user-action=ignore \
    --no-deps --no-build-isolation --force-reinstall ./python/vineyard-kedro
}

newest() {
  install kedro
  # By its path: coverage would import what a name stands for, and forget it, which numpy and vineyard don't survive.
  COVERAGE_FILE=build/test-kedro/.coverage build/test-kedro/bin/python -m pytest "$tests" --ignore="$tests/unsupported" \
    --cov="$(site kedro)/vineyard/contrib/kedro" --cov-report=term:skip-covered --cov-fail-under=90 "$@"
}

oldest() {
  install kedro-oldest
  build/test-kedro-oldest/bin/python -m pytest "$tests" --ignore="$tests/unsupported" "$@"
}

unsupported() {
  install kedro-unsupported
  build/test-kedro-unsupported/bin/python -m pytest --noconftest "$tests/unsupported" "$@"
}

# mypy finds a package in one place only: here is one with all parts of it.
types() {
  install kedro
  local whole=build/kedro-types/vineyard part
  rm -rf "${whole%/*}"
  mkdir -p "$whole/contrib"
  for part in python/vineyard/*; do
    [[ $part == */contrib ]] || ln -s "$PWD/$part" "$whole/"
  done
  ln -s "$PWD"/python/vineyard/contrib/*.py "$PWD"/python/vineyard-kedro/vineyard/contrib/kedro "$whole/contrib/"
  (cd "${whole%/*}" && "$OLDPWD/.venv/bin/python" -m mypy --config-file "$OLDPWD/pyproject.toml" \
    --python-executable "$OLDPWD/build/test-kedro/bin/python" -p vineyard.contrib.kedro)
}

case "$which" in
  newest | oldest | unsupported | types) "$which" "$@" ;;
  all)
    newest "$@"
    oldest "$@"
    unsupported "$@"
    ;;
  *)
    echo "error: '$which' is none of newest, oldest, unsupported, all, types" >&2
    exit 2
    ;;
esac
