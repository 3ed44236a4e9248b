# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What callers may say to name an object, and what a name may be."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from vineyard import _core
from vineyard._core import Blob, ObjectID
from vineyard.errors import InvalidException, TypeErrorException
from vineyard.objects import Object, ObjectMeta


class Calls:
    """What all groups of calls stand on."""

    __slots__ = ()

    _core: _core.Client


#: What names an object in a call.
Ref: TypeAlias = "ObjectID | Object | ObjectMeta | Blob | str | int | np.integer[Any]"


def to_id(ref: Any) -> ObjectID:
    """The ObjectID of anything that names an object: an ObjectID, an Object, ObjectMeta, a Blob,
    a text like ``"o0000000000000001"``, or an integer."""
    if type(ref) is ObjectID:
        return ref
    if isinstance(ref, (Object, ObjectMeta, Blob)):
        return ref.id
    if isinstance(ref, np.integer):
        ref = int(ref)
    if isinstance(ref, (str, int)) and not isinstance(ref, bool):
        if isinstance(ref, int) and not 0 <= ref < 2**64:
            raise InvalidException(f"{ref} is no object id: ids are integers of 64 bits")
        return ObjectID(ref)
    raise TypeErrorException(f"a value of type {type(ref).__name__} names no object")


def to_name(name: Any) -> str:
    """A name, checked as far as the instance could not say it better."""
    if not isinstance(name, str):
        raise TypeErrorException(f"a name is a str, not a {type(name).__name__}")
    if not name:
        raise InvalidException("a name can't be empty")
    check_text(name, "a name")
    return name


def check_text(text: str, what: str) -> None:
    """Raises for text with lone surrogates, which has no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidException(f"{text!r} can't be {what}: it is no Unicode text") from None
