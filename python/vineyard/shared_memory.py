# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Blocks of shared memory, with the interface of `multiprocessing.shared_memory`.

The difference: a block is written by the process that made it, and seen by others from `freeze` (or
`close`) on, when nobody can write to it any more.

>>> import vineyard
>>> from vineyard.shared_memory import ShareableList, SharedMemory
>>> client = vineyard.connect()  # doctest: +SKIP
>>> block = SharedMemory(client, create=True, size=5)  # doctest: +SKIP
>>> block.buf[:] = b"hello"  # doctest: +SKIP
>>> block.freeze().name  # doctest: +SKIP
'o8000000000000001'
"""

from __future__ import annotations

import struct
import uuid
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from vineyard._core import Blob, BlobBuilder, ObjectID
from vineyard.client import Client
from vineyard.codecs.tree import corrupted
from vineyard.errors import (
    InvalidException,
    ObjectNotSealedException,
    ObjectSealedException,
    TypeErrorException,
)

__all__ = ["ShareableList", "SharedMemory"]


class SharedMemory:
    """A block of bytes in the store.

    Parameters
    ----------
    client : Client
    name : str, ObjectID or int, optional
        Of a block that was frozen; not with `create`.
    create : bool
        Whether to make a new block, of zeros.
    size : int
        Bytes of a new block, at least 1.

    Raises
    ------
    ObjectNotExistsException
        There is no frozen block of that name (a KeyError).
    """

    def __init__(
        self,
        client: Client,
        name: str | ObjectID | int | None = None,
        create: bool = False,
        size: int = 0,
    ) -> None:
        self._client = client
        self._builder: BlobBuilder | None = None
        self._blob: Blob | None = None
        self._alias: str | None = None  # of one whose id is not known before it is sealed
        if create:
            if size <= 0:
                raise InvalidException(f"a new block has at least one byte: size={size}")
            if name is not None:
                raise InvalidException(f"a new block gets its name from the store: name={name!r}")
            self._builder = client.create_blob(size)
            self._buf: memoryview | None = memoryview(self._builder)
        else:
            if name is None:
                raise InvalidException("which block? give its name, or create=True")
            if size:
                warnings.warn("size= has no effect on a block that exists", stacklevel=2)
            if isinstance(name, str) and name.startswith(_ALIAS):
                self._alias = name
                name = client.get_name(name)
            self._blob = client.get_blob(name)
            self._buf = memoryview(self._blob)

    @property
    def buf(self) -> memoryview | None:
        """The bytes: writable until the block is frozen, read-only then, None once unlinked."""
        return self._buf

    @property
    def name(self) -> str:
        """What other processes find the block by, once it is frozen."""
        if self._alias is not None:
            return self._alias
        known = self._blob.id if self._blob is not None else self._the_builder().id
        if known != ObjectID():
            return repr(known)
        self._alias = f"{_ALIAS}{uuid.uuid4().hex}"
        return self._alias

    @property
    def size(self) -> int:
        """In bytes."""
        return self._blob.size if self._blob is not None else self._the_builder().size

    def _the_builder(self) -> BlobBuilder:
        if self._builder is None:
            raise InvalidException("the block has been unlinked")
        return self._builder

    @property
    def frozen(self) -> bool:
        return self._blob is not None

    def freeze(self) -> SharedMemory:
        """Makes the block visible to others, and its bytes immutable."""
        if self._builder is not None:
            blob = self._builder.seal(self._client)
            self._blob, self._builder = blob, None
            self._buf = memoryview(blob)
            if self._alias is not None:
                self._client.put_name(blob.id, self._alias)
        return self

    def close(self) -> None:
        """As `freeze`: what was written is kept. A block that is dropped unfrozen is given back."""
        self.freeze()

    def unlink(self) -> None:
        """Deletes the block. Processes that have it keep its bytes."""
        builder, blob = self._builder, self._blob
        self._builder = self._blob = self._buf = None
        if blob is not None:
            self._client.delete(blob.id)
        elif builder is not None:
            builder.abort()

    def __reduce__(self) -> Any:
        if self._blob is None:
            raise ObjectNotSealedException(
                "freeze() the block before it is sent to another process"
            )
        return type(self), (self._client, self.name)

    def __repr__(self) -> str:
        if self._blob is None and self._builder is None:
            return f"{type(self).__name__}(unlinked)"
        return f"{type(self).__name__}({self.name!r}, size={self.size})"


#: What names begin with that stand for blocks whose id was not known when they were named.
_ALIAS = "shared-memory-"

# A list: the number of items, where the room of each begins and the last ends, then for each its kind
# and its length, then the rooms. All integers are little-endian, of 64 bits.
_INTEGER = struct.Struct("<q")
_FLOAT = struct.Struct("<d")
_KINDS: dict[type, int] = {type(None): 0, bool: 1, int: 2, float: 3, str: 4, bytes: 5}


class ShareableList:
    """A list of a fixed length in a block of shared memory: of None, bool, int (64 bits), float, str
    and bytes. Items may be replaced until it is frozen; a text or bytes by what fits into the room of
    the first one, which is its length rounded up to the next multiple of 8.

    Parameters
    ----------
    client : Client
    sequence : iterable, optional
        The items of a new list.
    name : str, optional
        That of the block of a list that was frozen.
    """

    def __init__(
        self,
        client: Client,
        sequence: Iterable[Any] | None = None,
        *,
        name: str | ObjectID | int | None = None,
    ) -> None:
        if name is not None and sequence is None:
            self.shm = SharedMemory(client, name)
            self._read_head()
            return
        if name is not None:
            warnings.warn("name= has no effect on a new list", stacklevel=2)
        items = [self._encoded(item) for item in sequence or ()]
        start = 8 * (1 + len(items) + 1 + 2 * len(items))
        self._rooms = [start]
        for _, data in items:
            self._rooms.append(self._rooms[-1] + 8 * (len(data) // 8 + 1))
        self.shm = SharedMemory(client, create=True, size=self._rooms[-1])
        self._put_integers(0, len(items), *self._rooms)
        for position, (kind, data) in enumerate(items):
            self._write(position, kind, data)

    def _read_head(self) -> None:
        size = self.shm.size
        if size < 16:
            corrupted(f"a list in {size} bytes")
        count = self._integer(0)
        if not 0 <= count <= size // 24:
            corrupted(f"a list of {count} items in {size} bytes")
        self._rooms = [self._integer(8 + 8 * i) for i in range(count + 1)]
        ordered = sorted(self._rooms) == self._rooms
        if not ordered or self._rooms[0] != 8 * (2 + 3 * count) or self._rooms[-1] != size:
            corrupted("the items of a list lie outside of it")

    def _bytes(self) -> memoryview:
        if self.shm.buf is None:
            raise InvalidException("the list has been unlinked")
        return self.shm.buf

    def _integer(self, offset: int) -> int:
        return int(_INTEGER.unpack_from(self._bytes(), offset)[0])

    def _put_integers(self, offset: int, *values: int) -> None:
        struct.pack_into(f"<{len(values)}q", self._bytes(), offset, *values)

    @staticmethod
    def _encoded(item: Any) -> tuple[int, bytes]:
        kind = _KINDS.get(type(item))
        if kind is None:
            raise TypeErrorException(
                f"a ShareableList holds None, bool, int, float, str and bytes, no {type(item).__name__}"
            )
        if isinstance(item, int):
            try:
                return kind, _INTEGER.pack(item)
            except struct.error:
                raise InvalidException(f"{item} does not fit into 64 bits") from None
        if isinstance(item, float):
            return kind, _FLOAT.pack(item)
        if isinstance(item, str):
            return kind, item.encode("utf-8", "surrogatepass")
        return kind, item or b""

    def _write(self, position: int, kind: int, data: bytes) -> None:
        start, end = self._rooms[position], self._rooms[position + 1]
        if len(data) > end - start:
            raise InvalidException(f"{len(data)} bytes do not fit into the room of {end - start}")
        self._put_integers(8 * (2 + len(self) + 2 * position), kind, len(data))
        self._bytes()[start : start + len(data)] = data

    def _position(self, position: int) -> int:
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError("index out of range")
        return position

    def __getitem__(self, position: int) -> Any:
        position = self._position(position)
        head = 8 * (2 + len(self) + 2 * position)
        kind, length = self._integer(head), self._integer(head + 8)
        start, end = self._rooms[position], self._rooms[position + 1]
        if not 0 <= length <= end - start or (kind in (1, 2, 3) and length != 8):
            corrupted(f"an item of {length} bytes in a room of {end - start}")
        data = bytes(self._bytes()[start : start + length])
        if kind == 0:
            return None
        if kind in (1, 2):
            number = int(_INTEGER.unpack(data)[0])
            return bool(number) if kind == 1 else number
        if kind == 3:
            return float(_FLOAT.unpack(data)[0])
        if kind == 4:
            try:
                return data.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                corrupted(str(error))
        if kind != 5:
            corrupted(f"an item of kind {kind}")
        return data

    def __setitem__(self, position: int, value: Any) -> None:
        if self.shm.frozen:
            raise ObjectSealedException("the list is frozen: it can't be written any more")
        self._write(self._position(position), *self._encoded(value))

    def __len__(self) -> int:
        return len(self._rooms) - 1

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def count(self, value: Any) -> int:
        """How many items are equal to this."""
        return sum(item == value for item in self)

    def index(self, value: Any) -> int:
        """Where the first item equal to this is; ValueError if there is none."""
        for position, item in enumerate(self):
            if item == value:
                return position
        raise ValueError(f"{value!r} is not in the list")

    def freeze(self) -> ShareableList:
        """Makes the list visible to others, and immutable."""
        self.shm.freeze()
        return self

    def __reduce__(self) -> Any:
        _, (client, name) = self.shm.__reduce__()
        return _attach, (client, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r}, name={self.shm.name!r})"


def _attach(client: Client, name: str) -> ShareableList:
    return ShareableList(client, name=name)
