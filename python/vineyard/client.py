# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Client: a program's way into one volume of an instance."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from vineyard import _core, contexts
from vineyard._core import Blob, InstanceStatus, ObjectID
from vineyard.codecs import NotEncoded, decode, encode
from vineyard.codecs._core import corrupted
from vineyard.errors import (
    InvalidException,
    NeedsClusterException,
    ObjectNotExistsException,
    TypeErrorException,
)
from vineyard.objects import BLOBS_KEY, Object, ObjectMeta

#: What names an object in a call.
Ref: TypeAlias = "ObjectID | Object | ObjectMeta | str | int"


def to_id(ref: Any) -> ObjectID:
    """The ObjectID of anything that names an object: an ObjectID, an Object, ObjectMeta, a Blob,
    a text like ``"o0000000000000001"``, or an integer."""
    if type(ref) is ObjectID:
        return ref
    if isinstance(ref, (Object, ObjectMeta, Blob)):
        return ref.id
    if isinstance(ref, (str, int)) and not isinstance(ref, bool):
        if isinstance(ref, int) and not 0 <= ref < 2**64:
            raise InvalidException(f"{ref} is no object id: ids are integers of 64 bits")
        return ObjectID(ref)
    raise TypeErrorException(f"a value of type {type(ref).__name__} names no object")


def to_name(name: Any) -> str:
    """A name, checked as far as the instance could not say it better."""
    if not isinstance(name, str):
        raise TypeErrorException(f"a name is a str, not a {type(name).__name__}")
    if not name:
        raise InvalidException("a name can't be empty")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidException(f"{name!r} can't be a name: it is no Unicode text") from None
    return name


