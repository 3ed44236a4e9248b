#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Fuzzes the Python decoders: stored values that lie give a typed error or a value, and nothing worse.

A case is a stored value of some codec with a few changes, drawn from the seed and the case's number
alone. It is decoded with pickle refused, from buffers that end (or begin) at a page which nobody may
read: what reads outside of a buffer, in whatever library, ends the process. So does a write. Cases run
in children with bounded memory and time, and these are findings:

* the child is ended by a signal, or hangs;
* an exception that is neither vineyard's own nor says which library is missing;
* memory that runs out: nothing in the corpus is large, so only a lie asks for much.

Usage: fuzz_codecs.py [--seconds N] [--seed N] [--case N]
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import mmap
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import corpus
import mutate
from touch import touch
from vineyard.codecs import NotEncoded, decode
from vineyard.codecs.parts import parts_of
from vineyard.codecs.tree import Decoder
from vineyard.errors import VineyardException

BATCH = 1000
SECONDS_PER_CASE = 20
MEMORY = 2 << 30  # beyond what the process has when it begins

_NOBODY = 0  # PROT_NONE

_libc = ctypes.CDLL(None, use_errno=True)


class Finding(Exception):
    """Something that decoding a lie must not do."""


def guarded(data: bytes, at_end: bool) -> memoryview:
    """A read-only copy of some bytes that touches a page which can't be read."""
    page = mmap.PAGESIZE
    pages = -(-max(len(data), 1) // page)
    area = mmap.mmap(-1, (pages + 2) * page)
    start = page
    if at_end:
        start += (pages * page - len(data)) // 8 * 8  # what a store hands out is aligned
    area[start : start + len(data)] = data
    whole = (ctypes.c_char * len(area)).from_buffer(area)
    address = ctypes.addressof(whole)
    for at, length, access in (
        (0, page, _NOBODY),
        (page, pages * page, mmap.PROT_READ),
        ((pages + 1) * page, page, _NOBODY),
    ):
        if _libc.mprotect(ctypes.c_void_p(address + at), length, access) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    return memoryview(whole).cast("B")[start : start + len(data)].toreadonly()


def run_case(mutator: mutate.Mutator, seed: int, case: int) -> None:
    """One case, from its numbers alone."""
    rng = random.Random(f"{seed}/{case}")
    typename, metadata, buffers = mutator.changed(rng)
    views = [guarded(data, rng.random() < 0.8) for data in buffers]
    writable = rng.random() < 0.2
    in_parts = rng.random() < 0.2
    try:
        if in_parts:
            value: Any = decode_parts(metadata, views)
        else:
            value = decode(typename, metadata, views, pickle=False, writable=writable)
    except (VineyardException, NotEncoded, ImportError):
        return
    except MemoryError as error:
        raise Finding("memory ran out in decode") from error
    except BaseException as error:
        raise Finding(f"decode raised {type(error).__name__}") from error
    try:
        touch(value)
    except MemoryError as error:
        raise Finding(f"memory ran out in the use of a {type(value).__name__}") from error


def decode_parts(metadata: str, views: list[memoryview]) -> list[Any]:
    """What `Client.iter_parts` makes of a stored value."""
    parts = parts_of(metadata, Decoder(views, pickle=False))
    return [part.make(Decoder(views, pickle=False)) for part in parts or ()]


def child(seed: int, cases: range, progress: str) -> int:
    """Runs cases in this process, which it bounds, and writes down which one runs."""
    mutator = mutate.Mutator(list(corpus.corpus().values()))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    faulthandler.enable(all_threads=False)
    with open(progress, "w") as running:
        for case in cases:
            os.pwrite(running.fileno(), f"{case:20}".encode(), 0)
            signal.alarm(SECONDS_PER_CASE)
            run_case(mutator, seed, case)
            signal.alarm(0)
    return 0


def batch(seed: int, cases: range, directory: Path) -> tuple[int, str, str] | None:
    """Runs cases in a process of their own; which went wrong, how, and what it said; or None."""
    progress = directory / "case"
    command = [sys.executable, __file__, "--seed", str(seed), "--case", str(cases.start)]
    command += ["--count", str(len(cases)), "--progress", str(progress)]
    with open(directory / "log", "w+", errors="replace") as log:
        done = subprocess.run(command, stdout=log, stderr=log, check=False)
        if done.returncode == 0:
            return None
        log.seek(0)
        said = log.readlines()[-60:]
    how = f"exit code {done.returncode}"
    if done.returncode < 0:
        number = signal.Signals(-done.returncode)
        how = "hangs" if number == signal.SIGALRM else f"ended by {number.name}"
    return int(progress.read_text()), how, "".join(said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="by default another one each time")
    parser.add_argument("--case", type=int, default=None, help="this case alone, and shown first")
    parser.add_argument("--count", type=int, default=0, help="so many cases from that one")
    parser.add_argument("--progress", default=os.devnull, help="a file for the case that runs")
    parser.add_argument("--most", type=int, default=5, help="ends after so many findings")
    options: Any = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    if options.count:
        return child(seed, range(options.case, options.case + options.count), options.progress)
    if options.case is not None:
        mutator = mutate.Mutator(list(corpus.corpus().values()))
        typename, metadata, buffers = mutator.changed(random.Random(f"{seed}/{options.case}"))
        print(typename, metadata, [b[:400] for b in buffers], sep="\n", flush=True)
        return child(seed, range(options.case, options.case + 1), os.devnull)
    return fuzz(seed, options.seconds, options.most)


def fuzz(seed: int, seconds: float, most: int) -> int:
    """Runs batches until the time is over, and tells what was found."""
    end, case, findings = time.monotonic() + seconds, 0, 0
    with tempfile.TemporaryDirectory() as name:
        while time.monotonic() < end and findings < most:
            found = batch(seed, range(case, case + BATCH), Path(name))
            case += BATCH
            if found is not None:
                findings += 1
                at, how, said = found
                case = at + 1
                print(
                    f"finding: {how}: fuzz_codecs.py --seed {seed} --case {at}\n{said}", flush=True
                )
    print(f"fuzz: codecs: {case} cases with seed {seed}, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the same corpus in each process
        os.environ["PYTHONHASHSEED"] = "0"
        os.environ["RUST_BACKTRACE"] = "0"  # what polars would print takes gigabytes to find out
        os.execv(sys.executable, [sys.executable, *sys.argv])
    sys.exit(main())
