#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
#
# Builds the wheel, and uses it on a bare Debian 12 in which nothing but Python is installed: the
# programs must run and `import vineyard` must work with no other library of this machine. The bare
# system is made anew by debootstrap (root, from the machine's usual Debian mirror or $DEBIAN_MIRROR)
# and taken away afterwards. Nothing in it reaches the network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $(id -u) == 0 ]] || {
  echo "error: making a bare system takes root: sudo make wheel-check" >&2
  exit 1
}

work="$(mktemp -d)"
bare="$work/bare"
finish() {
  for mount in "$bare/dev/shm" "$bare/proc"; do
    if mountpoint -q "$mount"; then umount "$mount"; fi
  done
  rm -rf --one-file-system "$work"
}
trap finish EXIT

# The wheel is for one version of Python: Debian 12 has 3.11.
python="$(PYTHON="${WHEEL_PYTHON:-python3.11}" scripts/find_python.sh)"
"$python" -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
  echo "error: Debian 12 has Python 3.11, and $python is another; WHEEL_PYTHON=… names one" >&2
  exit 1
}
"$python" -m venv "$work/venv"
echo "wheel: building"
"$work/venv/bin/python" -m pip wheel -q --disable-pip-version-check --no-deps -w "$work/wheels" .
wheel="$(echo "$work"/wheels/vineyard-*.whl)"
echo "wheel: $(basename "$wheel"), $(($(stat -c %s "$wheel") / 1024)) KiB"
"$work/venv/bin/python" -m pip download -q --disable-pip-version-check --only-binary :all: \
  -d "$work/wheels" "$(grep -oE '^numpy==[0-9.]+' requirements/build.txt)"

echo "wheel: making a bare Debian 12 with Python"
debootstrap --variant=minbase --include=python3,python3-venv bookworm "$bare" \
  ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  echo "error: debootstrap failed" >&2
  exit 1
}
mount -t proc proc "$bare/proc"
mkdir -p "$bare/dev/shm"
mount -t tmpfs tmpfs "$bare/dev/shm"
mkdir "$bare/wheels"
cp "$work"/wheels/*.whl "$bare/wheels/"

cat >"$bare/try.py" <<'TRY'
"""In the bare system: an instance of the wheel's own, a value in, the value out by another process."""
import pathlib, subprocess, sys, time
import numpy as np
import vineyard

bin = pathlib.Path(sys.prefix, "bin")
socket = "/tmp/vineyard.sock"
subprocess.run([bin / "vineyardd", "--version"], check=True)
subprocess.run([sys.executable, "-m", "vineyard", "--version"], check=True)
log = pathlib.Path("/vineyardd.log")
with log.open("w") as out:
    daemon = subprocess.Popen(
        [bin / "vineyardd", "--socket", socket, "--size", "256Mi"], stdout=out, stderr=out
    )
try:
    deadline = time.monotonic() + 30
    while True:
        try:
            client = vineyard.connect(socket)
            break
        except ConnectionError:
            if time.monotonic() > deadline or daemon.poll() is not None:
                raise
            time.sleep(0.05)
    value = np.arange(8_000_000, dtype=np.float64)
    client.put(value, name="numbers")
    reader = (
        "import sys, numpy as np, vineyard\n"
        f"value = vineyard.connect({socket!r}).get(name='numbers')\n"
        "sys.exit(not (value == np.arange(8_000_000)).all())"
    )
    subprocess.run([sys.executable, "-c", reader], check=True)
    subprocess.run([bin / "vineyardctl", "status"], check=True, env={"VINEYARD_IPC_SOCKET": socket})
except BaseException:
    sys.stderr.write("".join(log.read_text().splitlines(True)[:20]))
    raise
finally:
    daemon.terminate()
assert daemon.wait(30) == 0, daemon.returncode
print("wheel: put in one process and got in another, on a bare system")
TRY

# In a network namespace of its own: nothing can be fetched in there.
run_in() { unshare --net chroot "$bare" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }
run_in python3 -m venv /venv
run_in /venv/bin/pip install -q --no-index --find-links /wheels vineyard
run_in /venv/bin/python /try.py
# Nothing outside libc may be asked for, by the programs or the extension.
libraries="$(find "$bare/venv/lib" -path '*/vineyard/*' \( -name 'vineyardd' -o -name 'vineyardctl' -o -name '_core*.so' \) \
  -exec readelf -d {} + | sed -nE 's/.*NEEDED.*\[(.*)\]/\1/p' | sort -u | tr '\n' ' ')"
echo "wheel: needs $libraries"
case "$libraries" in
  *fmt* | *spdlog* | *stdc++* | *libgcc* | *flatbuffers*)
    echo "error: a library that a bare system does not have" >&2
    exit 1
    ;;
esac
echo "wheel: 1 passed, 0 failed"
