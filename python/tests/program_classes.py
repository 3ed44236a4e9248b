# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Classes that a program may have: named tuples, enums, dataclasses; and such that pickle themselves."""

import collections
import dataclasses
import enum
import typing

Pair = collections.namedtuple("Pair", "a b", defaults=[2])


class Named(typing.NamedTuple):
    x: int
    y: str = "z"


class Derived(Pair):
    """Has methods, and an attribute dict."""

    def total(self):
        return self.a + self.b


class Picky(Pair):
    def __new__(cls, a):
        return super().__new__(cls, a, a + 1)

    def __getnewargs__(self):
        return (self.a,)


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - another name of RED
    GREEN = (1, 2)
    NAN = float("nan")


class Number(enum.IntEnum):
    ONE = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    A = 1
    B = 4


class Text(enum.StrEnum):
    X = "x"


@dataclasses.dataclass
class Plain:
    x: int
    y: object = None
    z: list = dataclasses.field(init=False, repr=False, compare=False)

    class Inner(enum.Enum):
        A = 1


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    x: object
    hidden: object = dataclasses.field(default=0, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    x: object
    __private: int = 3


@dataclasses.dataclass(slots=True)
class Child(Plain):
    w: object = 1


@dataclasses.dataclass
class Checked:
    x: int

    def __post_init__(self):
        raise AssertionError("a get makes no new value")


@dataclasses.dataclass
class Reducing:
    x: int

    def __reduce__(self):
        return Reducing, (self.x,)


@dataclasses.dataclass
class Stateful:
    x: int

    def __getstate__(self):
        return {"x": self.x}


@dataclasses.dataclass
class Items(list):
    x: int = 1


def changed(instance, **attributes):
    for name, value in attributes.items():
        object.__setattr__(instance, name, value)
    return instance


def without_init(cls, **attributes):
    return changed(object.__new__(cls), **attributes)
