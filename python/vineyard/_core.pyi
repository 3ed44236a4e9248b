# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""The C++ client. Programs use the package above it; buffers are whatever has the buffer protocol.

Errors are those of `vineyard.errors`. Timeouts are in seconds; None is the connection's default.
"""

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from typing_extensions import Buffer

class ObjectID:
    """The 64-bit name of an object or a blob in one volume of one instance.

    Made from an integer, from its text (``"o"`` and 16 hexadecimal digits) or from another one.
    """

    @overload
    def __init__(self, value: int = 0) -> None: ...
    @overload
    def __init__(self, value: str) -> None: ...
    @overload
    def __init__(self, value: ObjectID) -> None: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object) -> bool: ...
    def __ne__(self, other: object) -> bool: ...
    def __lt__(self, other: ObjectID) -> bool: ...
    @property
    def is_blob(self) -> bool: ...
    @property
    def uri(self) -> str:
        """``vineyard://o...``"""
    @staticmethod
    def from_uri(uri: str) -> ObjectID: ...

class Blob:
    """Immutable bytes in the store, readable through the buffer protocol.

    They stay readable for as long as this object or any view of it lives.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def slice(self, offset: int, length: int) -> Blob: ...
    @property
    def id(self) -> ObjectID: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def typename(self) -> str:
        """``vineyard::Blob``, as programs ask that tell blobs from other objects."""
    @property
    def islocal(self) -> bool: ...
    @property
    def isglobal(self) -> bool: ...
    @property
    def is_empty(self) -> bool: ...
    @property
    def address(self) -> int: ...
    @property
    def zero_copy(self) -> bool:
        """Whether these are the pages that the writer filled; False for copies of small blobs."""
    def private(self) -> PrivateBytes:
        """The same bytes, writable; see `map_private`."""

class PrivateBytes:
    """Bytes of this process's own, writable through the buffer protocol."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Allocator:
    """Memory in the store for allocations of this process, used again while it is warm. All allocators
    of one client share what they count."""

    @property
    def threshold(self) -> int:
        """Bytes of the smallest array that it gives memory for."""
    @property
    def allocations(self) -> int:
        """How often it has given memory."""
    @property
    def reused(self) -> int:
        """How often that was warm: some that had been freed without having been put."""
    @property
    def declined(self) -> int:
        """How often the ordinary allocator had to serve: the store had no memory, or no answer."""
    @property
    def bytes_used(self) -> int:
        """In arrays that have not been put."""
    @property
    def bytes_idle(self) -> int:
        """Freed, and kept for the next array. Goes back to the instance after five seconds."""
    def give_back(self) -> None:
        """Gives back at once what is idle."""

