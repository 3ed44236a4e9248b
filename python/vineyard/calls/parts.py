# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Large values part by part, while the next parts come back from the disk.

Nothing runs beside the caller: the instance is told which parts are wanted next (a load that nobody waits
for), and brings them back by itself. So there is nothing to end where a loop is left early, and nothing
that a fork could lose.
"""

from __future__ import annotations

import contextlib
import operator
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, SupportsIndex, cast

from vineyard import _core
from vineyard._core import Blob, ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.refs import Calls, Ref, to_id, to_name
from vineyard.calls.sharing import note
from vineyard.codecs import NotEncoded
from vineyard.codecs.parts import Part, parts_of
from vineyard.codecs.tree import Decoder, corrupted
from vineyard.composition import composed_parts, is_stream
from vineyard.errors import (
    InvalidException,
    NotEnoughMemoryException,
    ObjectTypeErrorException,
    TypeErrorException,
)
from vineyard.objects import Object, ObjectMeta

if TYPE_CHECKING:
    from vineyard.client import Client

#: Seconds that a load ahead may stand in the line for memory. Who waits there keeps others waiting, and the get of
#: the part itself waits as long as its caller says.
_AHEAD_TIMEOUT = 1.0


class _Coming(NamedTuple):
    """A part that is to be got."""

    ids: frozenset[ObjectID]  # of the objects and blobs that it is known to need
    get: Callable[[Deadline], Any]


class PartCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    _pickle: bool

    def iter_parts(
        self,
        object_id: Ref | None = None,
        name: str | None = None,
        *,
        ahead: SupportsIndex = 1,
        timeout: float | None = None,
    ) -> Iterator[Any]:
        """The parts of a value in their order, one after another: for values that need more memory
        than there is.

        Named as pyarrow's ``iter_batches``, after what it yields:

        ==================================  ================================================
        value                               parts
        ==================================  ================================================
        list, tuple (ObjectIDs in it stand  their items
        for the values of those objects)
        dict                                pairs of key and value
        pyarrow.Table, ChunkedArray         record batches (those of ``to_batches`` that have
                                            rows), chunks
        global tensors and data frames,     what they were composed of
        v6d's pairs, sequences and tuples
        streams                             their chunks, as a reader gets them, which may go
                                            then; collections of streams: these
        ==================================  ================================================

        While the caller works on one part the instance brings the next ones back from its disk. A
        part stays in memory while the caller holds it, and no longer: nothing else keeps it. What
        was stored by one `put`, without ObjectIDs in it, lies in one blob, which comes back as a
        whole. What several parts share (one list in two items) each of them has for itself.

        Parameters
        ----------
        object_id : ObjectID, str or int, optional
        name : str, optional
        ahead : int
            How many parts are asked for before they are got; without a disk, and of streams, whose
            readers ask for a chunk when they have done with the one before, it means nothing. The
            parts take the memory of ``ahead + 1`` of them, and of two at least in a ``for`` loop,
            whose variable holds a part until it has the next one; ``del`` it before.
        timeout : float, optional
            Seconds that each part may take. None: as long as calls of this client may; of streams, as
            long as the writer takes.

        Returns
        -------
        iterator
            Read-only values, as `get` gives them. May be left at any time.

        Raises
        ------
        ObjectNotExistsException
            There is no such object, or no such name; at a part: it has been deleted meanwhile.
        TypeErrorException
            The value has no parts.
        NotEnoughMemoryException
            At a part: it is larger than the memory, or did not fit by the deadline beside what the
            caller and others hold.

        Examples
        --------
        >>> import numpy as np, vineyard
        >>> with vineyard.connect() as client:  # doctest: +SKIP
        ...     days = [client.put(np.full(1000, day)) for day in range(3)]
        ...     month = client.put(days)
        ...     [int(day.sum()) for day in client.iter_parts(month)]
        [0, 1000, 2000]
        """
        count = operator.index(ahead)
        if count < 0:
            raise InvalidException(f"ahead={count}: it is a number of parts, 0 or more")
        if (object_id is None) == (name is None):
            raise InvalidException("iter_parts needs an id or a name, and not both")
        key = to_id(object_id) if object_id is not None else to_name(name)
        deadline = Deadline(timeout, self._core)
        if type(key) is ObjectID and key.is_blob:
            _refuse("vineyard::Blob")
        try:
            info = self._core.get_info(key, False, deadline.left())
        except ObjectTypeErrorException:  # the name points to a blob
            _refuse("vineyard::Blob")
        client = cast("Client", self)
        obj = Object(ObjectMeta.from_info(info, client))
        if is_stream(obj):
            return _chunks(client.get(info.id, timeout=deadline.left()), timeout)
        try:
            coming = self._encoded(info, timeout)
        except NotEncoded:
            coming = self._composed(obj, info.members)
        return self._parts(coming, count, timeout)

    def _encoded(self, info: _core.ObjectInfo, timeout: float | None) -> Iterator[_Coming]:
        """The parts of a value that `put` stored."""
        refs = info.buffers
        found = _Buffers(self._core, refs, lambda: Deadline(timeout, self._core), keep=False)
        parts = parts_of(info.metadata, Decoder(found, self._pickle))
        if parts is None:
            _refuse(info.typename)
        members = info.members

        def get(part: Part, deadline: Deadline) -> Any:
            def member(key: str) -> Any:
                if key not in members:
                    corrupted(f"it names member {key[:60]!r}, and has none of that name")
                return cast("Client", self).get(members[key], timeout=deadline.left())

            buffers = _Buffers(self._core, refs, lambda: deadline)
            return part.make(Decoder(buffers, self._pickle, member))

        return (
            _Coming(
                frozenset(
                    [refs[i][0] for i in part.buffers if i < len(refs) and refs[i][2]]
                    + [members[key] for key in part.members if key in members]
                ),
                lambda deadline, part=part: get(part, deadline),  # type: ignore[misc]
            )
            for part in parts
        )

    def _composed(self, obj: Object, members: dict[str, ObjectID]) -> Iterator[_Coming]:
        """The parts of an object that was composed of others."""
        parts = composed_parts(obj)
        if parts is None:
            _refuse(obj.typename)
        return (
            _Coming(frozenset([members[key]] if key in members else []), get) for key, get in parts
        )

    def _parts(self, parts: Iterator[_Coming], ahead: int, timeout: float | None) -> Iterator[Any]:
        told: deque[_Coming] = deque()
        here: frozenset[ObjectID] = frozenset()  # what the part before needed
        while part := told.popleft() if told else next(parts, None):
            deadline = Deadline(timeout, self._core)
            if len(part.ids) > 1:
                # Who has one half of a part mapped must not wait for the other.
                self._core.load(list(part.ids), False, deadline.left())
            got = [part.get(deadline)]
            here = part.ids
            while len(told) < ahead and (following := next(parts, None)):
                self._tell(following.ids - here - (told[-1].ids if told else frozenset()))
                told.append(following)
            yield got.pop()  # and nothing here refers to it

    def _tell(self, ids: frozenset[ObjectID]) -> None:
        """Has the instance bring these back. Where it can't, the get says so."""
        if ids:
            self._core.load(list(ids), False, min(_AHEAD_TIMEOUT, self._core.timeout), False)


