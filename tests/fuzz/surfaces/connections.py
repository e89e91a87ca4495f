"""Bytes on a connection to the real HTTP server: pipelined, cut, of other protocols. What comes back is whole answers and nothing else."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from functools import cache
from random import Random

from ingest.bus import open_log
from stream.serve.api import Sources
from stream.serve.gate import Access
from stream.serve.server import serve
from stream.serve.store_positions import StorePositions
from stream.store import open_store
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_text, sometimes_damaged
from tests.fuzz.surfaces import requests
from tests.fuzz.surfaces.files import folder
from tests.support.simulated import table
from tests.support.waiting import wait_until

FORGED = ("HTTP/1.1 200 OK\r\nX-Forged: 1\r\n\r\n", "\r\nX-Forged: 1\r\n\r\n", "x%0d%0aX-Forged:%201")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "", "HTTP/1.1 HTTP/1.1")
OTHER_PROTOCOLS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /v1/status\r\n\r\n", b"\r\n\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
)  # fmt: skip
QUIET_SECONDS, CONNECT_SECONDS = 0.01, 10.0
"""An answer that has begun is waited for; when all is answered and so long nothing follows, nothing more comes."""
_START = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n((?:[A-Za-z-]+: [ -~]*\r\n)*)\r\n")
_LENGTH = re.compile(rb"(?i)content-length: (\d+)\r\n")


def generate(rng: Random) -> bytes:
    sent = b"".join(_one_request(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    return sometimes_damaged(rng, sent, 0.3)


def take(body: bytes) -> Taken:
    with socket.create_connection(("127.0.0.1", _port()), CONNECT_SECONDS) as connection:
        connection.sendall(body)
        statuses, left = _read_answers(connection)
    assert not _errors.records, _errors.records.pop().getMessage()
    assert not left, f"after {len(statuses)} answers came {left[:300]!r}"
    assert 500 not in statuses
    return Taken(refused=all(status >= 400 for status in statuses))


def _one_request(rng: Random) -> bytes:
    if rng.random() < 0.05:
        return rng.choice(OTHER_PROTOCOLS)
    first, *headers = requests.generate(rng).split(b"\n")
    if b"/v1/stream" in first or first.startswith((b"HEAD", b"OPTIONS")):
        first = b"GET /v1/status?" + rng.choice(FORGED).encode()
    if rng.random() < 0.1:
        headers.append(b"x-odd: " + (rng.choice(FORGED) + odd_text(rng)).encode("utf-8", "replace"))
    if rng.random() < 0.1:
        headers.append(
            rng.choice((b"transfer-encoding: chunked", b"content-length: 5", b"expect: 100-continue", b" folded", b"connection: close"))
        )
    line = first + b" " + rng.choice(VERSIONS).encode()
    return rng.choice((b"\r\n", b"\r\n", b"\n")).join([line, *headers, b"", rng.choice((b"", b"", b"5\r\nhello\r\n0\r\n\r\n", b"hello"))])


def _read_answers(connection: socket.socket) -> tuple[list[int], bytes]:
    """Read until the server closes the connection, or has answered and is quiet. Returns the statuses, and bytes that are no answer."""
    received = b""
    deadline = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < deadline:
        connection.settimeout(QUIET_SECONDS)
        try:
            part = connection.recv(1 << 20)
        except TimeoutError:
            statuses, left = answers_in(received)
            if not left:
                return statuses, left
            continue
        except ConnectionResetError:
            part = b""
        received += part
        if not part:
            break
    return answers_in(received)


def answers_in(received: bytes) -> tuple[list[int], bytes]:
    """Take answer after answer from what was received. Returns their statuses, and the bytes from which on there is no whole answer."""
    statuses: list[int] = []
    while (start := _START.match(received)) and b"x-forged" not in start[2].lower():
        length = _LENGTH.search(start[2])
        end = start.end() + (int(length[1]) if length else 0)
        if len(received) < end or (length is None and start[1] not in (b"100", b"304")):
            break
        statuses.append(int(start[1]))
        received = received[end:]
    return statuses, received


class _Errors(logging.Handler):
    """Keeps the errors that the server logs: exceptions that reached it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


_errors = _Errors()


@cache
def _port() -> int:
    """Start the server over an empty log in a thread, and return its port."""
    url = f"sqlite:///{folder()}/empty.db"
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    sources = Sources(table(), lambda: open_log(url), StorePositions(lambda: open_store(url)))
    arguments = (listening, sources, threading.Event(), Access(requests_per_second=0.0))
    threading.Thread(target=serve, args=arguments, daemon=True).start()
    port = int(listening.getsockname()[1])
    wait_until(lambda: _answers(port), "the server answers")
    logging.getLogger("uvicorn.error").addHandler(_errors)
    return port


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
