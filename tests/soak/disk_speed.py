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
    """`work` is fio's ``--rw``; of ``rw`` and ``randrw`` so many in a hundred are `reads`."""
    file = folder / "fio"
    common = [
        "fio",
        "--name=disk",
        f"--filename={file}",
        f"--rw={work}",
        "--bs=1M",
        "--size=1G",
        "--direct=1",
        "--ioengine=libaio",
        "--time_based",
        f"--runtime={max(1, round(seconds / len(DEPTHS)))}",
        "--output-format=json",
    ]
    if "rw" in work:
        common.append(f"--rwmixread={reads}")
    try:
        for depth in DEPTHS:
            done = subprocess.run(
                [*common, f"--iodepth={depth}"], capture_output=True, text=True, check=True
            )
            # What it has to remark about the machine stands before the JSON.
            job = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0]
            moved = job["read"]["bw_bytes"] + job["write"]["bw_bytes"]
            into.of.setdefault(depth, []).append(moved / GIB)
    finally:
        file.unlink(missing_ok=True)