def _chunks(stream: Any, timeout: float | None) -> Iterator[Any]:
    if not hasattr(stream, "open_reader"):
        yield from stream  # a collection
        return
    with stream.open_reader() as reader:
        while True:
            try:
                got = [reader.next(timeout)]
            except StopIteration:
                return
            yield got.pop()


class _Buffers:
    """The buffers of an object, each mapped when it is asked for; and kept, as long as this is, if wanted."""

    def __init__(
        self,
        core: _core.Client,
        refs: Sequence[tuple[ObjectID, int, int]],
        deadline: Callable[[], Deadline],
        keep: bool = True,
    ) -> None:
        self._core = core
        self._refs = refs
        self._deadline = deadline
        self._keep = keep
        self._got: dict[int, Blob | bytes] = {}

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, index: int) -> Blob | bytes:
        got = self._got.get(index)
        if got is None:
            blob, offset, length = self._refs[index]
            got = b""
            if length:
                whole = self._core.get_blob(blob, self._deadline().left())
                note([whole])
                got = whole.slice(offset, length)
            if self._keep:
                self._got[index] = got
        return got

    def __iter__(self) -> Iterator[Blob | bytes]:
        """Who looks at all of them means those that it has asked for."""
        return (self._got.get(index, b"") for index in range(len(self._refs)))


@contextlib.contextmanager
def held_together() -> Iterator[None]:
    """Where members of one value are got one after another, and all are held: says what else to do when
    they do not fit."""
    advice = "read it part by part: client.iter_parts"
    try:
        yield
    except NotEnoughMemoryException as error:
        if advice in str(error):
            raise
        raise NotEnoughMemoryException(
            f"{error}; this is a member of a value all of which a get holds in memory; {advice}"
        ) from None


def _refuse(typename: str) -> NoReturn:
    raise TypeErrorException(
        f"a value of type {typename} has no parts to be read one after another, as lists, tuples, dicts, "
        "Arrow tables and chunked arrays, global tensors and data frames, and streams have"
    )
