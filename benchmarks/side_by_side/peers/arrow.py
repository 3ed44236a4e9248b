# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Arrow IPC files on /dev/shm, mapped by the reader: tables, frames, arrays as a column."""

from __future__ import annotations

from typing import Any

import numpy as np

from side_by_side.peers.peer import Address, CannotDo, FileClient
from side_by_side.peers.pickle_shm import Server as ShmServer


class Server(ShmServer):
    title = "Arrow IPC + mmap"
    settings = "files on /dev/shm, pyarrow.memory_map; frames by Table.from_pandas"


class Client(FileClient):
    packages = ("pyarrow", "pandas")

    def __init__(self, address: Address) -> None:
        import pandas as pd
        import pyarrow as pa

        super().__init__(address)
        self._pa, self._pd = pa, pd

    def put(self, value: Any) -> Any:
        pa = self._pa
        if isinstance(value, pa.Table):
            kind, table = "table", value
        elif isinstance(value, self._pd.DataFrame):
            # The reader's Arrow gives strings of its own type for Python's: it is told of neither.
            kind, table = "frame", pa.Table.from_pandas(value)
        elif isinstance(value, np.ndarray) and value.ndim == 1:
            kind, table = "array", pa.table({"x": value})
        else:
            raise CannotDo("tables, frames and arrays of one dimension alone")
        path = self.new_path()
        with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        return kind, path

    def get(self, key: Any) -> Any:
        kind, path = key
        pa = self._pa
        table = pa.ipc.open_file(pa.memory_map(path)).read_all()
        if kind == "table":
            return table
        if kind == "frame":
            return table.to_pandas()
        return table.column(0).chunk(0).to_numpy()

    def delete(self, keys: Any) -> None:
        super().delete([path for _, path in keys])
