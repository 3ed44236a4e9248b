# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Loads one dataset with several workers, and shows how much memory all processes take together.

    python run.py --rows 1000000 --workers 4

Each line of the table is one epoch in a new process with new workers. Memory is PSS, the
proportional set size: a page that n processes map counts 1/n for each, so the sum counts each page
once. (RSS counts shared pages in every process, and so can't tell sharing from copying.) The
processes of vineyardd are in the sum.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
import zlib

import torch
import vineyard
from torch.utils.data import DataLoader
from vineyard.deploy.local import start_vineyardd

from samples import FEATURES, ListDataset, StoredDataset, generate

BATCH = 256
NOTHING = BATCH  # rows of a dataset that is only there to see what the processes take without


def children(pid):
    """All processes below one."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            for child in file.read().split():
                found += [int(child), *children(int(child))]
    return found


def pss(pids):
    """Bytes that processes take, shared pages divided among those that share them."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024


def load(dataset, start, workers):
    """An epoch: a checksum of all batches, and what all the processes take at its end."""
    warnings.filterwarnings("ignore", "This DataLoader will create")  # more than cores: as told
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        generator=torch.Generator().manual_seed(11),
        num_workers=workers,
        multiprocessing_context=start,
        persistent_workers=True,  # alive when they are measured
    )
    checksum = 0
    for samples, labels in loader:
        checksum = zlib.crc32(samples.numpy(), zlib.crc32(labels.numpy(), checksum))
    return checksum, pss([os.getpid(), *children(os.getpid())])


def one_epoch(options):
    """What a process of its own does: one line of the table, as JSON."""
    if options.held == "store":
        client = vineyard.connect(options.socket, pickle=False)
        dataset = StoredDataset(client, vineyard.ObjectID(options.ref))
    else:
        dataset = ListDataset(options.rows)
    checksum, taken = load(dataset, options.start, options.workers)
    print(json.dumps({"checksum": checksum, "pss": taken}))


def measure(held, start, workers, rows, socket="", ref="", instance=0):
    command = [sys.executable, __file__, "--held", held, "--start", start, "--rows", str(rows)]
    command += ["--workers", str(workers), "--socket", socket, "--ref", ref]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout)
    if instance:
        result["pss"] += pss([instance, *children(instance)])
    return {"held": held, "start": start, "rows": rows, **result}


def run(rows, workers):
    """All lines of the table. ``pss`` is in bytes; ``extra``, over the same without data."""
    results = []
    nbytes = rows * (FEATURES * 4 + 8)
    with start_vineyardd(size=2 * nbytes + (64 << 20)) as (process, socket, _):
        with vineyard.connect(socket) as client:
            ref = client.put(generate(rows))
        for start in ("fork", "spawn"):
            nothing = measure("memory", start, workers, NOTHING)["pss"]
            for held in ("store", "memory"):
                where = (socket, str(ref), process.pid) if held == "store" else ()
                result = measure(held, start, workers, rows, *where)
                results.append({**result, "extra": result["pss"] - nothing, "data": nbytes})
    return results


def show(results, workers):
    nbytes = results[0]["data"]
    print(f"{results[0]['rows']:,} samples, {nbytes >> 20:,} MiB, {workers} workers\n")
    print("held in   workers   PSS of all   without the processes' own   of the data")
    for r in results:
        mib = f"{r['pss'] >> 20:,} MiB", f"{r['extra'] >> 20:,} MiB"
        share = r["extra"] / nbytes
        print(f"{r['held']:<9} {r['start']:<7} {mib[0]:>12}   {mib[1]:>26}   {share:10.1f}×")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=500_000, help="samples of 1 KiB (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for name in ("--held", "--start", "--socket", "--ref"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.held:
        one_epoch(options)
        return
    results = run(options.rows, options.workers)
    if options.json:
        print(json.dumps(results))
    else:
        show(results, options.workers)
    if len({r["checksum"] for r in results}) > 1:
        sys.exit("error: the batches differ")


if __name__ == "__main__":
    main()
