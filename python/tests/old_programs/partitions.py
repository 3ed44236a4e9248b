# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Writers of several processes store partitions, of which a tensor and a frame are made."""

import json
import multiprocessing

import numpy as np
import pandas as pd
import vineyard
from vineyard.data.dataframe import make_global_dataframe
from vineyard.data.tensor import make_global_tensor


def write_block(i, j):
    client = vineyard.connect()
    ref = client.put(np.full((4, 5), 10 * i + j), partition_index=(i, j))
    client.persist(ref)
    return int(ref)


def write_rows(number):
    client = vineyard.connect().fork()
    frame = pd.DataFrame({"x": np.arange(3) + 3 * number, "y": list("abc")})
    ref = client.put(frame, partition_index=[number, 0], row_batch_index=number)
    client.persist(ref)
    return repr(ref)


def read_rows(uri):
    return vineyard.connect().get(vineyard.ObjectID.from_uri(uri))["x"].sum()


def main():
    client = vineyard.connect()
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        blocks = pool.starmap(write_block, [(i, j) for i in range(2) for j in range(3)])
        rows = pool.map(write_rows, range(4))

    tensor = make_global_tensor(client, np.array(blocks), {"partition_shape_": "[4, 5]"}).id
    meta = client.get_meta(tensor)
    assert meta.typename == "vineyard::GlobalTensor"
    assert meta.isglobal
    parts = {}
    for n in range(int(meta["partitions_-size"])):
        part = meta.get_member(f"partitions_-{n}")
        assert int(part.meta["instance_id"]) == client.instance_id
        parts[tuple(json.loads(part.meta["partition_index_"]))] = client.get(part.meta.id)
    whole = np.block([[parts[i, j] for j in range(3)] for i in range(2)])
    assert whole.shape == (8, 15)
    assert whole[-1, -1] == 12
    assert sum(part.sum() for part in client.get(tensor)) == whole.sum()

    frame = make_global_dataframe(client, [vineyard.ObjectID(text) for text in rows]).id
    meta = client.get_meta(frame, sync_remote=True)
    chunks = [meta[f"partitions_-{n}"] for n in range(meta["partitions_-size"])]
    assert [chunk["partition_index_row_"] for chunk in chunks] == [0, 1, 2, 3]
    assert [chunk["partition_index_column_"] for chunk in chunks] == [0] * 4
    assert [chunk["row_batch_index_"] for chunk in chunks] == [0, 1, 2, 3]
    assert all(chunk.islocal for chunk in chunks)
    frames = [client.get(chunk.id) for chunk in chunks]
    assert pd.concat(frames)["x"].tolist() == list(range(12))
    assert [len(part) for part in client.get(frame)] == [3] * 4

    with context.Pool(2) as pool:
        sums = pool.map(read_rows, [vineyard.ObjectID(text).uri for text in rows])
    assert sum(sums) == sum(range(12))
    client.delete(frame, deep=True)
    assert not client.exists(vineyard.ObjectID(rows[0]))


if __name__ == "__main__":
    main()
