# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""One dataset, twice: in a store, and as Python objects. Both give the same samples."""

import torch
from torch.utils.data import Dataset

FEATURES = 256


def generate(rows):
    """Samples of 256 features (1 KiB each) and their labels: float32 (rows, 256), int64 (rows,)."""
    generator = torch.Generator().manual_seed(7)
    samples = torch.rand(rows, FEATURES, generator=generator)
    return {"samples": samples, "labels": torch.arange(rows) % 10}


class StoredDataset(Dataset):
    """Samples in a volume, mapped by each process that asks for one.

    Parameters
    ----------
    client : vineyard.Client
        A copy of it, in a process that was spawned or forked, connects on its own.
    ref : ObjectID
        What ``client.put(generate(rows))`` gave.
    """

    def __init__(self, client, ref):
        self.client = client
        self.ref = ref
        self._data = None

    def __getstate__(self):
        return {
            **self.__dict__,
            "_data": None,
        }  # the reference goes to other processes, not the data

    @property
    def data(self):
        if self._data is None:
            self._data = self.client.get(self.ref)  # maps, copies nothing
        return self._data

    def __len__(self):
        return len(self.data["labels"])

    def __getitem__(self, index):
        return self.data["samples"][index], self.data["labels"][index]


class ListDataset(Dataset):
    """The same samples as a list of bytes, as encoded images or texts are often held."""

    def __init__(self, rows):
        data = generate(rows)
        self.samples = [sample.numpy().tobytes() for sample in data["samples"]]
        self.labels = data["labels"].tolist()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        sample = torch.frombuffer(bytearray(self.samples[index]), dtype=torch.float32)
        return sample, torch.tensor(self.labels[index])
