# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vineyard._core import Blob, ObjectID

if TYPE_CHECKING:
    from vineyard.objects.metadata import ObjectMeta


class Object:
    """An object of the store: its metadata, and access to its members."""

    __slots__ = ("_meta",)

    def __init__(self, meta: ObjectMeta) -> None:
        self._meta = meta

    @staticmethod
    def from_(meta: ObjectMeta) -> Object:
        """The object that the metadata describes."""
        return Object(meta)

    @property
    def meta(self) -> ObjectMeta:
        return self._meta

    @property
    def id(self) -> ObjectID:
        return self._meta.id

    @property
    def typename(self) -> str:
        return self._meta.typename

    @property
    def signature(self) -> int:
        """A number that tells the object from others: that of its id."""
        return self._meta.signature

    @property
    def nbytes(self) -> int:
        return self._meta.nbytes

    @property
    def islocal(self) -> bool:
        return True

    @property
    def ispersist(self) -> bool:
        """True: on one instance every object is visible to all clients of its volume."""
        return True

    @property
    def isglobal(self) -> bool:
        return self._meta.isglobal

    def member(self, key: str) -> Any:
        """The member as an Object; of a blob, the blob. KeyError if there is none."""
        member = self._meta.get_member(key)
        return member if isinstance(member, (Blob, ObjectID)) else Object(member)

    def __getitem__(self, key: str) -> Any:
        return self.member(key)

    def __repr__(self) -> str:
        return f"Object({self.id!r}, typename={self.typename!r})"

    def _repr_html_(self) -> str:
        return self._meta._repr_html_()
