"""Odd requests over raw sockets: every byte belongs to a well-formed answer of ours, and none carries a header of the client's."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stream.serve.gate import SECURITY_HEADERS
from tests.support.api_server import ApiServer, Deployment, serve_deployment
from tests.support.waiting import PATIENCE_SECONDS

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
OUR_HEADERS = {
    b"content-length", b"content-type", b"cache-control", b"connection", b"allow", b"date", b"retry-after", b"location", b"vary",
    *(name.encode() for name in SECURITY_HEADERS),
}  # fmt: skip
FORGED = b"Set-Cookie: forged=1"
MOST_RESETS = 20


class Answer(NamedTuple):
    """One answer as it stands in the bytes of a connection."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def exchange(server: ApiServer, *pieces: bytes) -> bytes | None:
    """Send pieces in packets of their own, and return all that comes until the server closes the connection.

    Returns:
        None if the connection was reset, as it is when a server closes it with some of our bytes unread: what it sent can be lost.
    """
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = bytearray()
        try:
            for piece in pieces:
                client.sendall(piece)
            while part := client.recv(65_536):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            return None
        return bytes(received)


def exchange_unreset(server: ApiServer, *pieces: bytes) -> bytes:
    """Do the same, again where the connection was reset: whether the server closes before it has read what follows is a race."""
    for _ in range(MOST_RESETS):
        if (received := exchange(server, *pieces)) is not None:
            return received
    raise AssertionError(f"the connection was reset {MOST_RESETS} times")


