# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""An S3 server of the benchmark's own: versitygw on a folder, on this machine's loopback alone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from side_by_side import processes
from side_by_side.peers.peer import ROOT

PROGRAM = ROOT / "build/kedro/bin/versitygw"
BUCKET = "minio-s3-benchmark-bucket"
PATIENCE = 60.0  # seconds
_TRIES = 5  # another program may take the port that was free
# Of a server that ends with the run, and that nobody else can reach.
_KEY, _SECRET = "benchmark", "made-up-for-the-benchmark"


class Failed(Exception):
    """The server did not come up; the message says why."""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server that keeps its objects in the folder, which is made; yields the environment of its clients.

    Raises
    ------
    Failed
        It is not built, or did not come up.
    """
    if not PROGRAM.exists():
        raise Failed(f"{PROGRAM} is not there: scripts/bench_kedro.sh builds it")
    (folder / BUCKET).mkdir(parents=True)
    process, port = _start(folder)
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        processes.end([process.pid])
        process.wait()


def version() -> str:
    """Return which module's version was built."""
    return PROGRAM.parents[1].joinpath(".server").read_text().strip().rpartition("@")[2]


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    log = folder.with_suffix(".log")
    for _ in range(_TRIES):
        port = _free_port()
        command = [PROGRAM, "--port", f"127.0.0.1:{port}", "--access", _KEY, "--secret", _SECRET]
        # Without keep-alive each request would wait for a connection of its own.
        command += ["--quiet", "--keep-alive", "posix", folder]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, preexec_fn=processes.die_with_parent
            )
        if _answers(process, port):
            return process, port
        processes.end([process.pid])
        process.wait()
    raise Failed(f"the S3 server did not come up: {log.read_text().strip() or 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until it listens; false where it ended instead."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process.poll() is None
        time.sleep(0.02)
    return False
