# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Builders and resolvers: how a program stores types of its own.

A *builder* turns a value of a type into an object; a *resolver* turns an object back, chosen by the
longest registered prefix of its typename. The current contexts belong to the thread.

>>> class Point:
...     pass
>>> with builder_context() as builders:
...     builders.register(Point, lambda client, value, **kw: client.put((1, 2)))
...     builders.find(Point) is not None
True
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

Builder = Callable[..., Any]
Resolver = Callable[..., Any]


class BuilderContext:
    """Types and what stores their values."""

    def __init__(self, base: BuilderContext | None = None) -> None:
        self._builders: dict[type, Builder] = dict(base._builders) if base else {}

    def register(self, type_id: type, builder: Builder) -> None:
        """Stores values of `type_id` and its subclasses by ``builder(client, value, **kwargs)``,
        which returns an ObjectID, ObjectMeta or Object."""
        global customised
        self._builders[type_id] = accepting(builder, "builder")
        customised = True

    def find(self, t: type) -> Builder | None:
        """The builder of a type or of its nearest base class."""
        if not self._builders:
            return None
        for base in t.__mro__:
            builder = self._builders.get(base)
            if builder is not None:
                return builder
        return None

    def extend(self, builders: dict[type, Builder] | None) -> BuilderContext:
        """A new context with these builders added."""
        made = BuilderContext(self)
        for t, builder in (builders or {}).items():
            made.register(t, builder)
        return made


class ResolverContext:
    """Prefixes of typenames and what makes values of their objects."""

    def __init__(self, base: ResolverContext | None = None) -> None:
        self._resolvers: dict[str, Resolver] = dict(base._resolvers) if base else {}

    def register(self, typename_prefix: str, resolver: Resolver) -> None:
        """Makes values of objects whose typename begins so by ``resolver(object, **kwargs)``."""
        global customised
        self._resolvers[typename_prefix] = accepting(resolver, "resolver")
        customised = True

    def __bool__(self) -> bool:
        """Whether anything is registered."""
        return bool(self._resolvers)

    def find(self, typename: str) -> Resolver | None:
        """The resolver with the longest prefix of the typename."""
        found = [prefix for prefix in self._resolvers if typename.startswith(prefix)]
        return self._resolvers[max(found, key=len)] if found else None

    def extend(self, resolvers: dict[str, Resolver] | None) -> ResolverContext:
        """A new context with these resolvers added."""
        made = ResolverContext(self)
        for prefix, resolver in (resolvers or {}).items():
            made.register(prefix, resolver)
        return made


def accepting(function: Callable[..., Any], keyword: str) -> Callable[..., Any]:
    """The function, never called with this keyword if it does not take it."""
    import inspect  # slow to import, and only needed here

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin does not know the keyword
        parameters = []
    if any(
        p.kind is p.VAR_KEYWORD
        or (p.name == keyword and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
        for p in parameters
    ):
        return function

    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop(keyword, None)
        return function(*args, **kwargs)

    return call


default_builder_context = BuilderContext()
default_resolver_context = ResolverContext()

#: False as long as nothing was ever registered: then puts and gets need not look.
customised = False


class _Stacks(threading.local):
    def __init__(self) -> None:
        self.builders: list[BuilderContext] = [default_builder_context]
        self.resolvers: list[ResolverContext] = [default_resolver_context]


_stacks = _Stacks()


def get_current_builders() -> BuilderContext:
    """The builders that count in this thread now."""
    return _stacks.builders[-1]


def get_current_resolvers() -> ResolverContext:
    """The resolvers that count in this thread now."""
    return _stacks.resolvers[-1]


@contextlib.contextmanager
def builder_context(
    builders: dict[type, Builder] | None = None, base: BuilderContext | None = None
) -> Iterator[BuilderContext]:
    """Within ``with``, and in this thread, these builders count besides the current ones."""
    made = (get_current_builders() if base is None else base).extend(builders)
    _stacks.builders.append(made)
    try:
        yield made
    finally:
        _stacks.builders.remove(made)


@contextlib.contextmanager
def resolver_context(
    resolvers: dict[str, Resolver] | None = None, base: ResolverContext | None = None
) -> Iterator[ResolverContext]:
    """Within ``with``, and in this thread, these resolvers count besides the current ones."""
    made = (get_current_resolvers() if base is None else base).extend(resolvers)
    _stacks.resolvers.append(made)
    try:
        yield made
    finally:
        _stacks.resolvers.remove(made)


@contextlib.contextmanager
def context(
    builders: dict[type, Builder] | None = None, resolvers: dict[str, Resolver] | None = None
) -> Iterator[tuple[BuilderContext, ResolverContext]]:
    """Both at once."""
    with builder_context(builders) as b, resolver_context(resolvers) as r:
        yield b, r
