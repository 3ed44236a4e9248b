# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Values of a program's own classes come back the same, or are left to pickle."""

import collections
import dataclasses
import enum
import json
import sys
import types

import numpy as np
import pytest
from program_classes import (
    Bits,
    Checked,
    Child,
    Colour,
    Derived,
    Frozen,
    Items,
    Named,
    Number,
    Pair,
    Picky,
    Plain,
    Reducing,
    Right,
    Slotted,
    Stateful,
    Text,
    changed,
    without_init,
)
from same_python import copied, kept
from same_value import stored
from vineyard.codecs import decode, encode
from vineyard.errors import (
    NotAvailableHereException,
    PickleRefusedException,
    TypeErrorException,
    VineyardException,
)


@pytest.mark.parametrize(
    "value",
    [
        Pair(1, [2]),
        Pair(1),
        Named(1),
        Derived(1, 2),
        [Pair(Named(1, "a"), Pair(1, 2))] * 2,
        Colour.RED,
        Colour.CRIMSON,
        Colour.GREEN,
        Colour.NAN,
        Number.ONE,
        Right.READ,
        Right.READ | Right.WRITE,
        Right(0),
        ~Right.READ,
        Bits.A | Bits.B,
        Bits(8),
        Bits.A | 64,
        ~Bits.A,
        Text.X,
        Plain.Inner.A,
        {Colour.RED: Number.ONE, Pair(1, 2): Text.X, Right.READ: 0},
        Plain(1),
        Plain(1, Plain(2, np.arange(3))),
        changed(Plain(1), z=[1], beside="an attribute that is no field"),
        Frozen(1, hidden=Frozen((1,))),
        {Frozen(1): Frozen(2)},
        Slotted(x=[1.5]),
        Child(1, 2, 3),
        changed(Child(1), z=[]),
        without_init(Slotted),
        without_init(Checked, x=1),
    ],
    ids=lambda v: type(v).__name__,
)
def test_value_of_a_class_of_the_program_is_kept(value):
    kept(value)
    kept([value, {"a": value}])


@pytest.mark.parametrize("value", [Picky(1), Reducing(1), Stateful(1), Items(2)], ids=repr)
def test_classes_that_pickle_themselves_are_left_to_pickle(value):
    with pytest.raises(PickleRefusedException, match=type(value).__name__):
        encode([value], pickle=False)
    assert copied(value, pickle=True) == value


def test_a_class_without_a_name_to_find_it_by_is_refused():
    @dataclasses.dataclass
    class Local:
        x: int

    local_enum = enum.Enum("local_enum", "A")
    for value in (Local(1), collections.namedtuple("Gone", "x")(1), local_enum.A):
        with pytest.raises(PickleRefusedException, match="under this name"):
            encode([value], pickle=False)
        with pytest.raises(TypeErrorException, match="under this name"):
            encode([value])


@pytest.fixture
def module():
    """A module that can be taken away again, with a class of each kind."""
    made = types.ModuleType("module_of_a_test")
    source = """
import collections, dataclasses, enum
Pair = collections.namedtuple("Pair", "a b")
class Colour(enum.Enum):
    RED = 1
    BLUE = "b"
class Right(enum.Flag):
    READ = 1
    WRITE = 2
@dataclasses.dataclass
class Plain:
    x: int
"""
    sys.modules[made.__name__] = made
    exec(source, made.__dict__)
    yield made
    sys.modules.pop(made.__name__, None)


def test_a_member_is_known_by_its_name_where_its_value_has_no_codec(module):
    module.Colour = enum.Enum("Colour", {"ODD": object()}, module=module.__name__)
    encoded = stored(encode(module.Colour.ODD, pickle=False))
    assert decode(*encoded, pickle=False) is module.Colour.ODD


def test_a_missing_class_is_an_error_that_says_which(module):
    values = [module.Pair(1, 2), module.Colour.RED, module.Right(3), module.Plain(1)]
    everything = [stored(encode(value, pickle=False)) for value in values]
    for value, encoded in zip(values, everything, strict=True):
        name = type(value).__name__
        delattr(module, name)
        for pickle in (False, True):
            with pytest.raises(NotAvailableHereException, match=rf"'{name}'.*module_of_a_test"):
                decode(*encoded, pickle=pickle)
    del sys.modules[module.__name__]
    for encoded in everything:
        with pytest.raises(NotAvailableHereException, match=r"'module_of_a_test'.*import it"):
            decode(*encoded, pickle=False)
        with pytest.raises(NotAvailableHereException, match="'module_of_a_test'"):
            decode(*encoded)


def test_a_changed_class_is_an_error_that_says_how(module):
    values = [
        module.Pair(1, 2),
        module.Colour.RED,
        module.Colour.BLUE,
        module.Right(3),
        module.Plain(1),
    ]
    everything = [stored(encode(value, pickle=False)) for value in values]
    exec(
        """
Pair = collections.namedtuple("Pair", "b a")
class Colour(enum.Enum):
    RED = 2
class Right(enum.Flag):
    READ = 1
@dataclasses.dataclass
class Plain:
    x: int
    y: int = 1
""",
        module.__dict__,
    )
    for encoded, what in zip(
        everything, ["'b', 'a'", "2.*not 1", "'BLUE'", "3", "'x', 'y'"], strict=True
    ):
        with pytest.raises(NotAvailableHereException, match=what):
            decode(*encoded, pickle=False)


def test_without_pickle_nothing_is_imported():
    name = "this"  # a module that shows whether it was imported
    assert name not in sys.modules
    for codec in ("enum", "dataclass", "namedtuple"):
        node = {"codec": codec, "version": 1, "module_": name, "class_": "x"}
        with pytest.raises(NotAvailableHereException, match=name):
            decode("x", json.dumps(node), [], pickle=False)
    assert name not in sys.modules


@pytest.mark.parametrize("codec", ["enum", "dataclass", "namedtuple"])
@pytest.mark.parametrize(
    ("module_name", "class_name"),
    [("builtins", "int"), ("subprocess", "Popen"), ("os", "path.join"), ("builtins", "object.x")],
)
def test_other_classes_are_not_made(codec, module_name, class_name):
    node = {
        "codec": codec,
        "version": 1,
        "module_": module_name,
        "class_": class_name,
        "fields_": [],
        "names_": [],
        "size_": 0,
        "items_": [],
        "value_": 1,
    }
    with pytest.raises(VineyardException):
        decode("x", json.dumps(node), [], pickle=False)
