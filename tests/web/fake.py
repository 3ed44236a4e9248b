# SPDX-License-Identifier: Apache-2.0
# Copyright The Vineyard Authors.
"""A server that answers what an instance's HTTP side does, from a store that the test steers.

It serves the page's files from the sources, with the headers that an instance sends, and notes what it was asked.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

PAGE = Path(__file__).parents[2] / "src/http/page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
STATES = ["memory", "disk", "mixed", "writing", "lingering"]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
MEMORY = ("sealed", "writing", "lingering", "idle", "moving", "records", "slack", "catalog")


@dataclass
class Stored:
    """One object."""

    id: str
    volume: str
    type: str
    bytes: int
    names: list[str]
    created: int
    creator: dict[str, Any] | None
    state: str
    reasons: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    held_by: list[dict[str, Any]] = field(default_factory=list)
    members_of: list[str] = field(default_factory=list)


class Store:
    """What the server tells of. Change it under `lock`, or by the methods."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.lock = threading.RLock()
        self.limit = limit
        self.ready = 0
        self.now: int | None = None  # milliseconds; None: the clock's
        self.version = 1
        self.objects: dict[tuple[str, str], Stored] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.clients: list[dict[str, Any]] = []
        self.waits: list[dict[str, Any]] = []
        self.history: dict[str, list[float | None]] = {}
        self.disk = {"bytes": 0, "loads": 0, "evictions": 0, "damaged": 0}
        self.deployment: str = "fake"
        self.trouble: dict[str, int] = {}  # path → the status it is answered with
        self.trouble_is = "the engine does not answer"
        self._last = 0
        self.add_volume("default")

    def time(self) -> int:
        return int(time.time() * 1000) if self.now is None else self.now

    def add_volume(self, name: str, **memory: int) -> None:
        with self.lock:
            self.volumes[name] = dict.fromkeys(MEMORY, 0) | memory

    def put(
        self,
        name: str | None = None,
        *,
        type: str = "vineyard::Tensor",
        size: int = 1024,
        volume: str = "default",
        age: float = 0,
        creator: dict[str, Any] | None = None,
        state: str = "memory",
        **more: Any,
    ) -> str:
        """A new object; returns its id."""
        with self.lock:
            self._last += 1
            key = f"o{self._last:016x}"
            who = creator or {"pid": 4711, "uid": 1000, "pod": None, "program": "python3"}
            names = [] if name is None else [name]
            created = self.time() - int(age * 1000)
            self.objects[volume, key] = Stored(
                key, volume, type, size, names, created, who, state, **more
            )
            self.version += 1
            return key

    def delete(self, key: str, volume: str = "default") -> None:
        with self.lock:
            del self.objects[volume, key]
            self.version += 1

    # ---- answers

    def state(self) -> dict[str, Any]:
        held = 0
        volumes = []
        for name, memory in self.volumes.items():
            mine = [stored for stored in self.objects.values() if stored.volume == name]
            sealed = sum(s.bytes for s in mine if s.state == "memory") + memory["sealed"]
            parts = memory | {"sealed": sealed}
            held += sum(parts.values())
            volumes.append(
                {
                    "name": name,
                    "quota": 0,
                    "guaranteed": 0,
                    "objects": len(mine),
                    "names": sum(len(stored.names) for stored in mine),
                    "connections": len([c for c in self.clients if c["volume"] == name]),
                    "memory": parts,
                    "spilled": sum(stored.bytes for stored in mine if stored.state == "disk"),
                    "kept_by_names": 0,
                }
            )
        return {
            "time": self.time(),
            "instance": {
                "version": "1.2.3",
                "uuid": "0b4a2c3d",
                "generation": 1,
                "deployment": self.deployment,
                "socket": "/run/vineyard/vineyard.sock",
                "started": self.time() - 3_600_000,
            },
            "memory": {
                "limit": self.limit,
                "held": held,
                "ready": self.ready,
                "lingering": sum(memory["lingering"] for memory in self.volumes.values()),
                "free": max(0, self.limit - held - self.ready),
            },
            "volumes": volumes,
            "disk": self.disk,
            "objects_version": self.version,
        }

    def objects_answer(self, since: str | None) -> dict[str, Any] | None:
        if since == str(self.version):
            return None
        volumes: dict[str, int] = {}
        types: dict[str, int] = {}
        creators: dict[str, int] = {}
        names = ("id", "volume", "type", "bytes", "created", "creator", "name", "names", "state")
        rows: dict[str, list[Any]] = {name: [] for name in names}
        for stored in self.objects.values():
            who = -1
            if stored.creator is not None:
                who = creators.setdefault(json.dumps(stored.creator), len(creators))
            row = (
                stored.id,
                volumes.setdefault(stored.volume, len(volumes)),
                types.setdefault(stored.type, len(types)),
                stored.bytes,
                stored.created,
                who,
                stored.names[0] if stored.names else None,
                len(stored.names),
                STATES.index(stored.state),
            )
            for name, value in zip(names, row, strict=True):
                rows[name].append(value)
        return {
            "version": self.version,
            "time": self.time(),
            "more": False,
            "volumes": list(volumes),
            "types": list(types),
            "creators": [json.loads(text) for text in creators],
            "rows": rows,
            "states": STATES,
        }

    def why(self, volume: str, key: str) -> dict[str, Any] | None:
        stored = self.objects.get((volume, key))
        if stored is None:
            return None
        on_disk = stored.bytes if stored.state == "disk" else 0
        return {
            "id": key,
            "volume": volume,
            "type": stored.type,
            "bytes": stored.bytes,
            "created": stored.created,
            "creator": {"program": None} | (stored.creator or {}),
            "names": stored.names,
            "members_of": stored.members_of,
            "memory_bytes": stored.bytes - on_disk,
            "spilled_bytes": on_disk,
            "held_by": stored.held_by,
            "kept_by_names": [],
            "durable": False,
            "evictable": not stored.held_by,
            "reasons": stored.reasons,
            "advice": stored.advice,
        }

    def history_answer(self) -> dict[str, Any]:
        return {"step_s": 2, "time": self.time(), "series": self.history}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.server.asked.append(self.path)
        if url.path.startswith("/api/"):
            self._answer_api(url.path, query)
        elif (name := "index.html" if url.path == "/" else url.path[1:]) in self.server.files:
            text, kind = self.server.files[name]
            self._send(200, text, f"{kind}; charset=utf-8")
        else:
            self._fail(404, "not_found", "there is nothing at this path")

    def _answer_api(self, path: str, query: dict[str, str]) -> None:
        token, given = self.server.token, self.headers.get("Authorization", "")
        if token is not None and not hmac.compare_digest(given, f"Bearer {token}"):
            self._fail(401, "unauthorized", "a token is needed")
            return
        store = self.server.store
        if trouble := store.trouble.get(path):
            self._fail(trouble, "unavailable", store.trouble_is)
            return
        with store.lock:
            answers = {
                "/api/v1/state": store.state,
                "/api/v1/objects": lambda: store.objects_answer(query.get("since")),
                "/api/v1/why": lambda: store.why(query["volume"], query["id"]),
                "/api/v1/clients": lambda: {"clients": store.clients},
                "/api/v1/waits": lambda: {"waits": store.waits},
                "/api/v1/history": store.history_answer,
            }
            answer = answers[path]() if path in answers else None
            text = json.dumps(answer).encode()
        if answer is not None:
            self._send(200, text, "application/json")
        elif path == "/api/v1/objects":
            self._send(304, b"", None)
        else:
            self._fail(404, "not_found", "there is no such object")

    def _fail(self, status: int, code: str, message: str) -> None:
        text = json.dumps({"error": {"code": code, "message": message}}).encode()
        self._send(status, text, "application/json")

    def _send(self, status: int, text: bytes, kind: str | None) -> None:
        self.send_response(status)
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


class FakeServer(ThreadingHTTPServer):
    """Listens on a loopback port while it is entered; `stop` and `start` take it away and bring it back there."""

    daemon_threads = True
    block_on_close = False
    files: ClassVar[dict[str, tuple[bytes, str]]] = {
        str(path.relative_to(PAGE)): (path.read_bytes(), TYPES[path.suffix])
        for path in PAGE.rglob("*")
        if path.suffix in TYPES
    }

    def __init__(self, store: Store, token: str | None = None, port: int = 0) -> None:
        self.store = store
        self.token = token
        self.asked: list[str] = []
        self._open: list[socket.socket] = []
        super().__init__(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, *_: Any) -> None:
        """The browser went away within an answer."""

    def stop(self) -> None:
        """As if its process had ended: connections that were kept open are closed too."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # closed long ago
                connection.shutdown(socket.SHUT_RDWR)
