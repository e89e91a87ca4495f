"""`make demo`: run `quakecast up` on a simulated feed, many times faster than real time. It needs no internet."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ingest.instant import Instant
from ingest.simulated import Sequence, summary

SPEED = 600.0
DAYS = 30.0
HISTORY_DAYS = 1.0
SPAN_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.0}
DELAY_SECONDS = 180


class Simulation:
    """A sequence and its clock: each event is published some minutes after its origin time."""

    def __init__(self) -> None:
        self._start = Instant(round(time.time() * 1000)).plus(days=HISTORY_DAYS - DAYS)  # the last day of the sequence is today
        self._began = time.monotonic()
        self._events = Sequence(self._start.plus(days=-HISTORY_DAYS), DAYS, seed=7).events

    def now(self) -> Instant:
        """Return the present time of the simulation."""
        return self._start.plus(seconds=(time.monotonic() - self._began) * SPEED)

    def body(self, name: str) -> bytes:
        """Return the GeoJSON of a summary feed, such as `all_day`."""
        now = self.now()
        since = now.plus(days=-SPAN_DAYS.get(name.partition("_")[2], 1.0))
        events = [event for event in self._events if since <= event.time <= now.plus(seconds=-DELAY_SECONDS)]
        return summary(events, now, f"simulated {name}")


def serve(simulation: Simulation) -> ThreadingHTTPServer:
    """Serve a stand-in for the summary feeds on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].rpartition("/")[2].removesuffix(".geojson")
            exists = "/summary/" in self.path or name == "query"
            body = simulation.body(name) if exists else b"not found"
            self.send_response(200 if exists else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    from stream.cli import run

    server, arguments = serve(Simulation()), sys.argv[1:]
    sys.stderr.write(f"A simulated sequence, {SPEED:.0f} times as fast as real time. None of its earthquakes is real.\n")
    with tempfile.TemporaryDirectory(prefix="quakecast-demo-") as folder:
        address = f"http://127.0.0.1:{server.server_port}"
        sys.argv = ["quakecast", "up", "--bus", f"sqlite:///{folder}/demo.db", "--usgs", address, "--poll-seconds", "1", "--simulated"]
        sys.argv += arguments
        code = run()
    sys.exit(code)


if __name__ == "__main__":
    main()
