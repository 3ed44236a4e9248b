# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What the run ran on: facts without which nobody can judge the figures."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def facts() -> dict[str, Any]:
    """Return the processor, the memory, the kernel and how it gives huge pages."""
    model = re.findall(r"model name\s*:\s*(.*)", _text("/proc/cpuinfo"))
    flags = re.findall(r"^flags\s*:\s*(.*)", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.findall(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    middle = {
        folder.name.removeprefix("hugepages-"): chosen(_text(folder / "shmem_enabled"))
        for folder in sorted(HUGE_PAGES.glob("hugepages-*kB"), key=_size)
    }
    return {
        "cpu": model[0] if model else platform.machine(),
        "virtual": "hypervisor" in flags[0].split() if flags else None,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory[0]) * 1024 if memory else None,
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "huge_pages": chosen(_text(HUGE_PAGES / "enabled")),
        "huge_pages_shared": chosen(_text(HUGE_PAGES / "shmem_enabled")),
        "huge_pages_shared_by_size": middle,
        "load_at_start": os.getloadavg()[0],
    }


def memory_available() -> int:
    """Return the bytes that could be used now."""
    found = re.findall(r"MemAvailable:\s*(\d+)", _text("/proc/meminfo"))
    return int(found[0]) * 1024 if found else 0


def describe(machine: dict[str, Any]) -> str:
    """Say in a line what the machine is."""
    gib = (machine["memory_bytes"] or 0) / 2**30
    return (
        f"{machine['cores']} cores of {machine['cpu']}{' (virtual)' if machine['virtual'] else ''}, "
        f"{gib:.0f} GiB of memory, Linux {machine['kernel'].split('-')[0]}, "
        f"huge pages: {machine['huge_pages']}, for shared memory {machine['huge_pages_shared']}"
    )


def chosen(text: str) -> str:
    """Return the word in brackets.

    Examples
    --------
    >>> chosen("always [madvise] never"), chosen("")
    ('madvise', 'unknown')
    """
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else "unknown"


def _size(folder: Path) -> int:
    return int(re.sub(r"\D", "", folder.name))


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
