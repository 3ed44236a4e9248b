# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Objects as such: descriptions, composition from members and blobs, deleting, listing, labels."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

from vineyard._core import Blob, ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.refs import Calls, Ref, check_text, to_id
from vineyard.calls.sharing import NO_OPTIONS, PutOptions, note, store
from vineyard.codecs.tree import loads
from vineyard.errors import (
    FailedPreconditionException,
    InvalidException,
    NotImplementedException,
    ObjectNotExistsException,
    TypeErrorException,
)
from vineyard.objects import BLOBS_KEY, Object, ObjectMeta


class ObjectCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    @overload
    def create_metadata(
        self,
        metadata: ObjectMeta,
        instance_id: int | None = None,
        *,
        timeout: float | None = None,
    ) -> ObjectMeta: ...
    @overload
    def create_metadata(
        self,
        metadata: Sequence[ObjectMeta],
        instance_id: int | None = None,
        *,
        timeout: float | None = None,
    ) -> list[ObjectMeta]: ...
    def create_metadata(
        self,
        metadata: ObjectMeta | Sequence[ObjectMeta],
        instance_id: int | None = None,
        *,
        timeout: float | None = None,
    ) -> ObjectMeta | list[ObjectMeta]:
        """Stores an object that was composed from metadata, members and blobs. Metadata that was
        read from the store makes another object with the same buffers.

        Returns
        -------
        ObjectMeta, or a list of them for a list
        """
        deadline = Deadline(timeout, self._core)
        if not isinstance(metadata, ObjectMeta):
            return [self._create_and_get(m, deadline) for m in metadata]
        return self._create_and_get(metadata, deadline)

    def _create_and_get(self, metadata: ObjectMeta, deadline: Deadline) -> ObjectMeta:
        made = self._create(metadata, deadline)
        return self.get_meta(made, timeout=deadline.left())

    def _create(
        self,
        metadata: ObjectMeta,
        deadline: Deadline,
        options: PutOptions = NO_OPTIONS,
    ) -> ObjectID:
        """Stores what `create_metadata` describes; under a name, which then owns it."""
        if not metadata.typename:
            raise InvalidException("the metadata has no 'typename'")
        check_text(metadata.typename, "a typename")
        content, stored_members, blobs = metadata.to_store()
        buffers: list[Any] = []
        if metadata.buffers_of != ObjectID():  # of one in the store: made again with its buffers
            buffers += self._core.get(metadata.buffers_of, False, deadline.left())[2]
        if blobs:
            indexes = {key: len(buffers) + i for i, key in enumerate(blobs)}
            content[BLOBS_KEY] = {**content.get(BLOBS_KEY, {}), **indexes}
            buffers += blobs.values()
        members = {}
        for key, member in stored_members.items():
            check_text(key, "the key of a member")
            if isinstance(member, ObjectMeta):
                member = self._create(member, deadline)
            members[key] = to_id(member)
        return store(
            self._core,
            metadata.typename,
            json.dumps(content, allow_nan=False),
            buffers,
            members or None,
            deadline.left(),
            options,
        )

    def get_meta(
        self, object_id: Ref, sync_remote: bool = False, *, timeout: float | None = None
    ) -> ObjectMeta:
        """The description of an object, whose bytes are not mapped for it; of a blob, its size."""
        ref = to_id(object_id)
        if ref.is_blob:
            return ObjectMeta.of_blob(self._core.get_blob(ref, timeout), self)
        return ObjectMeta.from_info(self._core.get_info(ref, False, timeout), self)

    def get_metas(
        self, object_ids: Sequence[Ref], sync_remote: bool = False, *, timeout: float | None = None
    ) -> list[ObjectMeta]:
        deadline = Deadline(timeout, self._core)
        return [self.get_meta(ref, timeout=deadline.left()) for ref in object_ids]

    def get_object(
        self,
        object_id: Ref,
        sync_remote: bool = False,
        fetch: bool = False,
        *,
        timeout: float | None = None,
    ) -> Object | Blob:
        """The object itself, not its value; a blob, if it is one."""
        ref = to_id(object_id)
        if ref.is_blob:
            blob = self._core.get_blob(ref, timeout)
            note([blob])
            return blob
        return Object(self.get_meta(ref, timeout=timeout))

    def get_objects(
        self, object_ids: Sequence[Ref], sync_remote: bool = False, *, timeout: float | None = None
    ) -> list[Object | Blob]:
        deadline = Deadline(timeout, self._core)
        return [self.get_object(ref, timeout=deadline.left()) for ref in object_ids]

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

        Where one of them is unknown, nothing is deleted. Up to 256 are one change; more go some at a time,
        and where one is a member of what stays, the others may have gone.

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
        check_text(pattern, "a pattern")
        infos = self._core.list(pattern, regex, limit, include_parts, timeout)
        return [ObjectMeta.listed(info, self) for info in infos]

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
        deadline = Deadline(timeout, self._core)
        typename, metadata, buffers, members, _ = self._core.get(
            to_id(object_id), False, deadline.left()
        )
        if extra_metadata:
            try:
                metadata = json.dumps({**loads(metadata), **extra_metadata}, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise InvalidException(f"extra_metadata: {error}") from None
        return self._core.put(typename, metadata, buffers, members, None, deadline.left())

    def persist(self, object_id: Ref, *, timeout: float | None = None) -> None:
        """Makes an object durable where that can be, as ``put(..., durability="disk")`` does.

        Where it can't, as the instance has no ``--spill_path`` or the volume is not durable, it succeeds
        for every object that exists: one instance has nobody to publish it to. `make_durable` raises there.
        """
        ref = to_id(object_id)
        if not self._core.exists(ref, timeout):
            raise ObjectNotExistsException(f"no object {ref!r}")
        with contextlib.suppress(NotImplementedException, FailedPreconditionException):
            self._core.make_durable([ref], timeout)

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
                raise TypeErrorException(f"labels are texts: {key!r} is to be {text!r}")
            check_text(key, "a label")
            check_text(text, "a label")
        self._core.set_labels(to_id(object_id), labels, timeout)

    def labels(self, object_id: Ref, *, timeout: float | None = None) -> dict[str, str]:
        """The labels of an object."""
        return self._core.get_info(to_id(object_id), False, timeout).labels

    def clear(self, *, timeout: float | None = None) -> None:
        """Deletes every object, blob and name of this volume."""
        deadline = Deadline(timeout, self._core)
        while infos := self._core.list("*", False, 1000, True, deadline.left()):
            ids = [info.id for info in infos]
            try:
                self._core.delete(ids, True, True, deadline.left())
            except ObjectNotExistsException:  # another client was faster with one of them
                for ref in ids:
                    with contextlib.suppress(ObjectNotExistsException):
                        self._core.delete([ref], True, True, deadline.left())
