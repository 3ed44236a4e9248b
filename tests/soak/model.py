# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""What a volume holds of one process's objects and names: the rules of ownership, and nothing else.

Operations are tuples, so that they can be logged before they are done: ``("put", size, seed)``,
``("put_named", name, size, seed)``, ``("put_many", size, seed, count)``, ``("name", name, id)``, ``("drop", name)``,
``("delete", id)``. A seed names the content; an object's id is text.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Held:
    """An object: `size` bytes that `seed` stands for."""

    size: int
    seed: int
    owned: bool = False
    names: set[str] = field(default_factory=set)


@dataclass
class Model:
    objects: dict[str, Held] = field(default_factory=dict)
    #: Name -> the object's id and the version.
    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    #: Some that were deleted, of which nothing may be left.
    gone: list[str] = field(default_factory=list)

    def apply(self, operation: tuple, ids: list[str]) -> None:
        """Do what an operation has done; `ids` are those of the objects that it made."""
        what, *of = operation
        if what == "put":
            self.objects[ids[0]] = Held(*of)
        elif what == "put_many":
            size, seed, count = of
            for number in range(count):
                self.objects[ids[number]] = Held(size, seed + number)
        elif what == "put_named":
            name, size, seed = of
            self.objects[ids[0]] = Held(size, seed, owned=True)
            self._point(name, ids[0])
        elif what == "name":
            self._point(*of)
        elif what == "drop":
            self._unname(of[0])
            del self.names[of[0]]
        else:
            for name in self.objects[of[0]].names:
                del self.names[name]
            self._remove(of[0])

    def version(self, name: str) -> int:
        return self.names[name][1] if name in self.names else 0

    def _point(self, name: str, id: str) -> None:
        version = self.version(name) + 1
        if name in self.names and self.names[name][0] != id:
            self._unname(name)
        self.names[name] = (id, version)
        self.objects[id].names.add(name)

    def _unname(self, name: str) -> None:
        id = self.names[name][0]
        held = self.objects[id]
        held.names.discard(name)
        if held.owned and not held.names:
            self._remove(id)

    def _remove(self, id: str) -> None:
        del self.objects[id]
        self.gone = [*self.gone[-7:], id]
