#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Runs the Python tests with the oldest supported versions of numpy, pandas and pyarrow
# (requirements/oldest.txt), in an environment of their own: build/oldest.
# Usage: test_oldest.sh PYTHON [argument for pytest]…
# PYTHON is the one that the extension module was built for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="$1"
shift
environment=build/oldest
wanted=requirements/oldest.txt

"$python" -I -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || {
  echo "error: the oldest supported numpy and pandas run on Python 3.11 and 3.12 only;" \
    "choose one: make clean, then PYTHON=/usr/bin/python3.11 make test-oldest" >&2
  exit 1
}
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
echo "$PWD/python" >"$site/vineyard-checkout.pth" # `import vineyard` means the sources of this checkout
"$environment/bin/python" -m pytest python/tests "$@"
