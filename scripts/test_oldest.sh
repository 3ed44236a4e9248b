#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the Python tests with the oldest supported versions of numpy, pandas, pyarrow and scipy
# (requirements/oldest.txt), in an environment of their own: build/oldest. Then those of Arrow data with
# the oldest polars and the oldest pyarrow that holds its strings (requirements/oldest-polars.txt), in
# build/oldest-polars.
# Usage: test_oldest.sh PYTHON [argument for pytest]…
# PYTHON is the one that the extension module was built for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="$1"
shift
"$python" -I -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || {
  echo "error: the oldest supported numpy and pandas run on Python 3.11 and 3.12 only;" \
    "choose one: make clean, then PYTHON=/usr/bin/python3.11 make test-oldest" >&2
  exit 1
}
# install NAME: requirements/NAME.txt into the environment build/NAME.
install() {
  local environment="build/$1" wanted="requirements/$1.txt" package why site
  if ! "$environment/bin/python" -c '' 2>/dev/null; then
    rm -rf "$environment"
    "$python" -m venv "$environment"
  fi
  if ! cmp -s "$wanted" "$environment/.installed.txt"; then
    sed -nE 's/^([A-Za-z0-9_.=-]+) +# (.*)$/\1|\2/p' "$wanted" |
      while IFS='|' read -r package why; do
        printf 'setup: installing %-26s %s\n' "$package" "$why"
      done
    "$environment/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$environment/.installed.txt"
  fi
  site="$("$environment/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
  # `import vineyard` means the sources of this checkout.
  {
    echo "$PWD/python"
    echo "$PWD/python/startup"
    cat python/startup/vineyard.pth
  } >"$site/vineyard-checkout.pth"
}

install oldest
install oldest-polars
build/oldest/bin/python -m pytest python/tests "$@"
build/oldest-polars/bin/python -m pytest python/tests/test_polars.py python/tests/test_arrow*.py
