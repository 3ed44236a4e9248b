# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What an instance says of itself: who is there, what they hold, what waits, how long requests took.

Sizes are bytes, times seconds, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vineyard._core import ObjectID
from vineyard.notebook import visible, why_html
from vineyard.progress import size_text


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """One client of one process, as the instance knows it."""

    number: int  #: In this instance, until its process ends.
    volume: str
    pid: int  #: As the instance sees it; 0: in a namespace of processes that it can't see into.
    uid: int
    program: str  #: As the client says, which nobody has checked.
    pod: str  #: Likewise, "namespace/name"; empty outside of Kubernetes.
    connected: bool
    read_only: bool
    known_for: float  #: To the present engine.
    mapped_bytes: int  #: Memory that it has open; several may have the same.
    mapped_blobs: int
    writing_bytes: int  #: Reserved, and not put yet.
    idle_bytes: int  #: That it keeps for later, and gives up when somebody needs it.
    pinned_bytes: int
    waiting: int  #: Its requests that have no answer yet.
    requests: int  #: Answered, since it connected.


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """A request that waits for something other than the instance itself."""

    kind: str  #: "memory", "quota", "disk", "name", "stream" (a chunk) or "room" (in one).
    request: str  #: "Put", "Get", …
    volume: str
    client: int  #: `ClientInfo.number`
    pid: int
    request_id: int
    name: str  #: What it waits for, where that is a name …
    object: ObjectID  #: … or a stream …
    nbytes: int  #: … or memory.
    since: float
    left: float  #: Until its deadline.


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """Where a volume's memory is: every page the volume holds is in one of these."""

    sealed: int  #: Large objects and blobs.
    writing: int  #: Reserved, and not put yet.
    idle: int  #: Kept by clients for later.
    lingering: int  #: Deleted, but still mapped by somebody.
    moving: int  #: Being made, brought back or given back.
    records: int  #: Small objects, names, descriptions.
    slack: int  #: What the arenas of these have besides.
    catalog: int


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """Requests of one kind since the engine began, and how long they took in it, waits included.

    A get of what is in memory asks nobody, and is not among them.
    """

    kind: str  #: "Put", "Get", …
    answered: int
    failed: int  #: Of these.
    total: float
    #: Number i counts those that took less than 2**i microseconds and are in no bucket before; the
    #: last one the rest.
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VolumeFigures:
    name: str
    memory: MemoryFigures
    held: int  #: Their sum.
    limit: int  #: What the volume may use.
    guaranteed: int
    spilled: int  #: On the disk only.
    kept_by_names: int
    objects: int
    blobs: int
    names: int
    leases: int
    connections: int
    waiting: int  #: Requests.
    requests: tuple[RequestFigures, ...]
    refused_memory: int  #: Answers that there is none.
    refused_access: int
    late: int  #: Waits whose deadline passed.
    changes: int  #: While it stays, so do objects and names.
    durable: bool


@dataclass(frozen=True, slots=True)
class Figures:
    volumes: tuple[VolumeFigures, ...]  #: One, or all.
    limit: int  #: ``--size``
    held: int  #: By all volumes.
    ready: int  #: Beside that: pages made ahead.
    chunks_ready: int  #: Pieces of memory that were ready when they were wanted …
    chunks_made: int  #: … and those that had to be made then.
    disk_bytes: int  #: Of all volumes' files.
    loads: int
    evictions: int
    damaged: int
    engine_for: float  #: Since the engine began.
    generation: int  #: Grows with each start of the engine.
    heap_bytes: int  #: That requests and answers take in the engine.
    memory_files: int


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """A request that was answered."""

    sequence: int
    request_id: int  #: Counted by the client.
    client: int  #: `ClientInfo.number`
    pid: int
    kind: str
    volume: str  #: Empty: it is gone.
    nbytes: int  #: Of the request.
    begun_unix_ns: int
    took: float  #: In the engine, until it was answered.
    waited: float  #: Of these: for memory, the disk, a name, a stream.
    status: str  #: "ok", or what the error was.


@dataclass(frozen=True, slots=True)
class TracePage:
    requests: tuple[TracedRequest, ...]
    last: int  #: Ask for what comes after this one next.
    missed: int  #: Forgotten before these: the instance remembers some thousands.
    more: bool


@dataclass(frozen=True, slots=True)
class Why:
    """Why an object is there, where it is, and what keeps it there.

    As text it is what a person needs of that.
    """

    id: ObjectID
    typename: str
    names: tuple[str, ...]
    referrers: tuple[ObjectID, ...]  #: That have it as a member, or buffers in it. At most 100.
    memory_bytes: int
    spilled_bytes: int  #: On the disk only.
    holders: tuple[ClientInfo, ...]  #: Who has some of it mapped or pinned.
    evictable: bool  #: Its memory could be had, if it were needed.
    reasons: tuple[str, ...]  #: Sentences: why it is stored, and why in memory.
    advice: tuple[str, ...]  #: What to do to get its memory back.

    def __str__(self) -> str:
        where = f"{size_text(self.memory_bytes)} in memory"
        if self.spilled_bytes:
            where += f", {size_text(self.spilled_bytes)} on the disk"
        lines = [f"{self.id!r} {self.typename}: {where}", *self.reasons]
        lines += [f"-> {advice}" for advice in self.advice]
        return "\n".join(visible(line) for line in lines)

    def _repr_html_(self) -> str:
        return why_html(self)


def to_client(d: dict[str, Any]) -> ClientInfo:
    return ClientInfo(**d)


def to_figures(d: dict[str, Any]) -> Figures:
    return Figures(**{**d, "volumes": tuple(_to_volume(v) for v in d["volumes"])})


def _to_volume(d: dict[str, Any]) -> VolumeFigures:
    requests = tuple(RequestFigures(**r) for r in d["requests"])
    return VolumeFigures(**{**d, "memory": MemoryFigures(**d["memory"]), "requests": requests})


def to_trace(d: dict[str, Any]) -> TracePage:
    return TracePage(**{**d, "requests": tuple(TracedRequest(**r) for r in d["requests"])})


def to_why(d: dict[str, Any]) -> Why:
    made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in d.items()}
    return Why(**{**made, "holders": tuple(to_client(h) for h in d["holders"])})
