# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Client: a program's way into one volume of an instance."""

from __future__ import annotations

from time import monotonic
from typing import Any, NamedTuple

from vineyard import _core, contexts
from vineyard._core import InstanceStatus, ObjectID
from vineyard.calls.blobs import BlobCalls
from vineyard.calls.building import BuildingCalls
from vineyard.calls.deadlines import Deadline
from vineyard.calls.elsewhere import ElsewhereCalls
from vineyard.calls.many import ManyCalls
from vineyard.calls.memory import MemoryCalls
from vineyard.calls.names import NameCalls
from vineyard.calls.objects import ObjectCalls
from vineyard.calls.parts import PartCalls, held_together
from vineyard.calls.places import PlaceCalls
from vineyard.calls.refs import Ref, to_id, to_name
from vineyard.calls.seeing import SeeingCalls
from vineyard.calls.sharing import NO_OPTIONS, PutOptions, note, store
from vineyard.calls.streams import StreamCalls
from vineyard.codecs import NotEncoded, decode, encode
from vineyard.codecs.tree import corrupted
from vineyard.composition import composed_value, with_place
from vineyard.contexts import Builder, Resolver
from vineyard.errors import (
    InvalidException,
    ObjectTypeErrorException,
)
from vineyard.explanation import Explanation, explain
from vineyard.objects import Object, ObjectMeta
from vineyard.progress import Progress, bar_over, copies
from vineyard.settings import allows_pickle, shows_bars


class _Access(NamedTuple):
    """What a get gives: the store's own pages, or a copy of them, or the same copy-on-write."""

    copy: bool = False
    writable: bool = False
    progress: Progress | None = None  # of the copy


_READ = _Access()


