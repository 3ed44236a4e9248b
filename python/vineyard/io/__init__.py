# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Reading and writing by URL, through functions that are registered for a scheme.

>>> from vineyard import io
>>> def read_numbers(path, socket, **options):
...     return [1, 2, 3]
>>> io.read.register("numbers", read_numbers)
>>> io.open("numbers://anywhere", vineyard_ipc_socket="/run/vineyard.sock")
[1, 2, 3]

No scheme is registered here: those of files, HDFS, S3 and OSS belong to packages of their own. The
streams that they fill are here: `Stream`, `ByteStream`, `RecordBatchStream`, `DataframeStream`; see
`vineyard.io.stream`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vineyard.core.driver import registered, registerize
from vineyard.errors import InvalidException, NotImplementedException, VineyardException

if TYPE_CHECKING:
    from vineyard.io.byte import ByteStream
    from vineyard.io.dataframe import DataframeStream
    from vineyard.io.files import deserialize, serialize
    from vineyard.io.recordbatch import RecordBatchStream
    from vineyard.io.stream import Stream, StreamCollection

__all__ = [
    "ByteStream",
    "DataframeStream",
    "RecordBatchStream",
    "Stream",
    "StreamCollection",
    "deserialize",
    "open",
    "read",
    "serialize",
    "write",
]

#: Schemes that older programs use, and what to do until something is registered for them.
_KNOWN = {
    "file": "read the file (pandas.read_csv, numpy.load, ...), and put the value",
    "hdfs": "read it with pyarrow.fs or fsspec, and put the value",
    "hive": "read it with the tools of Hive, and put the value",
    "s3": "read it with pyarrow.fs or s3fs, and put the value",
    "oss": "read it with fsspec, and put the value",
    "vineyard": "get the value by its id or name",
}


@registerize
def read(path: str, *args: Any, vineyard_ipc_socket: str | None = None, **kwargs: Any) -> Any:
    """What the last function registered for the scheme of a path reads there.

    Parameters
    ----------
    path : str
        A URL.
    vineyard_ipc_socket : str, optional
        The instance to read into; by default the one that `vineyard.connect` finds.
    *args, **kwargs
        For the function, which is called as ``function(path, socket, *args, **kwargs)``. Where it
        returns None or fails, the one registered before is tried.

    Raises
    ------
    NotImplementedException
        Nothing is registered for the scheme.
    """
    return _dispatch(read, path, (), vineyard_ipc_socket, args, kwargs)


@registerize
def write(
    path: str, stream: Any, *args: Any, vineyard_ipc_socket: str | None = None, **kwargs: Any
) -> Any:
    """Has the last function registered for the scheme of a path write there; as `read`, with
    `stream` after the path."""
    return _dispatch(write, path, (stream,), vineyard_ipc_socket, args, kwargs)


def open(path: str, *args: Any, mode: str = "r", **kwargs: Any) -> Any:
    """`read` or, with mode ``"w"``, `write`; a path without a scheme is a file's."""
    if not urlsplit(path).scheme:
        path = f"file://{path}"
    if mode not in ("r", "w"):
        raise InvalidException(f"mode is 'r' or 'w', not {mode!r}")
    return (read if mode == "r" else write)(path, *args, **kwargs)


def _dispatch(
    function: Any, path: str, what: tuple[Any, ...], socket: str | None, args: Any, kwargs: Any
) -> Any:
    scheme = urlsplit(path).scheme
    ways = registered(function, scheme)
    verb = function.__name__
    if not ways:
        instead = _KNOWN.get(scheme)
        raise NotImplementedException(
            f"nothing is registered to {verb} {scheme}:// (vineyard.io.{verb}.register): "
            + (f"it needs a package of its own; {instead}" if instead else "is the scheme right?")
        )
    if socket is None:
        from vineyard.connecting import find_socket

        socket = find_socket()
    failed: list[Exception] = []
    for way in reversed(ways):
        try:
            done = way(path, *what, socket, *args, **kwargs)
        except Exception as error:
            failed.append(error)
            continue
        if done is not None or what:
            return done
    if not failed:
        raise VineyardException(f"what is registered to {verb} {scheme}:// takes none of '{path}'")
    if len(failed) == 1:
        raise failed[0]
    raise VineyardException(
        f"can't {verb} '{path}': " + "; ".join(f"{type(e).__name__}: {e}" for e in failed)
    ) from failed[0]


#: Name -> the module that has it. They are met when they are asked for.
_ELSEWHERE = {
    "deserialize": "files",
    "serialize": "files",
    "ByteStream": "byte",
    "DataframeStream": "dataframe",
    "RecordBatchStream": "recordbatch",
    "Stream": "stream",
    "StreamCollection": "stream",
}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(import_module(f"vineyard.io.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module 'vineyard.io' has no attribute {name!r}")
