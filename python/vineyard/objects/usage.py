# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Bytes of the buffers of an object and of its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vineyard._core import Blob, ObjectID

if TYPE_CHECKING:
    from vineyard.objects.metadata import ObjectMeta


def total(meta: ObjectMeta) -> int:
    """Of the object and all its members, each buffer counted once."""
    buffers: dict[tuple[ObjectID, int], int] = {}
    _add(meta, buffers, set())
    return sum(buffers.values())


def _add(meta: ObjectMeta, buffers: dict[tuple[ObjectID, int], int], seen: set[ObjectID]) -> None:
    for blob, offset, length in meta._own_buffers():
        buffers[blob, offset] = max(length, buffers.get((blob, offset), 0))
    for key, ref in meta._members.items():
        if isinstance(ref, ObjectID):
            if ref in seen:
                continue
            seen.add(ref)
        member = meta.get_member(key)
        if isinstance(member, Blob):
            buffers[member.id, 0] = member.size
        elif not isinstance(member, ObjectID):  # which it is where there is no client to ask
            _add(member, buffers, seen)


def by_member(meta: ObjectMeta) -> dict[str, int]:
    """Of the object alone (key ``""``), and of each member by itself."""
    usage = {"": sum(length for _, _, length in meta._own_buffers())}
    for key in meta._members:
        member = meta.get_member(key)
        if isinstance(member, Blob):
            usage[key] = member.size
        elif not isinstance(member, ObjectID):
            usage[key] = total(member)
    return usage
