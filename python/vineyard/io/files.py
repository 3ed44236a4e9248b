# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects as files: with their members and buffers, as they lie in the store.

A file is a header of 32 bytes (magic, length and CRC-32 of the description), the description (JSON: the
objects, members before those they belong to; where their buffers are), and the buffers, each at a
multiple of 64 bytes. It is for the same release or a later one, on machines of any kind; nothing in it is
run when it is read, except pickles where a get allows them.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from vineyard._core import Blob, ObjectID
from vineyard.calls.refs import Ref, to_id
from vineyard.errors import CorruptedException, NotImplementedException, VineyardException

if TYPE_CHECKING:
    from vineyard.client import Client

_HEADER = struct.Struct("<8sQQII")
_MAGIC = b"VYFILE\x00\x01"
_ALIGN = 64


def serialize(
    path: str | os.PathLike[str],
    object_id: Ref,
    *,
    type: str | None = None,
    client: Client | None = None,
    vineyard_ipc_socket: str | None = None,
) -> None:
    """Writes an object, with its members and buffers, to a file, which is there whole or not at all.

    Parameters
    ----------
    path : str or path
        A path, or a URL ``file://``. A file that is there is replaced.
    object_id : ObjectID, Object, ObjectMeta or str
    type : str, optional
        Of older programs; has no effect.
    client : Client, optional
        Of the volume that has the object; by default that of `vineyard_ipc_socket`, or the one that
        `vineyard.connect` finds.

    Raises
    ------
    ObjectNotExistsException
        There is no such object.
    OSError
        The file can't be written.
    """
    target = _local(path)
    with _connected(client, vineyard_ipc_socket) as source:
        objects, buffers = _collect(source, to_id(object_id))
        places = _places(buffers)
        description = {"objects": objects, "buffers": places}
        text = json.dumps(description, separators=(",", ":")).encode()
        made, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with open(made, "wb") as out:
                out.write(_HEADER.pack(_MAGIC, len(text), len(buffers), zlib.crc32(text), 0))
                out.write(text)
                for buffer, (offset, _, _) in zip(buffers, places, strict=True):
                    out.seek(_start(len(text)) + offset)
                    out.write(buffer)
                out.flush()
                os.fsync(out.fileno())
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def deserialize(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    client: Client | None = None,
    vineyard_ipc_socket: str | None = None,
) -> ObjectID:
    """Stores the object that `serialize` wrote to a file, under a new id.

    Parameters
    ----------
    path : str or path
    name : str, optional
        Points this name at the object, which goes with it.
    client, vineyard_ipc_socket
        As of `serialize`.

    Returns
    -------
    ObjectID

    Raises
    ------
    CorruptedException
        The file is cut off, damaged, or none of these. Nothing was stored.
    """
    objects, buffers = _read(_mapped(_local(path)))
    with _connected(client, vineyard_ipc_socket) as target:
        made: list[ObjectID] = []
        try:
            for one in objects:
                made.append(_store(target, one, buffers, made))
            if name is not None:
                target._core.put_name(name, made[-1], None, True)
        except BaseException:
            for ref in reversed(made):
                with contextlib.suppress(VineyardException):
                    target._core.delete([ref], False, False)
            raise
        return made[-1]


def _store(
    client: Client, one: dict[str, Any], buffers: list[memoryview], made: list[ObjectID]
) -> ObjectID:
    parts = [buffers[b] for b in one["buffers"]]
    if one["typename"] is None:
        builder = client.create_blob(parts[0].nbytes)
        builder.copy(0, parts[0])
        sealed: Blob = builder.seal(client)
        return sealed.id
    members = {key: made[m] for key, m in one["members"].items()}
    return client._core.put(
        one["typename"], one["metadata"], parts, members or None, one["labels"] or None
    )


# ---- writing


