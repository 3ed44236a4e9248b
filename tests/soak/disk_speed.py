# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a disk itself can do, as fio says: direct, a MiB at a time, several at once.

A disk is not the same from one minute to the next, above all a virtual one. So who compares something with it
measures before and after, in the same folder.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

GIB = 1 << 30
#: How many requests fio has under way. The first is what the table in docs/design/019 compares with.
DEPTHS = (4, 1, 16)


@dataclass
class Speeds:
    """Of one kind of work, in GiB/s by depth; each measurement is added."""

    of: dict[int, list[float]] = field(default_factory=dict)

    def at(self, depth: int) -> float:
        measured = self.of.get(depth, [])
        return sum(measured) / len(measured) if measured else 0.0

    def best(self) -> tuple[int, float]:
        return max(((depth, self.at(depth)) for depth in self.of), key=lambda it: it[1])


def is_there() -> bool:
    return shutil.which("fio") is not None


def measure(folder: Path, work: str, seconds: float, into: Speeds, reads: int = 50) -> None:
    """One file of a GiB, over and over. `work` is fio's ``--rw``; of ``randrw`` so many in a hundred are `reads`."""
    arguments = [
        f"--rw={work}",
        f"--rwmixread={reads}",
        "--size=1G",
        "--time_based",
        f"--runtime={max(1, round(seconds / len(DEPTHS)))}",
    ]
    _measure(folder, arguments, into)


def measure_new(folder: Path, into: Speeds) -> None:
    """Writes files that are not there yet, each of 32 MiB, whose room is taken before: the file system then has to
    note, for each write, that there is something now. Nothing that keeps what it is given is spared that."""
    _measure(
        folder, ["--rw=write", "--size=2G", "--nrfiles=64", "--file_service_type=sequential"], into
    )


def _measure(folder: Path, arguments: list[str], into: Speeds) -> None:
    common = [
        "fio",
        "--name=disk",
        "--bs=1M",
        "--direct=1",
        "--ioengine=libaio",
        "--output-format=json",
    ]
    for depth in DEPTHS:
        with tempfile.TemporaryDirectory(prefix="fio-", dir=folder) as files:
            done = subprocess.run(
                [*common, f"--directory={files}", f"--iodepth={depth}", *arguments],
                capture_output=True,
                text=True,
                check=True,
            )
        # What it has to remark about the machine stands before the JSON.
        job = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
        moved = job["read"]["bw_bytes"] + job["write"]["bw_bytes"]
        into.of.setdefault(depth, []).append(moved / GIB)
