#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Prints the path of the Python to build with: $PYTHON if set, else the first of python3,
# python3.14 … python3.11 that is at least 3.11.
set -euo pipefail

readonly PROBE='import sys; print(sys.executable) if sys.version_info >= (3, 11) else sys.exit(1)'

for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if found="$("$candidate" -I -c "$PROBE" 2>/dev/null)"; then
    echo "$found"
    exit 0
  fi
done
if [[ -n ${PYTHON:-} ]]; then
  echo "error: PYTHON=$PYTHON is not a Python of version 3.11 or later" >&2
else
  echo "error: no Python of version 3.11 or later found; install one, or name it: PYTHON=/path/to/python3" >&2
fi
exit 1
