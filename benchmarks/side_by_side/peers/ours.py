# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Vineyard, of this checkout or another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from side_by_side.peers.peer import ROOT, Address, CannotDo, NotToBeHad
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "vineyard"
    settings = "vineyardd as built, --size alone given"
    #: The checkout whose build is measured.
    checkout: Path = ROOT

    def start(self) -> Address:
        program = self.checkout / "build/release/bin/vineyardd"
        if not program.exists():
            raise NotToBeHad(f"{program} is not there: `make build` makes it")
        socket = self.folder / "vineyard.sock"
        self.launch(
            [
                program,
                f"--socket={socket}",
                f"--size={self.size}",
                "--log_level=warning",
                f"--exit_with_parent={os.getpid()}",
            ]
        )
        self.wait_for(socket.exists, "vineyardd")
        return {"socket": str(socket)}


class Client(BaseClient):
    imports = ("vineyard",)
    packages = ("numpy", "pandas", "pyarrow")

    def __init__(self, address: Address) -> None:
        import vineyard

        super().__init__(address)
        self._client = vineyard.connect(address["socket"], progress=False)
        self.empty = self._client.empty
        self.put_many = self._client.put_many
        self.get_many = self._client.get_many
        self.key_in = vineyard.ObjectID
        self._allocator: Any = None

    # The client's own functions: a call of ours before theirs would be a part of what is measured.

    @cached_property
    def put(self) -> Callable[[Any], Any]:
        return self._client.put

    @cached_property
    def get(self) -> Callable[[Any], Any]:
        return self._client.get

    @cached_property
    def delete(self) -> Callable[[Sequence[Any]], None]:
        return self._client.delete

    def allocator(self) -> Any:
        import vineyard
        from vineyard.allocating import enabled_allocator

        if self._allocator is None:
            if not vineyard.enable_allocator(self._client, limit=1 << 40):
                raise CannotDo("shared memory gets no huge pages here, and so it stays off")
            self._allocator = enabled_allocator()
        return self._allocator

    def make_volumes(self, count: int) -> None:
        folder = os.path.dirname(self.address["socket"])
        for number in range(len(self._client._core.list_volumes()), count):
            self._client._core.create_volume(f"volume-{number}", f"{folder}/{number}")

    def list_page(self, limit: int) -> Sequence[Any]:
        return self._client.list_objects("*", limit=limit)

    def key_out(self, key: Any) -> Any:
        return int(key)

    def versions(self) -> dict[str, str]:
        return super().versions() | {"vineyard": self._client.version}

    def close(self) -> None:
        self._client.close()
