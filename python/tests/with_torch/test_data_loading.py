# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One stored dataset, loaded by several processes."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

EXAMPLE = Path(__file__).parents[3] / "examples" / "data_loading"
sys.path.insert(0, str(EXAMPLE))

from samples import ListDataset, StoredDataset, generate  # noqa: E402


def test_memory_stays_flat_whatever_the_number_of_workers():
    done = subprocess.run(
        [sys.executable, EXAMPLE / "run.py", "--rows", "65536", "--workers", "4", "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    results = json.loads(done.stdout)
    assert len({r["checksum"] for r in results}) == 1
    taken = {(r["held"], r["start"]): r["extra"] / r["data"] for r in results}
    for start in ("fork", "spawn"):
        assert taken["store", start] < 2, taken
        assert taken["store", start] < taken["memory", start] / 2, taken


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("read_before", [False, True])
def test_batches_are_those_of_the_same_dataset_in_memory(client, start, read_before):
    rows = 1000
    stored = StoredDataset(client, client.put(generate(rows)))
    if read_before:
        assert len(stored) == rows
    expected = list(DataLoader(ListDataset(rows), batch_size=64))
    options = {"num_workers": 2, "multiprocessing_context": start}
    for _ in range(2):
        batches = list(DataLoader(stored, batch_size=64, **options))
        assert len(batches) == len(expected)
        for (a, b), (x, y) in zip(batches, expected, strict=True):
            assert torch.equal(a, x)
            assert torch.equal(b, y)
    client.delete(stored.ref)


def test_what_a_dataset_may_hold_can_be_pickled(client):
    ref = client.put(generate(3))
    meta = client.get_meta(ref)
    other, same, description = pickle.loads(pickle.dumps((client, ref, meta)))
    with other:
        assert same == ref == description.id
        assert description.typename == meta.typename
        assert torch.equal(other.get(same)["samples"], generate(3)["samples"])
