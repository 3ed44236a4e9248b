# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Builders, resolvers and drivers: how a program stores types of its own.

A *builder* turns a value of a type into an object; a *resolver* turns an object back, chosen by the
longest registered prefix of its typename; a *driver* is a method that values of such objects get.
The current contexts belong to the thread, or to the asyncio task.

Types whose values are to come back by themselves wherever they stand in another value, with pickle
refused and without a context, have codecs instead: see `vineyard.codecs.tree`.

>>> class Point:
...     pass
>>> with builder_context() as builders:
...     builders.register(Point, lambda client, value, **kw: client.put((1, 2)))
...     builders.find(Point) is not None
True
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

from vineyard._core import Blob
from vineyard.errors import InvalidException

Builder = Callable[..., Any]
Resolver = Callable[..., Any]
Driver = Callable[..., Any]
_T = TypeVar("_T")


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

    def __bool__(self) -> bool:
        """Whether anything is registered."""
        return bool(self._builders)

    def find(self, t: type) -> Builder | None:
        """The builder of a type or of its nearest base class."""
        if not self._builders:
            return None
        for base in t.__mro__:
            builder = self._builders.get(base)
            if builder is not None:
                return builder
        return None

    def run(self, client: Any, value: Any, **kwargs: Any) -> Any:
        """Stores a part of a value, for builders: ``builder.run(client, value.part)``.

        Returns
        -------
        ObjectMeta
            To be made a member of what the builder stores.
        """
        builder = self.find(type(value))
        if builder is None:
            ref = client.put(value, **kwargs)
        else:
            ref = builder(client, value, builder=self, **_taken_by(builder, kwargs))
        if getattr(ref, "meta", None) is not None:
            return ref.meta
        return client.get_meta(ref)

    __call__ = run

    def extend(self, builders: Mapping[type, Builder] | None = None) -> BuilderContext:
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
        return _longest_prefix(self._resolvers, typename)

    def run(self, obj: Any, **kwargs: Any) -> Any:
        """The value of a part of an object, for resolvers: ``resolver.run(obj.member("part"))``."""
        if isinstance(obj, Blob):
            return memoryview(obj)
        resolver = self.find(obj.typename)
        if resolver is not None:
            return resolver(obj, resolver=self, **_taken_by(resolver, kwargs))
        if obj.meta.client is None:
            raise InvalidException(f"{obj!r} was not read from a store")
        return obj.meta.client.get(obj.id)

    __call__ = run

    def extend(self, resolvers: Mapping[str, Resolver] | None = None) -> ResolverContext:
        """A new context with these resolvers added."""
        made = ResolverContext(self)
        for prefix, resolver in (resolvers or {}).items():
            made.register(prefix, resolver)
        return made


class DriverContext:
    """Prefixes of typenames and methods for the values of their objects."""

    def __init__(self, base: DriverContext | None = None) -> None:
        known = base._methods if base else {}
        self._methods: dict[str, dict[str, Driver]] = {k: dict(v) for k, v in known.items()}

    def register(self, typename_prefix: str, method: str, function: Driver) -> None:
        """Gives values of objects whose typename begins so a method: ``value.method(*args)`` calls
        ``function(value, *args)``. Values that take no attributes (arrays) stay without."""
        global customised
        self._methods.setdefault(typename_prefix, {})[method] = function
        customised = True

    def __bool__(self) -> bool:
        """Whether anything is registered."""
        return bool(self._methods)

    def resolve(self, value: _T, typename: str) -> _T:
        """The value, with the methods of the longest prefix of its typename."""
        methods = _longest_prefix(self._methods, typename)
        for name, function in (methods or {}).items():
            with contextlib.suppress(AttributeError, TypeError):
                object.__setattr__(value, name, functools.partial(function, value))
        return value

    __call__ = resolve

    def extend(self, drivers: Mapping[str, Mapping[str, Driver]] | None = None) -> DriverContext:
        """A new context with these methods added."""
        made = DriverContext(self)
        for prefix, methods in (drivers or {}).items():
            for name, function in methods.items():
                made.register(prefix, name, function)
        return made


