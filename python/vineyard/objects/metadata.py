# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""ObjectMeta."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

from vineyard._core import Blob, BlobBuilder, ObjectID, ObjectInfo
from vineyard.codecs.tree import corrupted, loads
from vineyard.errors import InvalidException, KeyErrorException, NeedsClusterException
from vineyard.objects import usage, values
from vineyard.objects.object import Object

#: Key of the metadata that tells which buffers are members of type Blob: member -> index.
BLOBS_KEY = "__blobs"

#: How many elements a sequence has, for programs that read this key; not stored.
_SIZE_KEY = "__elements_-size"

#: Whose buffers the values of a codec lie in: programs that copy metadata key by key copy it along,
#: and so their object has these buffers, too. Not stored.
_BUFFERS_KEY = "__buffers_of"

#: Keys that say what an object is where it lies, which follow from the object itself.
_DERIVED = ("id", "typename", "signature", "instance_id", "transient", _BUFFERS_KEY)


class _Info(NamedTuple):
    """What a description that was pickled keeps of its ObjectInfo."""

    id: ObjectID
    nbytes: int
    buffers: list[tuple[ObjectID, int, int]]
    labels: dict[str, str]
    created_unix_ns: int


class ObjectMeta:
    """What describes an object: a typename, keys with JSON values, and members.

    Read from the store by `Client.get_meta`, or filled and stored by `Client.create_metadata`. Lists
    and dicts are given back as the JSON text of them, as programs expect that decode it.

    >>> meta = ObjectMeta()
    >>> meta["typename"] = "example::Pair"
    >>> meta["shape_"] = [2]
    >>> meta["shape_"], meta.typename
    ('[2]', 'example::Pair')
    """

    def __init__(self, global_: bool = False) -> None:
        self._info: ObjectInfo | _Info | None = None
        self._client: Any = None  # the Client, where read from a store
        # A key stands in one of these three.
        self._content: dict[str, Any] = {}
        self._members: dict[str, ObjectID | ObjectMeta] = {}
        self._blobs: dict[str, Any] = {}  # a Blob, or the index of a buffer of the stored object
        if global_:
            self.set_global(True)

    @classmethod
    def from_info(cls, info: ObjectInfo, client: Any = None) -> ObjectMeta:
        """The description of a stored object."""
        self = cls.listed(info, client)
        self._read()
        return self

    @classmethod
    def listed(cls, info: ObjectInfo, client: Any = None) -> ObjectMeta:
        """The same, which reads its metadata once it is asked for any: most of a long list never is."""
        self = cls.__new__(cls)
        self._info = info
        self._client = client
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in ("_content", "_members", "_blobs") or "_info" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._read()
        return self.__dict__[name]

    def _read(self) -> None:
        info = self._info
        assert isinstance(info, ObjectInfo)
        content = loads(info.metadata)
        if type(content) is not dict:
            corrupted("its metadata is no JSON object")
        # Each is made anew whenever it is asked for.
        ref, typename = info.id, info.typename
        text = repr(ref)
        blobs = content.pop(BLOBS_KEY, None)
        content.setdefault("nbytes", info.nbytes)
        if typename == "vineyard::Sequence" and "size_" in content:
            content.setdefault(_SIZE_KEY, content["size_"])
        content.pop(_BUFFERS_KEY, None)
        if "codec" in content and info.buffers:
            content[_BUFFERS_KEY] = text
        content |= {
            "id": text,
            "typename": typename,
            "signature": int(ref),
            "instance_id": 0,
            "transient": False,
        }
        self._blobs = blobs if type(blobs) is dict else {}
        self._members = dict(info.members)
        self._content = content

    @classmethod
    def of_blob(cls, blob: Blob, client: Any = None) -> ObjectMeta:
        """The description of a sealed blob: ``length`` is its size in bytes."""
        self = cls()
        self._info = _Info(blob.id, blob.size, [(blob.id, 0, blob.size)], {}, 0)
        self._client = client
        self._content = {
            "length": blob.size,
            "nbytes": blob.size,
            "id": repr(blob.id),
            "typename": blob.typename,
            "signature": self.signature,
            "instance_id": self.instance_id,
            "transient": False,
        }
        return self

    # ---- keys

    def __getitem__(self, key: str) -> Any:
        if key in self._members or key in self._blobs:
            return self.get_member(key)
        try:
            value = self._content[key]
        except KeyError:
            raise KeyErrorException(f"{key!r} is no key of {self!r}") from None
        return values.to_read(value)

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, (ObjectID, ObjectMeta, Object, Blob)):
            self.add_member(key, value)
            return
        value = values.to_keep(key, value)
        self.reset_key(key)
        self._content[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._content or key in self._members or key in self._blobs

    def __iter__(self) -> Iterator[str]:
        return iter([*self._content, *self._members, *self._blobs])

    def __len__(self) -> int:
        return len(self._content) + len(self._members) + len(self._blobs)

    def get(self, key: str, default: Any = None) -> Any:
        """``meta[key]``, or `default` where there is no such key."""
        return self[key] if key in self else default  # noqa: SIM401

    def items(self) -> list[tuple[str, Any]]:
        """All keys with their values; of members, their metadata; of blobs, the blobs."""
        return [(key, self[key]) for key in self]

    def reset_key(self, key: str) -> None:
        """Takes a key out, or a member."""
        for keys in (self._content, self._members, self._blobs):
            keys.pop(key, None)

    def reset(self) -> None:
        """Takes everything out."""
        self.__init__()  # type: ignore[misc]

    def reset_signature(self) -> None:
        """Kept for programs that call it; signatures follow from ids."""

    def force_local(self) -> None:
        """Kept for programs that call it; every object is local."""

    def add_remote_blob(self, blob: Any) -> NoReturn:
        """Needs a cluster: add a sealed blob of this instance with `add_member`."""
        raise NeedsClusterException(
            "add_remote_blob() needs a cluster: this instance runs alone, and add_member() takes its blobs"
        )

    # ---- members

    def add_member(self, key: str, member: ObjectID | ObjectMeta | Object | Blob) -> None:
        """Makes another object, or a blob, a part of this one."""
        if isinstance(member, Object):
            member = member.id
        if isinstance(member, BlobBuilder):
            raise InvalidException(f"member {key!r} is not sealed yet")
        self.reset_key(key)
        if isinstance(member, Blob):
            self._blobs[key] = member
        elif isinstance(member, ObjectMeta) and member._info is not None:
            self._members[key] = member._info.id
        else:
            self._members[key] = member

    def get_member(self, key: str) -> Any:
        """The member's metadata; of a blob, the blob."""
        if key in self._blobs:
            return self._blob(key)
        member = self._members.get(key)
        if member is None:
            raise KeyErrorException(f"{key!r} is no member of {self!r}")
        if isinstance(member, ObjectMeta) or self._client is None:
            return member
        if member.is_blob:
            return self._client.get_blob(member)
        return self._client.get_meta(member)

    member = get_member

    def member_ref(self, key: str) -> ObjectID | ObjectMeta | Blob | None:
        """What refers to a member, without reading it; None if there is none of that key."""
        if key in self._blobs:
            return self._blob(key)
        return self._members.get(key)

    @property
    def client(self) -> Any:
        """The Client that it was read with; None for one that was not."""
        return self._client

    def _blob(self, key: str) -> Blob:
        found = self._blobs[key]
        if isinstance(found, Blob):
            return found
        if self._info is None or self._client is None:
            raise InvalidException(f"blob {key!r} can't be got from metadata that has no client")
        buffers = self._info.buffers
        if type(found) is not int or not 0 <= found < len(buffers):
            corrupted(f"member {key!r} is buffer {found!r} of {len(buffers)}")
        blob, offset, length = buffers[found]
        return self._client.get_blob(blob).slice(offset, length)  # type: ignore[no-any-return]

    def to_store(self) -> tuple[dict[str, Any], dict[str, ObjectID | ObjectMeta], dict[str, Blob]]:
        """Content, members and new blobs, as `Client.create_metadata` stores them."""
        content = {k: v for k, v in self._content.items() if k not in _DERIVED}
        if self._info is not None and content.get("nbytes") == self._info.nbytes:
            del content["nbytes"]  # says how many bytes that one has
        if self._info is not None and "codec" in content:
            content.pop(_SIZE_KEY, None)
        new = {key: blob for key, blob in self._blobs.items() if isinstance(blob, Blob)}
        indexes = {key: index for key, index in self._blobs.items() if key not in new}
        if indexes:
            content[BLOBS_KEY] = indexes
        return content, self._members, new

    # ---- what every object has

    @property
    def id(self) -> ObjectID:
        """The object's id; of one that is not stored yet, an id that refers to nothing."""
        return self._info.id if self._info is not None else ObjectID()

    @property
    def signature(self) -> int:
        """A number that tells the object from others: that of its id."""
        return int(self.id)

    @property
    def buffers_of(self) -> ObjectID:
        """The object whose buffers these are: this one, or that which its keys were copied from; an
        id that refers to nothing where there is neither."""
        copied = self._content.get(_BUFFERS_KEY)
        return ObjectID(copied) if self._info is None and type(copied) is str else self.id

    @property
    def typename(self) -> str:
        return str(self._content.get("typename", ""))

    @typename.setter
    def typename(self, typename: str) -> None:
        self["typename"] = typename

    @property
    def nbytes(self) -> int:
        """Bytes of the object's own buffers; members are not counted."""
        value = self._content.get("nbytes", 0)
        return int(value) if isinstance(value, (int, float)) else 0

    @nbytes.setter
    def nbytes(self, nbytes: int) -> None:
        self["nbytes"] = nbytes

    def label(self, key: str) -> str:
        """One of the labels; an empty text if there is none of that key."""
        return self.labels.get(key, "")

    @property
    def labels(self) -> dict[str, str]:
        return self._info.labels if self._info is not None else {}

    @property
    def timestamp(self) -> int:
        """When the object was stored, in milliseconds since 1970."""
        return self._info.created_unix_ns // 10**6 if self._info is not None else 0

    @property
    def instance_id(self) -> int:
        return 0

    @property
    def islocal(self) -> bool:
        return True

    @property
    def isglobal(self) -> bool:
        return bool(self._content.get("global", False))

    def set_global(self, global_: bool = True) -> None:
        """Marks the object as one whose members may lie on several instances."""
        self._content["global"] = bool(global_)

    @property
    def memory_usage(self) -> int:
        """Bytes of the buffers of the object and of all its members, each counted once."""
        return usage.total(self)

    def _own_buffers(self) -> list[tuple[ObjectID, int, int]]:
        own = list(self._info.buffers) if self._info is not None else []
        new = (blob for blob in self._blobs.values() if isinstance(blob, Blob))
        return [*own, *((blob.id, blob.offset, blob.size) for blob in new)]

    def memory_usage_details(self, pretty: bool = False) -> Any:
        """Bytes of the object's own buffers (key ``""``), and of each member by itself: what two
        share is in both.

        Returns
        -------
        dict of str to int; with `pretty`, its text, a line for each
        """
        found = usage.by_member(self)
        return json.dumps(found, indent=2) if pretty else found

    def get_buffer(self, blob_id: ObjectID | str | int) -> Blob:
        """A blob that the object's buffers lie in."""
        if self._client is None:
            raise InvalidException("metadata that was not read from a store has no buffers")
        blob: Blob = self._client.get_blob(blob_id)
        return blob

    @property
    def meta(self) -> ObjectMeta:
        return self

    def __reduce__(self) -> Any:
        info = self._info
        if info is not None:
            info = _Info(info.id, info.nbytes, info.buffers, info.labels, info.created_unix_ns)
        return _unpickle_meta, (info, self._content, self._members, self._blobs)

    def __repr__(self) -> str:
        return f"ObjectMeta({self.id!r}, typename={self.typename!r})"

    def _repr_html_(self) -> str:
        from vineyard.notebook import meta_html

        return meta_html(self)


def _unpickle_meta(
    info: _Info | None, content: dict[str, Any], members: dict[str, Any], blobs: dict[str, Any]
) -> ObjectMeta:
    meta = ObjectMeta()
    meta._info, meta._content, meta._members, meta._blobs = info, content, members, blobs
    return meta
