#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the tests that need torch (python/tests/with_torch) in an environment of their own,
# build/torch/venv, of the Python that .venv has; `make build` comes first. Arguments go to pytest.
# The first run installs torch: on Linux pip's usual build of it takes 3 GB to fetch and 6 GB on disk,
# most of it for graphics cards, which nothing here uses. Where pip is told of an index with builds
# for the processor alone (PIP_INDEX_URL), a tenth of that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=build/torch/venv
readonly wanted=(requirements/build.txt requirements/test.txt requirements/torch.txt)

if ! cmp -s <(cat "${wanted[@]}") "$venv/.installed.txt"; then
  printf 'setup: installing torch into %s\n' "$venv"
  [[ -x $venv/bin/python ]] || .venv/bin/python -m venv "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "${wanted[@]/#/-r}" || {
    printf 'error: pip could not install torch into %s\n' "$venv" >&2
    exit 1
  }
  site="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  echo "$PWD/python" >"$site/vineyard-checkout.pth"
  cat "${wanted[@]}" >"$venv/.installed.txt"
fi

exec "$venv/bin/python" -m pytest python/tests/with_torch "$@"
