# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the measurements ran on, and how much room there is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from harness.memory import meminfo

CGROUPS = Path("/sys/fs/cgroup")
SHMEM_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/shmem_enabled")


def memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its cgroup's if less."""
    limits = [meminfo()["MemTotal"]]
    for line in _lines("/proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            base, leaf, name = CGROUPS, CGROUPS / group.lstrip("/"), "memory.max"
        elif "memory" in controllers.split(","):
            base = CGROUPS / "memory"
            leaf, name = base / group.lstrip("/"), "memory.limit_in_bytes"
        else:
            continue
        while leaf.is_relative_to(base):
            limits += [int(text) for text in _lines(leaf / name) if text.isdigit()]
            leaf = leaf.parent
    return min(limits)


def free_memory_bytes() -> int:
    """Return the bytes that could be used now without pushing anything out."""
    return min(meminfo()["MemAvailable"], memory_bytes())


def free_disk_bytes(folder: Path) -> int:
    """Return the bytes that still fit on the file system of `folder`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def file_system(folder: Path) -> str:
    """Return the type of the file system that `folder` is on, such as ``ext4``."""
    folder = folder.resolve()
    best, kind = -1, "unknown"
    for line in _lines("/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        mount = before.split()[4].replace("\\040", " ")
        if folder.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), after.split()[0]
    return kind


def shared_huge_pages() -> str:
    """Return how the kernel gives huge pages to shared memory, such as ``advise`` or ``never``."""
    chosen = [re.search(r"\[(\w+)\]", line) for line in _lines(SHMEM_ENABLED)]
    return chosen[0][1] if chosen and chosen[0] else "unknown"


def facts(disk: Path) -> dict[str, Any]:
    """Return what somebody has to know to judge the figures; `disk` is where files are written."""
    model = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line
    ]
    packages = ("numpy", "pandas", "scikit-learn", "pyarrow", "vineyard")
    return {
        "cpu": model[0] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(),
        "kernel": platform.release(),
        "disk": file_system(disk),
        "load_at_start": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def describe(machine: dict[str, Any]) -> str:
    """Say in half a line what `machine`, as from :func:`facts`, is."""
    return (
        f"{machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB of memory, {machine['disk']}, "
        f"Linux {'.'.join(machine['kernel'].split('.')[:2])}"
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
