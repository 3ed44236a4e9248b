# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Many values in one call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from vineyard import contexts
from vineyard._core import ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.refs import Calls, Ref, to_id, to_name
from vineyard.calls.sharing import PutOptions, note, refer, store
from vineyard.codecs import Encoded, NotEncoded, decode, encode
from vineyard.errors import InvalidException, ObjectNotExistsException

if TYPE_CHECKING:
    from vineyard.client import Client


def _client(calls: ManyCalls) -> Client:
    """What these calls are a part of."""
    return cast("Client", calls)


class ManyCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    _pickle: bool

    def put_many(
        self,
        values: Iterable[Any],
        names: Iterable[str | None] | None = None,
        *,
        timeout: float | None = None,
    ) -> list[ObjectID]:
        """Stores many values, without waiting for one before the next is sent.

        Each takes effect by itself. Where one fails, those that were stored without a name are
        deleted again, and the first failure is raised; those with a name stay.

        Parameters
        ----------
        values : iterable
        names : iterable of str or None, optional
            As many as values; see `put`.
        timeout : float, optional
            Seconds for all together.

        Returns
        -------
        list of ObjectID
            In the order of the values.
        """
        values = list(values)
        given = [None] * len(values) if names is None else list(names)
        if len(given) != len(values):
            raise InvalidException(f"{len(given)} names for {len(values)} values")
        given = [name if name is None else to_name(name) for name in given]
        if contexts.customised and contexts.get_current_builders():
            return self._put_each(values, given, Deadline(timeout, self._core))
        deadline = Deadline(timeout, self._core)
        referring: dict[int, Encoded] = {}

        def parts() -> Iterator[tuple[str, str, Sequence[Any], dict[str, ObjectID] | None, str]]:
            for i, (value, name) in enumerate(zip(values, given, strict=True)):
                typename, metadata, buffers, members = encode(value, pickle=self._pickle)
                sent = refer(self._core, buffers, deadline)
                if sent is not buffers:
                    referring[i] = typename, metadata, buffers, members
                yield typename, metadata, sent, members, name or ""

        made = self._core.put_many(parts(), deadline.left())
        for i, one in enumerate(made):
            if i in referring and isinstance(one, ObjectNotExistsException):
                # A blob that was there a moment ago?
                with contextlib.suppress(ObjectNotExistsException):
                    made[i] = store(
                        self._core, *referring[i], deadline.left(), PutOptions(given[i])
                    )
        stored = [one for one in made if isinstance(one, ObjectID)]
        if len(stored) == len(made):
            return stored
        self._take_back(made, given)
        raise next(one for one in made if isinstance(one, BaseException))

    def _put_each(
        self, values: list[Any], names: list[str | None], deadline: Deadline
    ) -> list[ObjectID]:
        """`put_many` where there are builders."""
        made: list[ObjectID] = []
        try:
            for value, name in zip(values, names, strict=True):
                made.append(_client(self).put(value, name=name, timeout=deadline.left()))
        except BaseException:
            self._take_back(made, names)
            raise
        return made

    def _take_back(self, made: Iterable[Any], names: Iterable[str | None]) -> None:
        """Deletes those that were stored without a name."""
        nameless = [
            one
            for one, name in zip(made, names, strict=False)
            if name is None and isinstance(one, ObjectID)
        ]
        if nameless:
            self._core.delete(nameless, False, True, None)

    def get_many(self, object_ids: Iterable[Ref], *, timeout: float | None = None) -> list[Any]:
        """The values of many objects, by id; what is large is mapped with one request for all.

        Parameters
        ----------
        object_ids : iterable of ObjectID, str or int
        timeout : float, optional
            Seconds for all together.

        Returns
        -------
        list
            In the order of the ids.

        Raises
        ------
        ObjectNotExistsException
            One of them does not exist.
        """
        refs = [to_id(ref) for ref in object_ids]
        deadline = Deadline(timeout, self._core)
        customised = contexts.customised and (
            contexts.get_current_resolvers() or contexts.get_current_drivers()
        )
        if customised or any(ref.is_blob for ref in refs):
            return [_client(self).get(ref, timeout=deadline.left()) for ref in refs]
        values = []
        for ref, one in zip(refs, self._core.get_many(refs, timeout), strict=True):
            if isinstance(one, Exception):
                raise one
            typename, metadata, buffers, members, _ = one
            if members is None:
                try:
                    value = decode(typename, metadata, buffers, pickle=self._pickle)
                except NotEncoded:
                    pass
                else:
                    note(buffers)
                    values.append(value)
                    continue
            values.append(_client(self).get(ref, timeout=deadline.left()))
        return values
