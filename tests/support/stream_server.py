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
    """The behaviour of the server on one connection."""

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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stream: StreamServer

    def do_GET(self) -> None:
        self.close_connection = True
        url = urlsplit(self.path)
        last = self.headers["Last-Event-ID"]
        query = parse_qs(url.query)
        self.stream.requests.append(ReceivedRequest(url.path, query, last, self.headers["Authorization"]))
        script = self.stream.scripts.pop(0) if self.stream.scripts else Script()
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
        entries, end = self.stream.entries, first + script.frames
        begin = max(0, first - script.repeats_last)
        for number, (topic, data) in list(enumerate(entries))[begin:end]:
            self.wfile.write(frame(number, topic, data))
        if script.torn:
            whole = frame(end, *entries[end])
            self.wfile.write(whole[: len(whole) // 2])
        if end >= len(entries) and to_the_end:
            self.wfile.write(b"event: end\ndata: {}\n\n")
        elif end >= len(entries):
            self.wfile.flush()
            self.stream.closing.wait(PATIENCE_SECONDS)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@contextmanager
def stream_server(entries: Sequence[Entry], *scripts: Script) -> Iterator[StreamServer]:
    """Serve until the block ends; after the last script, further connections send everything and stay open."""
    stream = StreamServer(entries, scripts)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stream": stream}))
    stream.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield stream
    finally:
        stream.closing.set()
        server.shutdown()
        server.server_close()


def frame(number: int, topic: str, data: bytes) -> bytes:
    lines = b"\n".join(b"data: " + line for line in data.split(b"\n"))
    return f"id: {number + 1}\nevent: {topic}\n".encode() + lines + b"\n\n"