class Memory:
    """Memory that `Client.allocate` gave, writable through the buffer protocol."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class BlobBuilder:
    """A blob while it is written: writable through the buffer protocol until it is sealed.

    Dropped unsealed, its memory goes back to the instance.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> int: ...
    def __setitem__(self, index: int, value: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    @overload
    def copy(self, offset: int, address: int, size: int, concurrency: int = 1) -> None:
        """Copies `size` bytes of this process's memory; ValueError where there is none."""
    @overload
    def copy(self, offset: int, buffer: Buffer, concurrency: int = 1) -> None:
        """Copies the bytes of `buffer` to `offset`. IndexError beyond the end. `concurrency` is that of
        older programs, and has no effect."""
    def seal(self, client: Any) -> Blob:
        """Makes the bytes immutable and the blob visible."""
    def abort(self, client: Any = None) -> None:
        """Gives the memory back now."""
    @property
    def id(self) -> ObjectID:
        """Refers to nothing before the seal, for small blobs."""
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def sealed(self) -> bool: ...
    @property
    def address(self) -> int: ...

class ObjectInfo:
    """All that an object is, short of its buffers' bytes."""

    @property
    def id(self) -> ObjectID: ...
    @property
    def typename(self) -> str: ...
    @property
    def metadata(self) -> str: ...
    @property
    def buffers(self) -> list[tuple[ObjectID, int, int]]: ...
    @property
    def members(self) -> dict[str, ObjectID]: ...
    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def created_unix_ns(self) -> int: ...
    @property
    def creator_pid(self) -> int: ...
    @property
    def creator_uid(self) -> int: ...
    @property
    def creator_pod(self) -> str: ...
    @property
    def creator_program(self) -> str: ...
    @property
    def nbytes(self) -> int: ...

class NameInfo:
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> ObjectID: ...
    @property
    def version(self) -> int: ...
    @property
    def ttl(self) -> float | None:
        """Seconds that the name has still; None: it stays."""
    @property
    def linger(self) -> float | None:
        """Seconds that it stays after the end of the client it lives with; None: with none."""
    @property
    def client_pid(self) -> int:
        """Process of that client; 0: there is none."""
    @property
    def durable(self) -> bool: ...
    @property
    def keep(self) -> bool:
        """What it points to stays in memory."""

class StreamWriter:
    def put(
        self,
        typename: str,
        metadata: str,
        buffers: Iterable[Buffer | Blob],
        members: dict[str, ObjectID] | None = None,
        labels: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> ObjectID:
        """The next chunk; waits for room, without a timeout as long as it takes."""
    def put_blob(self, builder: BlobBuilder, timeout: float | None = None) -> ObjectID: ...
    def push(self, chunk: ObjectID, owns: bool = False, timeout: float | None = None) -> None: ...
    def finish(self, timeout: float | None = None) -> None: ...
    def fail(self, reason: str, timeout: float | None = None) -> None: ...
    @property
    def stream(self) -> ObjectID: ...

class StreamReader:
    def next(self, timeout: float | None = None) -> ObjectID | None:
        """The next chunk, None behind the last; waits, without a timeout as long as it takes."""
    def close(self, timeout: float | None = None) -> None: ...
    @property
    def stream(self) -> ObjectID: ...

class StreamInfo:
    @property
    def finished(self) -> bool: ...
    @property
    def failed(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def capacity(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def queued(self) -> int: ...
    @property
    def readers_wanted(self) -> int: ...
    @property
    def readers_come(self) -> int: ...
    @property
    def writer_pid(self) -> int: ...
    @property
    def readers(self) -> list[tuple[int, int]]:
        """Of each its process id (0: gone) and the chunk it takes next."""

class VolumeInfo:
    @property
    def name(self) -> str: ...
    @property
    def socket(self) -> str: ...
    @property
    def read_only_socket(self) -> str: ...
    @property
    def quota(self) -> int: ...
    @property
    def guaranteed(self) -> int:
        """Memory that other volumes leave to it."""
    @property
    def memory_held(self) -> int:
        """Memory it has, everything counted: what `guaranteed` is compared with."""
    @property
    def memory_usage(self) -> int: ...
    @property
    def objects(self) -> int: ...
    @property
    def names(self) -> int: ...
    @property
    def connections(self) -> int: ...
    @property
    def durable(self) -> bool: ...

class InstanceStatus:
    """What an instance says of itself and of the volume asked about. Memory is in bytes."""

    @property
    def instance_uuid(self) -> str: ...
    @property
    def instance_id(self) -> int: ...
    @property
    def version(self) -> str: ...
    @property
    def deployment(self) -> str: ...
    @property
    def volume(self) -> str: ...
    @property
    def read_only(self) -> bool: ...
    @property
    def generation(self) -> int: ...
    @property
    def former_program(self) -> bool:
        """The program that is installed does not serve: the one before it does."""
    @property
    def on_probation(self) -> bool:
        """Another program has taken over: if it ends by a fault now, the one before comes back."""
    @property
    def memory_usage(self) -> int: ...
    @property
    def memory_limit(self) -> int: ...
    @property
    def memory_held(self) -> int: ...
    @property
    def memory_lingering(self) -> int: ...
    @property
    def memory_overhead(self) -> int: ...
    @property
    def memory_ready(self) -> int: ...
    @property
    def instance_limit(self) -> int: ...
    @property
    def objects(self) -> int: ...
    @property
    def blobs(self) -> int: ...
    @property
    def names(self) -> int: ...
    @property
    def leases(self) -> int:
        """Names, and objects without one, that live with a client."""
    @property
    def connections(self) -> int: ...
    @property
    def ipc_connections(self) -> int: ...
    @property
    def rpc_connections(self) -> int: ...
    @property
    def spilled_bytes(self) -> int:
        """Of this volume, on the disk only: not in `memory_usage`."""
    @property
    def spilled_blobs(self) -> int: ...
    @property
    def disk_bytes(self) -> int:
        """Of all volumes' files; copies of what is in memory are among them."""
    @property
    def loads(self) -> int: ...
    @property
    def evictions(self) -> int: ...
    @property
    def damaged(self) -> int:
        """Blobs that could not be brought back from the disk."""
    @property
    def memory_guaranteed(self) -> int:
        """What other volumes leave to this one."""
    @property
    def memory_kept(self) -> int:
        """Free, and kept for other volumes, to which it is guaranteed."""
    @property
    def not_on_disk(self) -> int:
        """Durable records whose files are not yet what they should be."""
    @property
    def set_aside(self) -> int:
        """Files of durable records that were found damaged when the engine began."""
    @property
    def not_restored(self) -> int:
        """Those that it left on the disk: there was no memory, or they have another format."""
    @property
    def kept_by_names(self) -> int:
        """Of this volume, bytes that names keep in memory."""
    @property
    def waiting(self) -> int: ...
    @property
    def deferred_requests(self) -> int: ...

class Places:
    """Where the large parts of an object lie. What is small is always in memory."""

    @property
    def memory_bytes(self) -> int: ...
    @property
    def spilled_bytes(self) -> int: ...
    @property
    def in_use(self) -> bool: ...
    @property
    def pinned(self) -> bool: ...
    @property
    def durable(self) -> bool: ...
    @property
    def kept(self) -> bool: ...
    @property
    def holders(self) -> list[dict[str, Any]]:
        """Who has a part of it mapped or pinned; see `vineyard.figures.ClientInfo`."""

class Client:
    """A connection to one volume. Any thread may use it; a call that waits holds up no other."""

    def __init__(
        self, socket: str, timeout: float = 60.0, wait_for_instance: float = 0.0
    ) -> None: ...
    def put(
        self,
        typename: str,
        metadata: str,
        buffers: Iterable[Blob | Buffer],
        members: Mapping[str, ObjectID] | None = None,
        labels: Mapping[str, str] | None = None,
        timeout: float | None = None,
        name: str | None = None,
        if_version: int | None = None,
        ttl: float | None = None,
        linger: float | None = None,
        copy: bool | None = None,
        progress: Callable[[int, int], object] | None = None,
        durability: str | None = None,
        keep: bool = False,
    ) -> ObjectID:
        """`progress` is called with the bytes copied, and of how many; what it raises ends the put."""
    def get(
        self, key: ObjectID | str, wait: bool = False, timeout: float | None = None
    ) -> tuple[str, str, tuple[bytes | Blob, ...], dict[str, ObjectID] | None, ObjectID]:
        """Typename, metadata, buffers, members and id of an object by id or name (a str)."""
    def put_many(
        self,
        parts: Iterable[
            tuple[str, str, Iterable[Blob | Buffer], Mapping[str, ObjectID] | None, str]
        ],
        timeout: float | None = None,
    ) -> builtins.list[ObjectID | BaseException]:
        """An id for each, or why it was not stored. What `parts` raises is the last.

        Typename, metadata, buffers, members and a name (or ""): asked for one by one, while those
        before are stored.
        """
    def get_many(
        self, ids: builtins.list[ObjectID], timeout: float | None = None
    ) -> builtins.list[
        tuple[str, str, tuple[bytes | Blob, ...], dict[str, ObjectID] | None, ObjectID] | Exception
    ]:
        """As `get` for each, or why it was not found."""
    def get_info(
        self, key: ObjectID | str, wait: bool = False, timeout: float | None = None
    ) -> ObjectInfo: ...
    def exists(self, id: ObjectID, timeout: float | None = None) -> bool: ...
    def delete(
        self,
        ids: builtins.list[ObjectID],
        force: bool = False,
        deep: bool = True,
        timeout: float | None = None,
    ) -> int: ...
    def list(
        self,
        pattern: str = "*",
        regex: bool = False,
        limit: int | None = None,
        include_parts: bool = False,
        timeout: float | None = None,
    ) -> builtins.list[ObjectInfo]: ...
    def set_labels(
        self, id: ObjectID, labels: dict[str, str], timeout: float | None = None
    ) -> None: ...
    def load(
        self,
        ids: builtins.list[ObjectID],
        pin: bool = False,
        timeout: float | None = None,
        wait: bool = True,
    ) -> None:
        """`wait` False: only asks for it. They come back meanwhile, and a get tells what became of them."""
    def unpin(self, ids: builtins.list[ObjectID], timeout: float | None = None) -> None: ...
    def evict(self, ids: builtins.list[ObjectID], timeout: float | None = None) -> None: ...
    def make_durable(self, ids: builtins.list[ObjectID], timeout: float | None = None) -> None: ...
    def places(self, id: ObjectID, timeout: float | None = None) -> Places: ...
    # Dicts of what vineyard/figures.py describes.
    def figures(self, all: bool = False, timeout: float | None = None) -> dict[str, Any]: ...
    def list_clients(
        self, all: bool = False, timeout: float | None = None
    ) -> builtins.list[dict[str, Any]]: ...
    def list_waits(
        self, all: bool = False, timeout: float | None = None
    ) -> builtins.list[dict[str, Any]]: ...
    def trace(
        self, after: int = 0, all: bool = False, timeout: float | None = None
    ) -> dict[str, Any]: ...
    def why(self, id: ObjectID, timeout: float | None = None) -> dict[str, Any]: ...
    def survey(
        self, timeout: float | None = None
    ) -> builtins.list[tuple[ObjectInfo, int, builtins.list[str]]]:
        """Objects that are no part of others, each with what a list tells of it alone; with the bytes
        of all their parts, and their names."""
    def make_allocator(self, threshold: int, limit: int) -> Allocator:
        """`limit` 0: half of what the volume may hold."""
    def allocate(self, size: int, timeout: float | None = None) -> Memory:
        """Memory in the store, not initialised; up to `inline_max` bytes, of this process."""
    def placements(
        self, buffers: Sequence[Buffer], copy: bool | None = None
    ) -> builtins.list[tuple[str, int]]:
        """See `placements`; for a put by this client."""
    def create_blob(self, size: int, timeout: float | None = None) -> BlobBuilder: ...
    def seal(self, builder: BlobBuilder, timeout: float | None = None) -> Blob: ...
    def get_blob(self, id: ObjectID, timeout: float | None = None) -> Blob: ...
    def put_name(
        self,
        name: str,
        id: ObjectID,
        if_version: int | None = None,
        owns: bool = False,
        ttl: float | None = None,
        linger: float | None = None,
        timeout: float | None = None,
        durability: str | None = None,
        keep: bool = False,
    ) -> int: ...
    def get_name(self, name: str, wait: bool = False, timeout: float | None = None) -> NameInfo: ...
    def drop_name(
        self, name: str, if_version: int | None = None, timeout: float | None = None
    ) -> None: ...
    def create_stream(
        self, id: ObjectID, capacity: int = 16, readers: int = 1, timeout: float | None = None
    ) -> None: ...
    def open_stream_writer(self, id: ObjectID, timeout: float | None = None) -> StreamWriter: ...
    def open_stream_reader(self, id: ObjectID, timeout: float | None = None) -> StreamReader: ...
    def drop_stream(self, id: ObjectID, timeout: float | None = None) -> None: ...
    def get_stream(self, id: ObjectID, timeout: float | None = None) -> StreamInfo: ...
    def list_names(
        self,
        pattern: str = "*",
        regex: bool = False,
        prefix: bool = False,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> builtins.list[NameInfo]: ...
    def status(self, timeout: float | None = None) -> InstanceStatus: ...
    def create_volume(
        self,
        name: str,
        directory: str,
        quota: int = 0,
        timeout: float | None = None,
        read_only_socket: str = "",
        mode: int = 0o660,
        read_only_mode: int = 0o660,
        guaranteed: int = 0,
        durability: str | None = None,
    ) -> VolumeInfo: ...
    def list_volumes(self, timeout: float | None = None) -> builtins.list[VolumeInfo]: ...
    def remove_volume(self, name: str, timeout: float | None = None) -> None: ...
    def close(self) -> None: ...
    @property
    def socket(self) -> str: ...
    @property
    def volume(self) -> str: ...
    @property
    def inline_max(self) -> int: ...
    @property
    def connected(self) -> bool: ...
    @property
    def timeout(self) -> float: ...

def placements(
    buffers: Sequence[Buffer], copy: bool | None = None
) -> builtins.list[tuple[str, int]]:
    """What a put would do with each buffer, and the size of the memory it was allocated in: "own"
    (not allocated in the store), "in place", "referred", or why it copies: "small part", "changed",
    "elsewhere", "refused", "forced", "habit"."""

def map_private(
    buffers: Sequence[bytes | Blob],
) -> builtins.list[bytearray | PrivateBytes]:
    """The same bytes, writable: what is written is seen by this process alone.

    Of blobs that are pages of the store the same pages, mapped copy-on-write, so that only pages
    written to take memory; of others, and where the bytes have been deleted, a copy.
    """

def copy_buffers(
    buffers: Sequence[bytes | Blob], progress: Callable[[int, int], object] | None = None
) -> builtins.list[bytearray]:
    """The same bytes, in memory of this process's own; `progress` as for `Client.put`."""

def pack_texts(texts: builtins.list[str]) -> tuple[bytes, bytes]:
    """The UTF-8 of all texts, one after another, lone surrogates passed through; and how many
    characters each has, 8 bytes a number."""

def unpack_texts(texts: bytes | Blob, lengths: bytes | Blob) -> builtins.list[str]:
    """The reverse; ValueError where the two don't belong together."""

def find_socket(
    socket: str | None = None, config: str | None = None, run_directory: str = "/var/run"
) -> str | None:
    """The socket of the instance that a program was told of; None if it was not, and there is none."""

def find_setting(
    key: str, config: str | None = None, run_directory: str = "/var/run"
) -> str | None:
    """A key of the configuration file that `find_socket` would read; None if it is not set."""

def version() -> str: ...
def make_handler(allocator: Allocator) -> object:
    """A numpy allocation handler that asks `allocator` first, then the handler that is current now."""

def set_handler(handler: object) -> object:
    """Makes it that of the current context; returns the one it had."""

def set_default_allocator(allocator: Allocator | None) -> None:
    """What numpy's default handler asks first, in every thread."""

def missing_huge_pages() -> str:
    """Empty where shared memory gets huge pages; else what a person could do."""
