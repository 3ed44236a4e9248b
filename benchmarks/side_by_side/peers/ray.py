# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""Ray's object store. The producer is a driver of its cluster, the consumers are actors.

Keys are object references. They reach an actor as the arguments of its task, as programs hand them
over; so tasks for consumers go through the producer (`Client.forward`).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from side_by_side.peers.peer import ROOT, Address
from side_by_side.peers.peer import Client as BaseClient
from side_by_side.peers.peer import Server as BaseServer

_QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens on the loopback address alone
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # it ends workers when others use the machine's memory
}


class Server(BaseServer):
    title = "Ray"
    requirements = "bench-ray.txt"
    settings = "one node, no dashboard; consumers are actors; object store of the size needed"

    variables = _QUIET

    def start(self) -> Address:
        address = self.folder / "address.json"
        self.launch(
            [self.environment / "bin/python", "-m", __name__, self.folder, self.size],
            **self.variables,
            PYTHONPATH=str(ROOT / "benchmarks"),
        )
        self.wait_for(address.exists, "Ray", 120)
        return dict(json.loads(address.read_text()))

    def consumers_by_producer(self) -> bool:
        return True


class Client(BaseClient):
    imports = ("ray",)
    packages = ("ray", "numpy", "pandas", "pyarrow")

    def __init__(self, address: Address) -> None:
        import ray

        super().__init__(address)
        ray.init(
            address=address["gcs"],
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}},
        )
        self._actors: list[Any] = []
        self._refs: dict[int, Any] = {}
        self._next = 0
        self._kept: list[Any] = []

    @cached_property
    def put(self) -> Callable[[Any], Any]:
        import ray

        return ray.put

    @cached_property
    def get(self) -> Callable[[Any], Any]:
        import ray

        return ray.get

    def get_many(self, keys: Sequence[Any]) -> list[Any]:
        return list(self.get(list(keys)))

    def delete(self, keys: Sequence[Any]) -> None:
        gone = set(keys)
        self._refs = {number: ref for number, ref in self._refs.items() if ref not in gone}
        # What is left are the caller's own references: these too must go.
        if isinstance(keys, list):
            keys.clear()

    def keep(self, keys: Sequence[Any]) -> None:
        self._kept += keys

    def key_out(self, key: Any) -> Any:
        self._next += 1
        self._refs[self._next] = key
        return self._next

    def key_in(self, sent: Any) -> Any:
        return self._refs[sent]

    def spawn(self) -> int:
        import ray

        self._actors.append(ray.remote(num_cpus=0)(_Consumer).remote())
        ray.get(self._actors[-1].run.remote("verify", {"keys": [], "value": "bytes:1"}))
        return len(self._actors) - 1

    def forward(self, steps: Sequence[tuple[int, str, dict[str, Any]]]) -> list[tuple[str, Any]]:
        import ray

        answers = []
        for to, step, arguments in steps:
            if "keys" in arguments:
                arguments = arguments | {"keys": [self._refs[n] for n in arguments["keys"]]}
            answers.append(self._actors[to].run.remote(step, arguments))
        return list(ray.get(answers))

    def close(self) -> None:
        import ray

        ray.shutdown()


class _Consumer:
    """The actor: a client within a process that Ray has started."""

    def __init__(self) -> None:
        self._client = _ActorClient({})

    def run(self, step: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        from side_by_side.worker import run

        return run(self._client, step, arguments)


class _ActorClient(Client):
    def __init__(self, address: Address) -> None:
        BaseClient.__init__(self, address)  # Ray is there already

    def delete(self, keys: Sequence[Any]) -> None:
        if isinstance(keys, list):
            keys.clear()

    def key_out(self, key: Any) -> Any:
        return key

    def key_in(self, sent: Any) -> Any:
        return sent


def _serve(folder: str, size: int) -> None:
    """Be the head of a cluster until asked to end."""
    import ray

    context = ray.init(
        num_cpus=1,
        object_store_memory=max(size, 80 << 20),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=f"{folder}/t",
    )
    path = Path(folder) / "address.json"
    path.with_suffix(".new").write_text(json.dumps({"gcs": context.address_info["gcs_address"]}))
    path.with_suffix(".new").rename(path)
    threading.Event().wait()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