class Client:
    """A connection to one volume of an instance. Programs get it from `vineyard.connect`.

    Threads may share it; a call that waits holds up no other. After a fork the child's calls open a
    connection of their own. Everything got from a client outlives it.

    Every call has a deadline: ``timeout=`` in seconds, or what was said to `connect` (60 s).

    Parameters
    ----------
    socket : str
        Path of the volume's socket.
    timeout : float
        Seconds that connecting, and every later call by default, may take.
    pickle : bool
        Whether values without a codec of their own are stored by pickle, and pickles are loaded.
        Pickles run code that their writer chose.
    wait : float
        Seconds to wait for an instance to come up.

    Examples
    --------
    >>> import vineyard
    >>> with vineyard.connect() as client:  # doctest: +SKIP
    ...     ref = client.put({"x": [1.5, 2.5]})
    ...     client.get(ref)
    {'x': [1.5, 2.5]}
    """

    __slots__ = ("__weakref__", "_core", "_pickle")

    def __init__(
        self, socket: str, *, timeout: float = 60.0, pickle: bool = True, wait: float = 0.0
    ) -> None:
        self._core = _core.Client(socket, timeout, wait)
        self._pickle = pickle

    # ---- values

    def put(
        self,
        value: Any,
        builder: Any = None,
        persist: bool = False,
        name: str | None = None,
        *,
        if_version: int | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> ObjectID:
        """Stores a value, and returns when all clients of the volume see it.

        Parameters
        ----------
        value : object
        builder : callable, optional
            Stores the value instead: ``builder(client, value, **kwargs)``.
        persist : bool
            Has no effect on one instance: every object is visible to all clients of the volume.
        name : str, optional
            Points this name at the object, in the same step. The name becomes the owner: when it is
            pointed elsewhere or dropped, and nothing else refers to the object, the object goes.
        if_version : int, optional
            The version that `name` must have now (0: it must not exist).
        timeout : float, optional
            Seconds to wait, for memory above all.
        **kwargs
            For builders.

        Returns
        -------
        ObjectID

        Raises
        ------
        TypeErrorException
            The value can't be stored so that it comes back equal.
        NotEnoughMemoryException
            It does not fit: never, or not by the deadline.
        ConflictException
            `name` had another version.
        """
        if name is not None:
            name = to_name(name)
        if builder is not None or contexts.customised or kwargs:
            built = self._put_by_builder(value, builder, name, timeout, kwargs)
            if built is not None:
                return built
        typename, metadata, buffers, members = encode(value, pickle=self._pickle)
        return self._core.put(typename, metadata, buffers, members, None, name, if_version, timeout)

    def _put_by_builder(
        self, value: Any, builder: Any, name: str | None, timeout: float | None, kwargs: Any
    ) -> ObjectID | None:
        builders = contexts.get_current_builders()
        builder = builder or builders.find(type(value))
        if builder is None:
            if kwargs:
                raise TypeError(f"put() got unexpected keyword arguments {sorted(kwargs)}")
            return None
        made = builder(self, value, builder=builders, **kwargs)
        if isinstance(made, ObjectMeta) and made.id == ObjectID():
            made = self.create_metadata(made, timeout=timeout)
        ref = to_id(made)
        if name is not None:
            self._core.put_name(name, ref, None, timeout)
        return ref

    def get(
        self,
        object_id: Ref | None = None,
        name: str | None = None,
        resolver: Any = None,
        fetch: bool = False,
        *,
        wait: bool = False,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        """The value of an object, by id or by name.

        Parameters
        ----------
        object_id : ObjectID, str or int, optional
        name : str, optional
        resolver : callable, optional
            Makes the value instead: ``resolver(object, **kwargs)``.
        fetch : bool
            Has no effect on one instance.
        wait : bool
            By name: wait until there is one, for as long as the deadline allows.
        timeout : float, optional
            In seconds.

        Returns
        -------
        object
            Equal to what was put, of the same type, read-only. Objects that were composed from
            metadata come as `Object`, blobs as memoryview.

        Raises
        ------
        ObjectNotExistsException
            There is no such object, or no such name (a KeyError).
        PickleRefusedException
            It is a pickle, and this client was told to refuse those.
        """
        key: Any
        if object_id is None:
            if name is None:
                raise InvalidException("get needs an id or a name")
            key = to_name(name)
        else:
            key = object_id if type(object_id) is ObjectID else to_id(object_id)
            if name is not None:
                raise InvalidException("get by an id or by a name, not both")
            if key.is_blob:
                return memoryview(self._core.get_blob(key, timeout))
        if resolver is not None or contexts.customised:
            resolved = self._get_by_resolver(key, resolver, wait, timeout, kwargs)
            if resolved is not None:
                return resolved[0]
        if kwargs:
            raise TypeError(f"get() got unexpected keyword arguments {sorted(kwargs)}")
        typename, metadata, buffers, members = self._core.get(key, wait, timeout)
        try:
            if members is None:
                return decode(typename, metadata, buffers, pickle=self._pickle)
            return decode(
                typename,
                metadata,
                buffers,
                pickle=self._pickle,
                member=lambda key: self._member(members, key, timeout),
            )
        except NotEncoded:
            return Object(ObjectMeta.from_info(self._core.get_info(key, False, timeout), self))

    def _member(self, members: dict[str, ObjectID], key: str, timeout: float | None) -> Any:
        if key not in members:
            corrupted(f"it names member {key[:60]!r}, and has none of that name")
        return self.get(members[key], timeout=timeout)

    def _get_by_resolver(
        self, key: Any, resolver: Any, wait: bool, timeout: float | None, kwargs: Any
    ) -> tuple[Any] | None:
        info = self._core.get_info(key, wait, timeout)
        resolvers = contexts.get_current_resolvers()
        found = resolver or resolvers.find(info.typename)
        if found is None:
            return None
        obj = Object(ObjectMeta.from_info(info, self))
        return (found(obj, resolver=resolvers, **kwargs),)

    # ---- objects and their metadata

    def create_metadata(
        self,
        metadata: ObjectMeta | Sequence[ObjectMeta],
        instance_id: int | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """Stores an object that was composed from metadata, members and blobs.

        Returns
        -------
        ObjectMeta, or a list of them for a list
        """
        if not isinstance(metadata, ObjectMeta):
            return [self.create_metadata(m, timeout=timeout) for m in metadata]
        if not metadata.typename:
            raise InvalidException("the metadata has no 'typename'")
        content = {
            k: v for k, v in metadata._content.items() if k not in ("id", "typename", BLOBS_KEY)
        }
        members = {}
        for key, member in metadata._members.items():
            if isinstance(member, ObjectMeta):
                member = self.create_metadata(member, timeout=timeout).id
            members[key] = to_id(member)
        buffers = list(metadata._blobs.values())
        if buffers:
            content[BLOBS_KEY] = {key: i for i, key in enumerate(metadata._blobs)}
        ref = self._core.put(
            metadata.typename,
            json.dumps(content, allow_nan=False),
            buffers,
            members or None,
            None,
            None,
            None,
            timeout,
        )
        return self.get_meta(ref, timeout=timeout)

    def get_meta(
        self, object_id: Ref, sync_remote: bool = False, *, timeout: float | None = None
    ) -> ObjectMeta:
        """The description of an object; no bytes are mapped."""
        return ObjectMeta.from_info(self._core.get_info(to_id(object_id), False, timeout), self)

    def get_metas(
        self, object_ids: Sequence[Ref], sync_remote: bool = False, *, timeout: float | None = None
    ) -> list[ObjectMeta]:
        return [self.get_meta(ref, timeout=timeout) for ref in object_ids]

    def get_object(
        self,
        object_id: Ref,
        sync_remote: bool = False,
        fetch: bool = False,
        *,
        timeout: float | None = None,
    ) -> Object:
        """The object itself, not its value."""
        return Object(self.get_meta(object_id, timeout=timeout))

    def get_objects(
        self, object_ids: Sequence[Ref], sync_remote: bool = False, *, timeout: float | None = None
    ) -> list[Object]:
        return [self.get_object(ref, timeout=timeout) for ref in object_ids]

    def exists(self, object_id: Ref, *, timeout: float | None = None) -> bool:
        """Whether there is such an object or blob."""
        return self._core.exists(to_id(object_id), timeout)

    def delete(
        self,
        object_id: Ref | Sequence[Ref],
        force: bool = False,
        deep: bool = True,
        memory_trim: bool = False,
        *,
        timeout: float | None = None,
    ) -> int:
        """Deletes objects and all their names. What readers have mapped stays readable for them.

        Parameters
        ----------
        object_id : one that names an object, or a sequence of such
        force : bool
            Objects of which these are members go too, instead of an error.
        deep : bool
            Members that nothing else refers to go too.

        Returns
        -------
        int
            How many objects went.
        """
        many = isinstance(object_id, (list, tuple, set, frozenset))
        refs: Any = object_id if many else [object_id]
        return self._core.delete([to_id(ref) for ref in refs], force, deep, timeout)

    def list_metadatas(
        self,
        pattern: str = "*",
        regex: bool = False,
        limit: int | None = 5,
        nobuffer: bool = False,
        *,
        include_parts: bool = False,
        timeout: float | None = None,
    ) -> list[ObjectMeta]:
        """Descriptions of the objects whose typename matches.

        Parameters
        ----------
        pattern : str
            A glob (``*``, ``?``, ``[...]``), or a regular expression with `regex`.
        limit : int, optional
            At most this many; None for all.
        include_parts : bool
            Also members of other objects, and blobs.
        """
        if limit is not None and limit < 0:
            raise InvalidException(f"a limit is not negative: {limit}")
        infos = self._core.list(pattern, regex, limit, include_parts, timeout)
        return [ObjectMeta.from_info(info, self) for info in infos]

    def list_objects(
        self,
        pattern: str = "*",
        regex: bool = False,
        limit: int | None = 5,
        *,
        include_parts: bool = False,
        timeout: float | None = None,
    ) -> list[Object]:
        """The objects whose typename matches; as `list_metadatas`."""
        metas = self.list_metadatas(
            pattern, regex, limit, include_parts=include_parts, timeout=timeout
        )
        return [Object(meta) for meta in metas]

    def shallow_copy(
        self,
        object_id: Ref,
        extra_metadata: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> ObjectID:
        """Another object with the same buffers and members, and `extra_metadata` besides."""
        typename, metadata, buffers, members = self._core.get(to_id(object_id), False, timeout)
        if extra_metadata:
            metadata = json.dumps({**json.loads(metadata), **extra_metadata}, allow_nan=False)
        return self._core.put(typename, metadata, buffers, members, None, None, None, timeout)

    def persist(self, object_id: Ref, *, timeout: float | None = None) -> None:
        """Succeeds for every object that exists: one instance has nobody to publish it to."""
        ref = to_id(object_id)
        if not self._core.exists(ref, timeout):
            raise ObjectNotExistsException(f"no object {ref!r}")

    def label(
        self,
        object_id: Ref,
        key_or_labels: str | Mapping[str, str],
        value: str | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Adds or replaces labels: ``label(id, "key", "value")`` or ``label(id, {...})``."""
        if isinstance(key_or_labels, str):
            if value is None:
                raise InvalidException(f"label {key_or_labels!r} has no value")
            labels = {key_or_labels: value}
        else:
            labels = dict(key_or_labels)
        for key, text in labels.items():
            if not isinstance(key, str) or not isinstance(text, str):
                raise TypeErrorException("labels are texts")
        self._core.set_labels(to_id(object_id), labels, timeout)

    def labels(self, object_id: Ref, *, timeout: float | None = None) -> dict[str, str]:
        """The labels of an object."""
        return self._core.get_info(to_id(object_id), False, timeout).labels

    def clear(self, *, timeout: float | None = None) -> None:
        """Deletes every object and name of this volume; blobs made alone stay."""
        while infos := self._core.list("*", False, 1000, True, timeout):
            for info in infos:
                with contextlib.suppress(ObjectNotExistsException):
                    self._core.delete([info.id], True, True, timeout)

    # ---- names

    def put_name(
        self,
        object_id: Ref,
        name: str,
        *,
        if_version: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Points a name at an object; the name does not become its owner.

        Returns
        -------
        int
            The version of the name: 1 for its first object, then 2, ...
        """
        return self._core.put_name(to_name(name), to_id(object_id), if_version, timeout)

    def get_name(self, name: str, wait: bool = False, *, timeout: float | None = None) -> ObjectID:
        """The object that a name points to; with `wait`, as soon as there is one."""
        return self._core.get_name(to_name(name), wait, timeout).id

    def drop_name(
        self, name: str, *, if_version: int | None = None, timeout: float | None = None
    ) -> None:
        """Takes a name away; an object that it owned goes, unless something else refers to it."""
        self._core.drop_name(to_name(name), if_version, timeout)

    def list_names(
        self,
        pattern: str = "*",
        regex: bool = False,
        limit: int | None = None,
        *,
        prefix: bool = False,
        timeout: float | None = None,
    ) -> dict[str, ObjectID]:
        """Names that match, and what they point to.

        Parameters
        ----------
        pattern : str
            A glob; a regular expression with `regex`; what names begin with, with `prefix`.
        limit : int, optional
            At most this many; None for all.
        """
        if limit is not None and limit < 0:
            raise InvalidException(f"a limit is not negative: {limit}")
        infos = self._core.list_names(pattern, regex, prefix, limit, timeout)
        return {info.name: info.id for info in infos}

    # ---- blobs

    def create_blob(self, size: int | Sequence[int], *, timeout: float | None = None) -> Any:
        """Memory of `size` bytes, all zero, to be filled and sealed; a list for a list of sizes.

        Returns
        -------
        BlobBuilder, or a list of them
        """
        if not isinstance(size, int):
            return [self.create_blob(s, timeout=timeout) for s in size]
        if not 0 <= size < 2**63:
            raise InvalidException(f"a blob can't have {size} bytes")
        return self._core.create_blob(size, timeout)

    def create_empty_blob(self) -> Blob:
        """A blob of no bytes."""
        return self._core.seal(self._core.create_blob(0))

    def get_blob(
        self, object_id: Ref, unsafe: bool = False, *, timeout: float | None = None
    ) -> Blob:
        """A sealed blob."""
        return self._core.get_blob(to_id(object_id), timeout)

    def get_blobs(
        self, object_ids: Sequence[Ref], unsafe: bool = False, *, timeout: float | None = None
    ) -> list[Blob]:
        return [self.get_blob(ref, timeout=timeout) for ref in object_ids]

    # ---- the instance and the connection

    @property
    def status(self) -> InstanceStatus:
        """What the instance says of itself: memory in bytes, objects, names, connections."""
        return self._core.status()

    @property
    def instance_id(self) -> int:
        return self._core.status().instance_id

    @property
    def version(self) -> str:
        """Version of the instance."""
        return self._core.status().version

    @property
    def ipc_socket(self) -> str:
        return self._core.socket

    @property
    def volume(self) -> str:
        """Name of the volume that this client sees."""
        return self._core.volume

    @property
    def connected(self) -> bool:
        """False once closed. Does not ask the instance."""
        return self._core.connected

    @property
    def is_ipc(self) -> bool:
        return True

    @property
    def is_rpc(self) -> bool:
        return False

    @property
    def rpc_endpoint(self) -> str:
        return ""

    @property
    def timeout_seconds(self) -> float:
        """Default deadline of every call."""
        return self._core.timeout

    def fork(self) -> Client:
        """Another client of the same volume, with a connection of its own."""
        return Client(self._core.socket, timeout=self._core.timeout, pickle=self._pickle)

    def close(self) -> None:
        """Ends the connection. What was got from this client stays readable."""
        self._core.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return _reconnect, (self._core.socket, self._core.timeout, self._pickle)

    def __repr__(self) -> str:
        state = "" if self.connected else ", closed"
        return f"<vineyard.Client of volume {self.volume!r} at {self.ipc_socket!r}{state}>"

    # ---- what has no effect on one instance, and what needs several

    def sync_meta(self) -> None:
        """Nothing to do: there is one instance, and its answers are current."""

    def memory_trim(self) -> bool:
        """Nothing to do: memory goes back when objects go."""
        return False

    def release_object(self, object_id: Ref) -> None:
        """Nothing to do: memory is held by values, not by this client."""

    def release_objects(self, object_ids: Sequence[Ref]) -> None:
        """Nothing to do: memory is held by values, not by this client."""

    @contextlib.contextmanager
    def with_compression(self, enabled: bool = True) -> Iterator[None]:
        """Nothing to do: nothing is sent over a network."""
        yield

    @contextlib.contextmanager
    def with_spread(self, enabled: bool = True) -> Iterator[None]:
        """Nothing to do: there is one instance."""
        yield

    def migrate(self, object_id: Ref) -> NoReturn:
        _needs_cluster("migrate()")

    def create_remote_blob(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("create_remote_blob()")

    def get_remote_blob(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("get_remote_blob()")

    def get_remote_blobs(self, *args: Any, **kwargs: Any) -> NoReturn:
        _needs_cluster("get_remote_blobs()")

    @property
    def remote_instance_id(self) -> int:
        _needs_cluster("remote_instance_id")

    @property
    def meta(self) -> NoReturn:
        _needs_cluster("meta (the cluster's members)")


def _reconnect(socket: str, timeout: float, pickle: bool) -> Client:
    return Client(socket, timeout=timeout, pickle=pickle)


def _needs_cluster(what: str) -> NoReturn:
    raise NeedsClusterException(f"{what} needs a cluster: this instance runs alone")
