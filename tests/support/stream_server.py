"""A small server of `/v1/stream` whose connections do what a test tells them: send, cut, refuse. It resumes as the real one does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Entry(NamedTuple):
    """A record of the stream as the server has it."""

    topic: str
    data: bytes


class Turn(NamedTuple):
    """What one connection does."""

    status: int = 200
    content_type: str = "text/event-stream"
    frames: int = 1_000_000
    """How many records it sends before it is cut."""
    torn: bool = False
    """Cut in the middle of the record after those."""
    repeats_last: bool = False
    """Begins with the record that the client has already."""
    retry_after: str | None = None
    body: bytes = b""


class Asked(NamedTuple):
    """One request as it came."""

    path: str
    query: dict[str, list[str]]
    last_event_id: str | None
    authorization: str | None


class StreamServer:
    """A cursor is the number of records before it."""

    def __init__(self, entries: Sequence[Entry], turns: Sequence[Turn]) -> None:
        self.entries, self.turns, self.asked = list(entries), list(turns), list[Asked]()
        self.address = ""
        self.closing = threading.Event()


@contextmanager
def stream_server(entries: Sequence[Entry], *turns: Turn) -> Iterator[StreamServer]:
    """Serve until the block ends; once all turns are used, further connections send everything and stay open."""
    served = StreamServer(entries, turns)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            url = urlsplit(self.path)
            last = self.headers["Last-Event-ID"]
            query = parse_qs(url.query)
            served.asked.append(Asked(url.path, query, last, self.headers["Authorization"]))
            turn = served.turns.pop(0) if served.turns else Turn()
            self.send_response(turn.status)
            self.send_header("Content-Type", turn.content_type if turn.status == 200 else "application/json")
            if turn.retry_after is not None:
                self.send_header("Retry-After", turn.retry_after)
            self.send_header("Connection", "close")
            self.end_headers()
            if turn.status == 200:
                self.send_records(turn, int(last or 0), to_the_end="until" in query)
            else:
                self.wfile.write(turn.body)

        def send_records(self, turn: Turn, first: int, *, to_the_end: bool) -> None:
            self.wfile.write(f": hello\nretry: 3000\n\nid: {first}\n\n".encode())
            begin = max(0, first - turn.repeats_last)
            for number, (topic, data) in list(enumerate(served.entries))[begin : first + turn.frames]:
                self.wfile.write(frame(number, topic, data))
            if turn.torn:
                whole = frame(first + turn.frames, *served.entries[first + turn.frames])
                self.wfile.write(whole[: len(whole) // 2])
            if first + turn.frames >= len(served.entries) and to_the_end:
                self.wfile.write(b"event: end\ndata: {}\n\n")
            elif first + turn.frames >= len(served.entries):
                self.wfile.flush()
                served.closing.wait(20)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

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
