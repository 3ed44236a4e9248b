#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# The soak in its pieces: how long an engine's death is felt; operations undisturbed but for some kills; the
# engine killed KILLS times, at named places and at random, with a disk; clients killed KILLS times.
# Usage: soak.sh BUILD OPERATIONS KILLS [more arguments for each piece]
set -euo pipefail

build="$1"
operations="$2"
kills="$3"
shift 3
soak="$build/tests/vineyard_soak"

piece() {
  echo "== $1"
  shift
  "$soak" "$@"
}
piece 'an engine with many objects dies' --operations 0 --restarts 20 "$@"
piece "$operations operations" --operations "$operations" --engine-kills "$((kills / 50))" \
  --client-kills "$((kills / 50))" --engine-pause 1 --client-pause 1 "$@"
piece "$kills engines die" --operations 1 --engine-kills "$kills" --engine-pause 0.15 --round 3000 \
  --spill --size 64Mi --live 128 --large 300 "$@"
piece "$((kills / 4)) engines die in the midst of a change" --operations 1 --engine-kills "$((kills / 4))" \
  --engine-pause 5 --round 3000 --places commit. "$@"
piece "$kills clients die" --operations 1 --client-kills "$kills" --client-pause 0.01 --round 1500 \
  --clear 1 --large 300 --live 64 "$@"