def _collect(client: Client, root: ObjectID) -> tuple[list[dict[str, Any]], list[memoryview]]:
    """The objects, members first, and the different buffers that they have."""
    objects: list[dict[str, Any]] = []
    buffers: list[memoryview] = []
    places: dict[ObjectID, int] = {}
    stored: dict[tuple[int, int], int] = {}  # where a blob's bytes lie: buffer

    def number_of(buffer: Any) -> int:
        view = memoryview(buffer)
        key = (buffer.address, view.nbytes) if isinstance(buffer, Blob) else None
        if key is not None and key in stored:
            return stored[key]
        buffers.append(view)
        if key is not None:
            stored[key] = len(buffers) - 1
        return len(buffers) - 1

    waiting = [root]
    while waiting:
        ref = waiting[-1]
        if ref.is_blob:
            waiting.pop()
            if ref not in places:
                places[ref] = len(objects)
                blob = number_of(client.get_blob(ref))
                objects.append(_described(None, "", {}, {}, [blob]))
            continue
        info = client._core.get_info(ref)
        missing = [m for m in info.members.values() if m not in places]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        if ref in places:
            continue
        typename, metadata, parts, members, _ = client._core.get(ref)
        places[ref] = len(objects)
        refs = {key: places[m] for key, m in (members or {}).items()}
        numbers = [number_of(part) for part in parts]
        objects.append(_described(typename, metadata, info.labels, refs, numbers))
    return objects, buffers


def _described(
    typename: str | None,
    metadata: str,
    labels: dict[str, str],
    members: dict[str, int],
    buffers: list[int],
) -> dict[str, Any]:
    """An object of a file; without a typename, a blob that is a member."""
    return {
        "typename": typename,
        "metadata": metadata,
        "labels": labels,
        "members": members,
        "buffers": buffers,
    }


def _places(buffers: list[memoryview]) -> list[tuple[int, int, int]]:
    """Offset, length and CRC-32 of each."""
    made = []
    at = 0
    for view in buffers:
        made.append((at, view.nbytes, zlib.crc32(view)))
        at = _round_up(at + view.nbytes)
    return made


# ---- reading


def _read(data: mmap.mmap) -> tuple[list[dict[str, Any]], list[memoryview]]:
    """The objects and the buffers of a file, checked."""
    view = memoryview(data)
    if len(view) < _HEADER.size or bytes(view[:8]) != _MAGIC:
        raise CorruptedException("this is no file of vineyard.io.serialize")
    _, length, _, checksum, _ = _HEADER.unpack_from(view)
    text = bytes(view[_HEADER.size : _HEADER.size + length])
    if len(text) != length or zlib.crc32(text) != checksum:
        raise CorruptedException("the file's description is cut off or damaged")
    try:
        description = json.loads(text)
        objects, places = description["objects"], description["buffers"]
        start = _start(length)
        buffers = [view[start + at : start + at + size] for at, size, _ in places if at >= 0]
        if not objects or not all(_is_sound(one, i, len(places)) for i, one in enumerate(objects)):
            raise ValueError("it describes no object")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptedException(f"the file's description makes no sense: {error!r}") from None
    for buffer, (_, size, crc) in zip(buffers, places, strict=False):
        if len(buffer) != size or zlib.crc32(buffer) != crc:
            raise CorruptedException("the file is cut off, or bytes in it have changed")
    return objects, buffers


def _is_sound(one: dict[str, Any], number: int, buffers: int) -> bool:
    """Whether an object refers to objects before it and to buffers that are there."""
    is_blob = one["typename"] is None
    return (
        (is_blob or isinstance(one["typename"], str))
        and isinstance(one["metadata"], str)
        and all(isinstance(text, str) for pair in one["labels"].items() for text in pair)
        and all(type(m) is int and 0 <= m < number for m in one["members"].values())
        and all(type(b) is int and 0 <= b < buffers for b in one["buffers"])
        and (not is_blob or len(one["buffers"]) == 1)
    )


def _mapped(path: Path) -> mmap.mmap:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < _HEADER.size:
            raise CorruptedException(f"'{path}' is no file of vineyard.io.serialize")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


# ---- both


def _start(length: int) -> int:
    """Where the buffers begin behind a description of so many bytes."""
    return _round_up(_HEADER.size + length)


def _round_up(n: int) -> int:
    return (n + _ALIGN - 1) // _ALIGN * _ALIGN


def _local(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme and "://" in text:
        raise NotImplementedException(
            f"objects are written to files of this machine, not to {parts.scheme}://; write a "
            "file, and copy it there"
        )
    return Path(text)


@contextlib.contextmanager
def _connected(client: Client | None, socket: str | None) -> Iterator[Client]:
    if client is not None:
        yield client
        return
    from vineyard.connecting import connect

    with connect(socket) as made:
        yield made
