# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Says what is in a table: a digest of it, in the last line.

Usage, in the project's folder and with its Python: digests.py ENVIRONMENT TABLE

Two tables have the same digest if they have the same class, columns, types, index, and values to the bit: of numbers
every byte counts, of text its bytes and what is missing, not how Arrow has cut it into chunks.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def digest(table: pd.DataFrame | pd.Series) -> str:
    """Return the digest of a table."""
    found = hashlib.sha256()
    add_values(found, table.index.to_series(index=range(len(table))))
    found.update(f"{type(table).__name__} {type(table.index).__name__}".encode())
    if isinstance(table, pd.Series):
        add_values(found, table)
    else:
        found.update(repr([table.columns.dtype, list(table.columns)]).encode())
        for position in range(table.shape[1]):
            add_values(found, table.iloc[:, position])
    return found.hexdigest()


def add_values(found: Any, column: pd.Series) -> None:
    """Add a column to a digest: its name, its type, its values."""
    found.update(repr([column.name, str(column.dtype), len(column)]).encode())
    values = column.array
    if isinstance(column.dtype, pd.StringDtype):
        for part in text_parts(values):
            found.update(part)
    else:
        plain = column.to_numpy()
        if plain.dtype.hasobject:
            raise TypeError(f"column {column.name!r} holds Python objects, which have no bytes")
        found.update(np.ascontiguousarray(plain).view(np.uint8).data)


def text_parts(values: Any) -> list[Any]:
    """Return what text consists of, as bytes: what is missing, how long each string is, and all their bytes.

    Examples
    --------
    >>> [bytes(part) for part in text_parts(pd.array(["ab", None, "c"], dtype="str"))][2]
    b'abc'
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    arrow = pa.array(values, type=pa.large_string(), from_pandas=True)
    if isinstance(arrow, pa.ChunkedArray):
        arrow = pa.concat_arrays([*arrow.chunks, pa.array([], pa.large_string())])
    missing = np.asarray(arrow.is_null().cast(pa.uint8()))
    lengths = np.asarray(pc.fill_null(pc.binary_length(arrow), 0))
    filled = pc.fill_null(arrow, "")
    offsets = np.frombuffer(filled.buffers()[1], np.int64)[filled.offset :][: len(filled) + 1]
    text = np.frombuffer(filled.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return [missing.data, np.ascontiguousarray(lengths).data, np.ascontiguousarray(text).data]


def load(environment: str, table: str) -> pd.DataFrame | pd.Series:
    """Return a table that the project has in an environment."""
    if environment == "vineyard":
        # By its name in the store: whatever run it belongs to.
        import vineyard

        with vineyard.connect() as client:
            names = client.list_names("", prefix=True)
            (name,) = [name for name in names if name.rpartition("/")[2] == table]
            return client.get(name=name)

    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(Path.cwd())
    with KedroSession.create(env=environment) as session:
        return session.load_context().catalog.load(table)


if __name__ == "__main__":
    print(digest(load(*sys.argv[1:])))
