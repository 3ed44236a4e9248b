# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Puts that builders take part in: of whole values, and of parts of values; see `vineyard.contexts`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

from vineyard import contexts
from vineyard._core import ObjectID
from vineyard.calls.deadlines import Deadline
from vineyard.calls.noting import NotingCore
from vineyard.calls.refs import Calls, to_id
from vineyard.calls.sharing import PutOptions, store
from vineyard.codecs import encode
from vineyard.codecs.tree import type_name
from vineyard.composition import with_place
from vineyard.contexts import Builder
from vineyard.errors import InvalidException, TypeErrorException, VineyardException
from vineyard.objects import ObjectMeta

if TYPE_CHECKING:
    from vineyard.client import Client


def _client(calls: BuildingCalls) -> Client:
    """What these calls are a part of."""
    return cast("Client", calls)


class BuildingCalls(Calls):
    """See `vineyard.Client`."""

    __slots__ = ()

    _pickle: bool

    def _put_with_parts(
        self,
        value: Any,
        timeout: float | None,
        options: PutOptions,
        kwargs: dict[str, Any],
    ) -> ObjectID:
        """A put by codecs, of a value some of whose parts have builders: those become members."""
        deadline = Deadline(timeout, self._core)
        builders = contexts.get_current_builders()
        core: Any = NotingCore(self._core)
        client = _client(self)._with_core(core)

        def build(part: Any) -> ObjectID | None:
            builder = builders.find(type(part))
            if builder is None:
                return None
            made = _needed(builder(client, part, builder=builders), part)
            if isinstance(made, ObjectMeta) and made.id == ObjectID():
                return client._create(made, deadline)
            return to_id(made)

        try:
            typename, metadata, buffers, members = encode(value, pickle=self._pickle, custom=build)
            if kwargs:
                metadata = with_place(typename, metadata, kwargs)
            return store(self._core, typename, metadata, buffers, members, deadline.left(), options)
        except BaseException:
            for ref in core.made:  # of nobody now
                with contextlib.suppress(VineyardException):
                    self._core.delete([ref])
            raise

    def _put_by_builder(
        self,
        value: Any,
        builder: Builder | None,
        timeout: float | None,
        options: PutOptions,
        kwargs: dict[str, Any],
    ) -> ObjectID | None:
        builders = contexts.get_current_builders()
        if builder is not None:
            builder = contexts.accepting(builder, "builder")
        else:
            builder = builders.find(type(value))
        if builder is None:
            return None
        name, if_version, ttl, linger, *_ = options
        if name is None and (ttl is not None or linger is not None):
            raise InvalidException(
                "what a builder stores has a ttl or linger by its name: give one"
            )
        core: Any = NotingCore(self._core)
        made = _needed(
            builder(_client(self)._with_core(core), value, builder=builders, **kwargs), value
        )
        if isinstance(made, ObjectMeta) and made.id == ObjectID():
            return _client(self)._create(made, Deadline(timeout, self._core), options)
        ref = to_id(made)
        if name is not None:
            owns = ref in core.made
            self._core.put_name(
                name,
                ref,
                if_version,
                owns,
                ttl,
                linger,
                timeout,
                options.durability,
                options.keep,
            )
        elif options.durability == "disk":
            self._core.make_durable([ref], timeout)
        return ref


def _needed(made: Any, value: Any) -> Any:
    """What a builder returned for a value, if it is anything."""
    if made is None:
        raise TypeErrorException(
            f"the builder for {type_name(type(value))} returned None: it must return the "
            "ObjectID, ObjectMeta or Object that it stored"
        )
    return made
