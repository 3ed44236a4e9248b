# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""v6d 0.24.2, which vineyard succeeds: its daemon and its Python package, as its wheels bring them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from side_by_side.peers.peer import Address, NotToBeHad
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer


class Server(BaseServer):
    title = "v6d"
    requirements = "bench-v6d.txt"
    settings = "vineyardd --meta=local --rpc=false"

    def start(self) -> Address:
        found = list(self.environment.glob("lib/python*/site-packages/vineyard/bdist/vineyardd"))
        if not found:
            raise NotToBeHad("its wheel brings no vineyardd")
        socket = self.folder / "v6d.sock"
        self.launch(
            [found[0], f"--socket={socket}", "--meta=local", f"--size={self.size}", "--rpc=false"],
            GLOG_minloglevel="2",
        )
        self.wait_for(socket.exists, "v6d's vineyardd")
        return {"socket": str(socket)}


class Client(BaseClient):
    imports = ("vineyard",)
    packages = ("vineyard", "numpy", "pandas", "pyarrow")

    def __init__(self, address: Address) -> None:
        import vineyard

        super().__init__(address)
        self._client = vineyard.connect(address["socket"])
        self.key_in = vineyard.ObjectID

    @cached_property
    def put(self) -> Callable[[Any], Any]:
        return self._client.put

    @cached_property
    def get(self) -> Callable[[Any], Any]:
        return self._client.get

    def delete(self, keys: Sequence[Any]) -> None:
        self._client.delete(list(keys))

    def list_page(self, limit: int) -> Sequence[Any]:
        return self._client.list_objects("*", limit=limit)

    def key_out(self, key: Any) -> Any:
        return int(key)