def parse(received: bytes, methods: list[bytes]) -> list[Answer]:
    """Split bytes into answers by their own lengths.

    Args:
        methods: of the requests in their order; answers to further ones count as those of GET.
    """
    answers: list[Answer] = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, f"bytes that are no answer: {received[:100]!r}"
        first, *lines = head.split(b"\r\n")
        assert first.startswith(b"HTTP/1.1 "), f"an answer begins with {first[:100]!r}"
        pairs = [line.split(b": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), f"a header occurs twice: {head!r}"
        is_head = len(answers) < len(methods) and methods[len(answers)] == b"HEAD"
        length = 0 if is_head else int(headers[b"content-length"])
        assert len(rest) >= length, f"a body of {len(rest)} bytes instead of {length}"
        answers.append(Answer(int(first.split(b" ")[1]), headers, rest[:length]))
        received = rest[length:]
    return answers


def check(answers: list[Answer]) -> None:
    for answer in answers:
        assert set(answer.headers) <= OUR_HEADERS, answer
        assert FORGED not in b"\r\n".join(answer.headers.values()), answer
        assert answer.headers[b"x-content-type-options"] == b"nosniff", answer
        assert answer.headers[b"content-type"].startswith((b"application/", b"text/")), answer
        assert b"\r\n" not in answer.body, answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder: Path = tmp_path_factory.mktemp("bytes")
    deployment = Deployment(f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/log.db")
    deployment.fill()
    with serve_deployment(deployment) as running:
        yield running


def request(target: bytes, *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1", body: bytes = b"") -> bytes:
    return b"%s %s %s\r\n%s%s\r\n%s" % (method, target, version, HOST, b"".join(header + b"\r\n" for header in headers), body)


TWO_REQUESTS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BAD = {
    "HTTP/0.9": b"GET /v1/regions/x\r\n\r\n",
    "HTTP/0.9 that is reflected": b"GET /v1/events?%0d%0a" + FORGED.replace(b" ", b"%20") + b"=1\r\n\r\n",
    "a NUL in the path": request(b"/v1/regions/\x00"),
    "a NUL in a header": request(b"/healthz", b"X: a\x00b"),
    "a carriage return in a header": request(b"/healthz", b"X: a\r" + FORGED),
    "bytes above ASCII in the path": request(b"/v1/regions/\xff"),
    "a space before the colon": request(b"/healthz", b"X : a"),
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": request(b"/healthz", b"Host: elsewhere"),
    "two lengths": request(b"/healthz", b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    "a length with a sign": request(b"/healthz", b"Content-Length: +1", body=b"a"),
    "a negative length": request(b"/healthz", b"Content-Length: -1"),
    "a length of a superscript": request(b"/healthz", b"Content-Length: \xb2"),
    "a length of 5,000 digits": request(b"/healthz", b"Content-Length: " + b"9" * 5_000),
    "a length and chunks": request(b"/healthz", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks": request(b"/healthz", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    "damaged chunks": request(b"/healthz", b"Transfer-Encoding: chunked", body=b"zz\r\n"),
    "HEAD with damaged chunks": request(b"/healthz", b"Transfer-Encoding: chunked", method=b"HEAD", body=b"zz\r\n"),
    "an unknown encoding": request(b"/healthz", b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a length of 20 digits": request(b"/healthz", b"Content-Length: " + b"9" * 20),
    "no request at all": b"junk junk junk\r\n\r\n",
    "the beginning of HTTP/2": TWO_REQUESTS,
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(189) + b"\r\n\r\n",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_refused_in_one_answer_and_what_follows_it_is_not_read(server: ApiServer, bad: bytes) -> None:
    received = exchange_unreset(server, HEALTH + bad + HEALTH)
    answers = parse(received, [b"GET", bad.partition(b" ")[0]])
    check(answers)
    assert [answer.status for answer in answers[:1]] == [200]
    assert answers[-1].status in (400, 413)
    assert answers[-1].headers[b"connection"] == b"close"
    assert len(answers) == 2 or bad == TWO_REQUESTS


ODD = {
    "HTTP/0.9 as a version": (request(b"/v1/regions/x", version=b"HTTP/0.9"), 404),
    "HTTP/9.9": (request(b"/healthz", version=b"HTTP/9.9"), 200),
    "line ends in the path": (request(b"/v1/regions/%0d%0a" + FORGED.replace(b" ", b"%20")), 404),
    "line ends in a value": (request(b"/v1/events?region=%0d%0a" + FORGED.replace(b" ", b"%20")), 400),
    "line ends in a name": (request(b"/v1/events?%0d%0a%0d%0a" + FORGED.replace(b" ", b"%20") + b"=1"), 400),
    "characters of two bytes in a name": (request(b"/v1/events?%c3%a9%e2%82%ac%f0%9f%8c%8d=1"), 400),
    "broken UTF-8 in a name": (request(b"/v1/events?%ff%ed%a0%80=1"), 400),
    "a NUL in a name": (request(b"/v1/events?%00=1"), 400),
    "line ends in a path that ends in a slash": (request(b"/v1/status/%0d%0a" + FORGED.replace(b" ", b"%20") + b"/"), 404),
    "another host as the target": (request(b"//evil.example/%2e%2e/"), 404),
    "an absolute target": (request(b"http://evil.example/v1/status"), 404),
    "HEAD of what does not exist": (request(b"/v1/regions/x", method=b"HEAD"), 404),
    "a body that is a request": (request(b"/v1/regions/x", b"Content-Length: %d" % len(HEALTH), body=HEALTH), 404),
    "a POST with a body": (request(b"/v1/status", b"Content-Length: 3", method=b"POST", body=b"abc"), 405),
    "a POST that waits before its body": (
        request(b"/v1/status", b"Expect: 100-continue", b"Content-Length: 3", method=b"POST", body=b"abc"),
        405,
    ),
    "an upgrade": (request(b"/healthz", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: x"), 200),
    "a tunnel": (request(b"evil.example:80", method=b"CONNECT"), 404),
    "TRACE": (request(b"/v1/status", FORGED, method=b"TRACE"), 405),
    "a cursor with line ends": (request(b"/v1/stream", b"Last-Event-ID: x%0d%0a" + FORGED), 400),
    "lines that end in a line feed": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 200),
}  # fmt: skip


@pytest.mark.parametrize(("odd", "status"), ODD.values(), ids=ODD.keys())
def test_an_odd_request_in_a_pipeline_gets_its_own_answer(server: ApiServer, odd: bytes, status: int) -> None:
    methods = [b"GET", odd.partition(b" ")[0], b"GET"]
    whole = HEALTH + odd + LAST
    for pieces in ([whole], [whole[place : place + 7] for place in range(0, len(whole), 7)]):
        answers = parse(exchange_unreset(server, *pieces), methods)
        check(answers)
        expected = [200, status] if b"HTTP/0.9" in odd else [200, status, 200]
        assert [answer.status for answer in answers] == expected
        assert answers[-1].headers[b"connection"].lower() == b"close"


def test_pipelines_of_random_requests_are_answered_in_order_by_well_formed_answers(
    server: ApiServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(20230206)
    odd, bad = [one for one, _ in ODD.values()], [one for one in BAD.values() if one != TWO_REQUESTS]
    answered = 0
    for _ in range(200):
        chosen = [rng.choice(odd if rng.random() < 0.8 else bad) for _ in range(rng.randint(1, 6))]
        whole = b"".join(chosen) + LAST
        cuts = sorted(rng.sample(range(1, len(whole)), rng.randint(0, 5)))
        pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        received = exchange(server, *pieces)
        if received is not None:
            answers = parse(received, [one.partition(b" ")[0] for one in chosen])
            check(answers)
            assert 0 < len(answers) <= len(chosen) + 1
            answered += 1
    assert answered > 100
    assert not [record.getMessage() for record in caplog.records]
    assert not [line for line in capfd.readouterr().err.splitlines() if line.startswith(("WARNING", "ERROR", "Traceback"))]