class Client(
    BuildingCalls,
    ManyCalls,
    ObjectCalls,
    NameCalls,
    BlobCalls,
    PartCalls,
    MemoryCalls,
    PlaceCalls,
    StreamCalls,
    SeeingCalls,
    ElsewhereCalls,
):
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
    pickle : bool, optional
        Whether values without a codec of their own are stored by pickle, and pickles are loaded.
        Pickles run code that their writer chose. By default as ``VINEYARD_PICKLE`` (``allow`` or
        ``refuse``) or the configuration file say, else only outside of Kubernetes.
    wait : float
        Seconds to wait for an instance to come up.
    progress : bool, optional
        Whether transfers that last more than a second show a bar, where stderr is a terminal. By
        default yes, unless the environment says ``VINEYARD_PROGRESS=off``.

    Examples
    --------
    >>> import vineyard
    >>> with vineyard.connect() as client:  # doctest: +SKIP
    ...     ref = client.put({"x": [1.5, 2.5]})
    ...     client.get(ref)
    {'x': [1.5, 2.5]}
    """

    __slots__ = ("__weakref__", "_bars", "_core", "_pickle", "_streams")

    def __init__(
        self,
        socket: str,
        *,
        timeout: float = 60.0,
        pickle: bool | None = None,
        wait: float = 0.0,
        progress: bool | None = None,
    ) -> None:
        self._pickle = allows_pickle(pickle)
        self._bars = shows_bars(progress)
        self._core = _core.Client(socket, timeout, wait)
        self._streams = {}

    # ---- values

    def put(
        self,
        value: Any,
        builder: Builder | None = None,
        persist: bool = False,
        name: str | None = None,
        *,
        if_version: int | None = None,
        ttl: float | None = None,
        linger: float | None = None,
        copy: bool | None = None,
        durability: str = "memory",
        keep: bool = False,
        timeout: float | None = None,
        progress: Progress | None = None,
        **kwargs: Any,
    ) -> ObjectID:
        """Stores a value, and returns when all clients of the volume see it.

        Parameters
        ----------
        value : object
        builder : callable, optional
            Stores the value instead: ``builder(client, value, **kwargs)``, which returns an
            ObjectID, ObjectMeta or Object.
        persist : bool
            Has no effect on one instance: every object is visible to all clients of the volume.
        name : str, optional
            Points this name at the object, in the same step. The name becomes the owner: when it is
            pointed elsewhere or dropped, and nothing else refers to the object, the object goes.
            What a builder had stored under another name, or before this call, it only refers to.
        if_version : int, optional
            The version that `name` must have now (0: it must not exist). Needs `name`.
        ttl : float, optional
            Seconds after which `name` is dropped, and the object with it if nothing else refers to it.
            Pointing the name anywhere before sets its time anew. Without `name`: of the object.
        linger : float, optional
            The same, this many seconds after this client has ended; 0: at once. It ends when it is
            closed or its process is gone; a lost connection, or a restart of the instance, ends
            nothing. None: what is stored does not depend on a client.
        copy : bool, optional
            Whether memory that lies in the store already is copied: arrays of `empty`, and what was
            got before. By default it is not; but where arrays of `empty` were mostly written to
            after they were put, some puts of such arrays copy, which costs less then. False: only
            what must be; True: everything. See `explain`.
        durability : {"memory", "disk"}
            "disk": the object, with its name and all that it refers to, outlives the instance and a
            loss of power; the put returns when it is on the disk. The instance needs
            ``--spill_path``. In a volume that was made durable everything is so.
        keep : bool
            For as long as `name` points to the object all of it stays in memory, with its members,
            however little it is used: see `put_name`. Needs `name`.
        timeout : float, optional
            Seconds to wait, for memory above all.
        progress : callable, optional
            Called in this thread with ``(done, total)``, the bytes copied and of how many: with 0
            before memory is waited for, then about every 64 MiB, then when all are copied. What it
            raises ends the put, and nothing is stored. Instead of the bar (see `connect`). What
            builders store they tell nobody of.
        **kwargs
            For builders. For values without one: ``partition_index``, ``row_batch_index`` and
            ``global_``, which say where in a larger value this one belongs (see
            `vineyard.composition`).

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
        NotImplementedException
            durability="disk", and the instance has no disk.
        """
        if name is not None:
            name = to_name(name)
        elif if_version is not None:
            raise InvalidException(f"if_version={if_version} is of a name, and there is no name")
        elif keep:
            raise InvalidException("it is a name that keeps an object in memory: give one")
        options = NO_OPTIONS
        timed = ttl is not None or linger is not None
        told = copy is not None or progress is not None or durability != "memory"
        if timed or name is not None or told:
            options = PutOptions(name, if_version, ttl, linger, copy, progress, durability, keep)
        if builder is not None or contexts.customised or kwargs:
            built = self._put_by_builder(value, builder, timeout, options, kwargs)
            if built is not None:
                return built
            if contexts.get_current_builders():
                return self._put_with_parts(value, timeout, options, kwargs)
        typename, metadata, buffers, members = encode(value, pickle=self._pickle)
        if kwargs:
            metadata = with_place(typename, metadata, kwargs)
        if progress is None and self._bars and (bar := bar_over(buffers, "put")) is not None:
            with bar:
                options = options._replace(progress=bar)
                return store(self._core, typename, metadata, buffers, members, timeout, options)
        return store(self._core, typename, metadata, buffers, members, timeout, options)

    def _with_core(self, core: _core.Client) -> Client:
        made = Client.__new__(Client)
        made._core = core
        made._pickle = self._pickle
        made._bars = self._bars
        made._streams = self._streams
        return made

    def get(
        self,
        object_id: Ref | None = None,
        name: str | None = None,
        resolver: Resolver | None = None,
        fetch: bool = False,
        *,
        wait: bool = False,
        copy: bool = False,
        writable: bool = False,
        timeout: float | None = None,
        progress: Progress | None = None,
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
        copy : bool
            The value gets memory of its own, and may be written to.
        writable : bool
            The value may be written to: its pages are those of the store until they are written to,
            and are copied then, one by one. Nobody else sees what is written.
        timeout : float, optional
            In seconds.
        progress : callable, optional
            With `copy`: called with ``(done, total)`` as in `put`. Of an object composed of others,
            for each part by itself.

        Returns
        -------
        object
            Equal to what was put, of the same type, read-only unless asked for otherwise. Objects
            that were composed from metadata come as `Object`, blobs as memoryview.

        Raises
        ------
        ObjectNotExistsException
            There is no such object, or no such name (a KeyError).
        PickleRefusedException
            It is a pickle, and this client was told to refuse those.
        """
        access = _READ
        if copy or writable or progress is not None:
            access = _Access(copy, writable and not copy, progress)
            if progress is not None and not copy:
                raise InvalidException(
                    "get copies nothing, and has no progress to report, without copy=True"
                )
        key: ObjectID | str
        if object_id is None:
            if name is None:
                raise InvalidException("get needs an id or a name")
            key = to_name(name)
        else:
            key = object_id if type(object_id) is ObjectID else to_id(object_id)
            if name is not None:
                raise InvalidException("get by an id or by a name, not both")
            if key.is_blob:
                return self._blob_view(key, access, timeout)
        if resolver is not None or contexts.customised:
            return self._get_customised(key, resolver, access, wait, timeout, kwargs)
        if kwargs:
            raise TypeError(f"get() got unexpected keyword arguments {sorted(kwargs)}")
        return self._get_value(key, access, wait, timeout)

    def _get_value(
        self, key: ObjectID | str, access: _Access, wait: bool, timeout: float | None
    ) -> Any:
        """The value by codecs alone."""
        began = monotonic()
        try:
            typename, metadata, buffers, members, ref = self._core.get(key, wait, timeout)
        except ObjectTypeErrorException:  # the name points to a blob
            deadline = Deadline(timeout, self._core, began)
            named = self._core.get_name(key, wait, deadline.left()).id if type(key) is str else key
            return self._blob_view(to_id(named), access, deadline.left())
        own: Any = buffers
        if access is _READ:
            note(buffers)
        elif access.copy:
            own = copies(buffers, access.progress, self._bars)
        else:
            own = _core.map_private(buffers)
        try:
            if members is None:
                return decode(
                    typename, metadata, own, pickle=self._pickle, writable=access is not _READ
                )
            deadline = Deadline(timeout, self._core, began)
            with held_together():
                return decode(
                    typename,
                    metadata,
                    own,
                    pickle=self._pickle,
                    writable=access is not _READ,
                    member=lambda member: self._member(members, member, access, deadline),
                )
        except NotEncoded:
            deadline = Deadline(timeout, self._core, began)
            info = self._core.get_info(ref, False, deadline.left())
            obj = Object(ObjectMeta.from_info(info, self))
            with held_together():
                return composed_value(obj, deadline, **access._asdict())

    def _member(
        self, members: dict[str, ObjectID], key: str, access: _Access, deadline: Deadline
    ) -> Any:
        if key not in members:
            corrupted(f"it names member {key[:60]!r}, and has none of that name")
        return self.get(members[key], **access._asdict(), timeout=deadline.left())

    def _blob_view(self, ref: ObjectID, access: _Access, timeout: float | None) -> memoryview:
        blob = self.get_blob(ref, timeout=timeout)
        if access.copy:
            return memoryview(copies([blob], access.progress, self._bars)[0])
        return memoryview(blob.private() if access.writable else blob)

    def explain(self, value: Any) -> Explanation:
        """What a put and a get of a value, or of the object of an ObjectID, copy; see
        `vineyard.explain`."""
        return explain(value, client=self, pickle=self._pickle)

    def _get_customised(
        self,
        key: ObjectID | str,
        resolver: Resolver | None,
        access: _Access,
        wait: bool,
        timeout: float | None,
        kwargs: dict[str, Any],
    ) -> Any:
        """The value by the resolver of this call, or by what the current contexts say."""
        resolvers = contexts.get_current_resolvers()
        drivers = contexts.get_current_drivers()
        deadline = Deadline(timeout, self._core)
        typename = ""
        if resolver is not None or resolvers or drivers:
            try:
                info = self._core.get_info(key, wait, timeout)
            except ObjectTypeErrorException:  # the name points to a blob
                return self._get_value(key, access, wait, deadline.left())
            typename = info.typename
            if resolver is not None:
                resolver = contexts.accepting(resolver, "resolver")
            else:
                resolver = resolvers.find(typename)
            if resolver is not None:
                obj = Object(ObjectMeta.from_info(info, self))
                return drivers.resolve(resolver(obj, resolver=resolvers, **kwargs), typename)
            key = info.id
        if kwargs:
            raise TypeError(f"get() got unexpected keyword arguments {sorted(kwargs)}")
        value = self._get_value(key, access, wait, deadline.left())
        return drivers.resolve(value, typename) if drivers else value

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
        return _reconnect(self._core.socket, self._core.timeout, self._pickle, self._bars)

    def close(self) -> None:
        """Ends the connection. What was got from this client stays readable."""
        self._core.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        return _reconnect, (self._core.socket, self._core.timeout, self._pickle, self._bars)

    def __repr__(self) -> str:
        state = "" if self.connected else ", closed"
        return f"<vineyard.Client of volume {self.volume!r} at {self.ipc_socket!r}{state}>"

    def _repr_html_(self) -> str | None:
        from vineyard.notebook import client_html

        return client_html(self)


def _reconnect(socket: str, timeout: float, pickle: bool, progress: bool) -> Client:
    return Client(socket, timeout=timeout, pickle=pickle, progress=progress)
