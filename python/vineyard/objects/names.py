# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""ObjectName."""

from __future__ import annotations

from vineyard.errors import InvalidException

_SCHEME = "vineyard://"


class ObjectName(str):
    """A name, for programs that tell names and ids apart by their type."""

    __slots__ = ()

    @property
    def uri(self) -> str:
        """``vineyard://`` and the name."""
        return f"{_SCHEME}{self}"

    @staticmethod
    def from_uri(uri: str) -> ObjectName:
        """The name of a `uri`."""
        if not uri.startswith(_SCHEME):
            raise InvalidException(f"{uri!r} does not begin with {_SCHEME}")
        return ObjectName(uri.removeprefix(_SCHEME))

    def __repr__(self) -> str:
        return f"ObjectName({str(self)!r})"
