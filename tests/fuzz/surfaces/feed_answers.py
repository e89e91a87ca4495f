"""HTTP answers of a feed, as bytes on the connection: reports, or `PollFailed`."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from functools import cache
from random import Random

from ingest.instant import Instant
from ingest.sources import PollContext, PollFailed
from ingest.sources.usgs import CHANNELS, UsgsSource
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_number, odd_text, sometimes_damaged
from tests.fuzz.surfaces import geojson

TIMES = (
    "Mon, 06 Feb 2023 01:18:00 GMT",
    "Monday, 06-Feb-23 01:18:00 GMT",
    "Mon, 06 Feb 2023 25:61:00 +9999",
    "0",
    "-1",
    "Thu, 01 Jan 0001 00:00:00 GMT",
)
STATUSES = (200,) * 10 + (204, 301, 304, 400, 404, 409, 429, 500, 503, 100, 999)
CONTEXT = PollContext(geojson.CLOCK, geojson.CLOCK, None, None, None)


def generate(rng: Random) -> bytes:
    body, status = geojson.generate(rng), rng.choice(STATUSES)
    headers = [
        (name, rng.choice(TIMES) if rng.random() < 0.8 else odd_text(rng))
        for name in ("Date", "Expires", "Retry-After")
        if rng.random() < 0.6
    ]
    packing = rng.choice(("identity", "identity", "gzip", "deflate", "br"))
    if packing == "gzip":
        body = sometimes_damaged(rng, gzip.compress(body, mtime=0))
    elif packing == "deflate":
        body = sometimes_damaged(rng, zlib.compress(body))
    if packing != "identity" or rng.random() < 0.1:
        headers.append(("Content-Encoding", packing))
    if rng.random() < 0.5:
        headers.append(("Content-Length", str(len(body) if rng.random() < 0.8 else odd_number(rng))))
    if status == 301:
        headers.append(("Location", "/again"))
    lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers), "", ""]
    answer = "\r\n".join(lines).encode("utf-8", "replace") + body
    return answer if status == 301 else sometimes_damaged(rng, answer, 0.15)


def take(body: bytes) -> Taken:
    feed = _feed()
    feed.answer = body
    try:
        reports = feed.source.poll(CHANNELS[0], CONTEXT)
    except PollFailed:
        return Taken(refused=True)
    assert isinstance(reports.observed_at, Instant)
    return Taken()


class _Feed:
    """A server in a thread that sends `answer` to every request, and then closes the connection; and the source that polls it."""

    def __init__(self) -> None:
        self.answer = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.source = UsgsSource(f"http://127.0.0.1:{self._listening.getsockname()[1]}")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (part := connection.recv(65_536)):
                    request += part
                try:
                    connection.sendall(self.answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass
                except OSError:  # the source has closed it: the answer was no HTTP
                    pass


@cache
def _feed() -> _Feed:
    return _Feed()