def _longest_prefix(registered: Mapping[str, _T], typename: str) -> _T | None:
    found = [prefix for prefix in registered if typename.startswith(prefix)]
    return registered[max(found, key=len)] if found else None


def accepting(function: Callable[..., Any], keyword: str) -> Callable[..., Any]:
    """The function, never called with this keyword if it does not take it."""
    if _taken_by(function, {keyword: None}):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop(keyword, None)
        return function(*args, **kwargs)

    return call


def _taken_by(function: Callable[..., Any], keywords: dict[str, Any]) -> dict[str, Any]:
    """Those of the keyword arguments that a function takes."""
    if not keywords:
        return keywords
    import inspect  # slow to import, and only needed here

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin does not say
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return keywords
    named = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {key: value for key, value in keywords.items() if key in named}


default_builder_context = BuilderContext()
default_resolver_context = ResolverContext()
default_driver_context = DriverContext()

#: False as long as nothing was ever registered: then puts and gets need not look.
customised = False

# The contexts that are open, the innermost last. Tuples, never changed in place: what an asyncio task
# or a copied context inherits stays as it was.
_builders: ContextVar[tuple[BuilderContext, ...]] = ContextVar(
    "builders", default=(default_builder_context,)
)
_resolvers: ContextVar[tuple[ResolverContext, ...]] = ContextVar(
    "resolvers", default=(default_resolver_context,)
)
_drivers: ContextVar[tuple[DriverContext, ...]] = ContextVar(
    "drivers", default=(default_driver_context,)
)


def get_current_builders() -> BuilderContext:
    """The builders that count in this thread or task now."""
    return _builders.get()[-1]


def get_current_resolvers() -> ResolverContext:
    """The resolvers that count in this thread or task now."""
    return _resolvers.get()[-1]


def get_current_drivers() -> DriverContext:
    """The drivers that count in this thread or task now."""
    return _drivers.get()[-1]


@contextlib.contextmanager
def _opened(stack: ContextVar[tuple[_T, ...]], made: _T) -> Iterator[_T]:
    stack.set((*stack.get(), made))
    try:
        yield made
    finally:
        # Not what was there before: contexts may end in another order than they began.
        stack.set(tuple(context for context in stack.get() if context is not made))


def builder_context(
    builders: Mapping[type, Builder] | None = None, base: BuilderContext | None = None
) -> contextlib.AbstractContextManager[BuilderContext]:
    """Within ``with``, and in this thread or task, these builders count besides the current ones."""
    return _opened(_builders, (get_current_builders() if base is None else base).extend(builders))


def resolver_context(
    resolvers: Mapping[str, Resolver] | None = None, base: ResolverContext | None = None
) -> contextlib.AbstractContextManager[ResolverContext]:
    """Within ``with``, and in this thread or task, these resolvers count besides the current ones."""
    return _opened(
        _resolvers, (get_current_resolvers() if base is None else base).extend(resolvers)
    )


def driver_context(
    drivers: Mapping[str, Mapping[str, Driver]] | None = None, base: DriverContext | None = None
) -> contextlib.AbstractContextManager[DriverContext]:
    """Within ``with``, and in this thread or task, these drivers count besides the current ones."""
    return _opened(_drivers, (get_current_drivers() if base is None else base).extend(drivers))


@contextlib.contextmanager
def context(
    builders: Mapping[type, Builder] | None = None,
    resolvers: Mapping[str, Resolver] | None = None,
    drivers: Mapping[str, Mapping[str, Driver]] | None = None,
) -> Iterator[tuple[BuilderContext, ResolverContext]]:
    """Builders, resolvers and drivers at once."""
    with builder_context(builders) as b, resolver_context(resolvers) as r, driver_context(drivers):
        yield b, r
