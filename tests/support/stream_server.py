"""A small server of `/v1/stream` whose connections follow a test's script: send, break, refuse. It resumes as the real server does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.waiting import PATIENCE_SECONDS


class Entry(NamedTuple):
    """A record of the stream as the server holds it."""

    topic: str
    data: bytes


class Script(NamedTuple):
    """What the server does on one connection."""

    status: int = 200
    content_type: str = "text/event-stream"
    frames: int = 1_000_000
    """How many records it sends before it breaks the connection."""
    torn: bool = False
    """Whether it breaks the connection in the middle of the next record."""
    repeats_last: bool = False
    """Whether it begins with the record that the client has already."""
    retry_after: str | None = None
    body: bytes = b""


class ReceivedRequest(NamedTuple):
    """One request as the server received it."""

    path: str
    query: dict[str, list[str]]
    last_event_id: str | None
    authorization: str | None


class StreamServer:
    """The records, the scripts of the next connections, and the requests received. A cursor is the number of records before it."""

    def __init__(self, entries: Sequence[Entry], scripts: Sequence[Script]) -> None:
        self.entries, self.scripts, self.requests = list(entries), list(scripts), list[ReceivedRequest]()
        self.address = ""
        self.closing = threading.Event()


@contextmanager
def stream_server(entries: Sequence[Entry], *scripts: Script) -> Iterator[StreamServer]:
    """Serve until the block ends; after the last script, further connections send everything and stay open."""
    served = StreamServer(entries, scripts)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            url = urlsplit(self.path)
            last = self.headers["Last-Event-ID"]
            query = parse_qs(url.query)
            served.requests.append(ReceivedRequest(url.path, query, last, self.headers["Authorization"]))
            script = served.scripts.pop(0) if served.scripts else Script()
            self.send_response(script.status)
            self.send_header("Content-Type", script.content_type if script.status == 200 else "application/json")
            if script.retry_after is not None:
                self.send_header("Retry-After", script.retry_after)
            self.send_header("Connection", "close")
            self.end_headers()
            if script.status == 200:
                self.send_records(script, int(last or 0), to_the_end="until" in query)
            else:
                self.wfile.write(script.body)

        def send_records(self, script: Script, first: int, *, to_the_end: bool) -> None:
            self.wfile.write(f": hello\nretry: 3000\n\nid: {first}\n\n".encode())
            begin = max(0, first - script.repeats_last)
            for number, (topic, data) in list(enumerate(served.entries))[begin : first + script.frames]:
                self.wfile.write(frame(number, topic, data))
            if script.torn:
                whole = frame(first + script.frames, *served.entries[first + script.frames])
                self.wfile.write(whole[: len(whole) // 2])
            if first + script.frames >= len(served.entries) and to_the_end:
                self.wfile.write(b"event: end\ndata: {}\n\n")
            elif first + script.frames >= len(served.entries):
                self.wfile.flush()
                served.closing.wait(PATIENCE_SECONDS)

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield served
    finally:
        served.closing.set()
        server.shutdown()
        server.server_close()


def frame(number: int, topic: str, data: bytes) -> bytes:
    lines = b"\n".join(b"data: " + line for line in data.split(b"\n"))
    return f"id: {number + 1}\nevent: {topic}\n".encode() + lines + b"\n\n"
