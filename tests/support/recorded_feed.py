"""The recorded feed, served over HTTP in the test's process, and all versions of events that it showed."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ingest.event import Event
from ingest.instant import Instant
from ingest.sources import parse_geojson


class RecordedFeed:
    """A running server and its bodies."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.bodies: list[bytes] = []
        """Every answer with events that a client received."""

    def move_clock(self, to: str) -> None:
        urllib.request.urlopen(f"{self.address}/_clock?to={to}").read()

    def now(self) -> Instant:
        body = json.load(urllib.request.urlopen(f"{self.address}/_clock"))
        return Instant.parse(body["now"])

    def shown_events(self) -> set[Event]:
        """Return every version of an event that was in one of the answers."""
        return {event for body in self.bodies for event in parse_geojson(body, "shown", None).events}


@contextmanager
def recorded_feed(folder: Path, start: str, speed: float) -> Iterator[RecordedFeed]:
    """Serve the recorded feed from a virtual time on; its clock stands until the first request, however long the client takes to start."""
    server_module: Any = _load(folder / "tools" / "feed_server.py")
    served, started = RecordedFeed(""), threading.Event()

    class Handler(server_module.Handler):  # type: ignore[misc]
        fault = {"mode": "", "n": 0}  # noqa: RUF012

        def do_GET(self) -> None:  # noqa: N802
            if not started.is_set() and not self.path.startswith("/_"):
                started.set()
                self.feed.set_clock(speed=speed)
            super().do_GET()

        def reply(self, status: int, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
            super().reply(status, body, kind, extra)
            if status == 200 and "json" in kind and "/_" not in self.path:
                served.bodies.append(body)

    moment = datetime.fromisoformat(start.replace("Z", "+00:00")).astimezone(UTC)
    Handler.feed = server_module.Feed(folder / "data" / "feed" / "changelog", moment, 0.0, 8)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _load(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location("recorded_feed_server", path)
    if specification is None or specification.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module
