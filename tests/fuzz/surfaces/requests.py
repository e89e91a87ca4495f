"""HTTP requests to every endpoint, passed to the application in this process: one whole answer each, none with status 500."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote, quote_from_bytes, unquote

from ingest.bus import open_log
from stream.serve.api import Api, Sources
from stream.serve.application import application
from stream.serve.gate import Access, Gate
from stream.serve.sse import Hub, LogReader
from stream.serve.sse.log_tail import first_offsets, last_offsets, merge_by_time
from stream.serve.store_positions import StorePositions
from stream.store import open_store
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import odd_number, odd_text, sometimes_damaged
from tests.fuzz.surfaces.files import folder
from tests.integration.test_api import explain
from tests.support.api_server import Deployment
from tests.support.simulated import REGION, table

SPAN = ("from", "to", "limit")
PATHS = dict.fromkeys((
    "/", "/assets/page.js", "/healthz", "/readyz", "/metrics", "/forecasts.json", "/openapi.json", "/asyncapi.json",
    "/schemas/alert.1.json", "/v1/status", "/v1/regions", f"/v1/regions/{REGION.id}", f"/v1/regions/{REGION.id}/explanation",
    "/v1/forecasts", "/v1/forecasts.geojson", "/v1/outlooks", "/v1/scores", "/v1/models", "/v1/alerts/m6-observed:test:0-1",
), ()) | {
    f"/v1/regions/{REGION.id}/forecasts": SPAN, f"/v1/regions/{REGION.id}/outlooks": SPAN, f"/v1/regions/{REGION.id}/outcomes": ("limit",),
    f"/v1/regions/{REGION.id}/maps": SPAN, f"/v1/maps/{REGION.id}": (), f"/v1/maps/{REGION.id}/geojson": ("magnitude",),
    "/v1/events": (*SPAN, "region", "min_magnitude"), "/v1/events.geojson": (*SPAN, "region", "min_magnitude"),
    "/v1/events.quakeml": (*SPAN, "region", "min_magnitude"), "/v1/alerts": (*SPAN, "region", "rule", "kind", "active", "test"),
    "/v1/alerts/m6-observed:california:0-4711/cap": ("revision",), "/v1/stream": ("topics", "regions", "test", "from", "after", "until"),
}  # fmt: skip
"""By path, the parameters that it takes."""
PARAMETERS = {
    "region": (REGION.id, "neighbour", "nowhere"), "from": ("2023-02-06T01:17:00Z", "2023-02-07", "beginning"),
    "to": ("2023-02-08T00:00:00Z",), "limit": ("1", "20", "1000", "0"), "min_magnitude": ("4.5", "-1"),
    "magnitude": ("2.5", "4"), "rule": ("m6-observed",),
    "kind": ("magnitude", "feed"), "active": ("true", "false"), "test": ("true", "false"), "revision": ("0", "1"),
    "topics": ("events,alerts", "forecasts", "models"), "regions": (REGION.id, "test,neighbour"), "until": ("end",),
    "after": ("e0.0.0.0.0.0-f0.0.0.0.0.0-o0.0.0.0.0.0-a0.0.0.0.0.0-m0",),
}  # fmt: skip
HEADERS = {
    "host": ("127.0.0.1:8080", "localhost", "[::1]:8080", "example.org"), "accept-encoding": ("gzip", "br"), "if-none-match": ('"0"', "*"),
    "authorization": (f"Bearer {'t' * 20}", "Bearer wrong", "Basic eA=="), "content-length": ("0", "5", "99999999999999999999"),
    "transfer-encoding": ("chunked",), "last-event-id": ("e1.0.0.0.0.0-f0.0.0.0.0.0-o0.0.0.0.0.0-a0.0.0.0.0.0-m0",), "origin": ("null",),
    "range": ("bytes=0-1",), "upgrade": ("websocket", "h2c"), "x-forwarded-for": ("10.0.0.1",),
}  # fmt: skip
METHODS = ("GET",) * 12 + ("HEAD", "POST", "OPTIONS", "DELETE", "TRACE", "get", "BREW")
TOKEN = "t" * 20
STATUSES = frozenset({200, 304, 400, 401, 404, 405, 413, 503})
HEADER = re.compile(rb"[!-9;-~]+: ?[ -~\x80-\xff\t]*")
ANSWER_SECONDS = 10.0
STREAM_SECONDS = 0.003
"""After so long the client of a stream leaves."""


def generate(rng: Random) -> bytes:
    """Return a request: its first line, then its headers."""
    rate = rng.choice((0.0, 0.05, 0.3))
    path = rng.choice(tuple(PATHS))
    names = rng.sample(PATHS[path], rng.randrange(len(PATHS[path]) + 1))
    if rng.random() < rate:
        names.append(rng.choice((*PARAMETERS, odd_text(rng))))
    pairs = [(name, _odd_or(rng, rate, PARAMETERS.get(name, ("1",)))) for name in names]
    query = "&".join(f"{quote(name, errors='replace')}={quote(value, errors='replace')}" for name, value in pairs)
    if rng.random() < rate:
        path = rng.choice(
            (path + "/", path.replace("/", "//"), path.rpartition("/")[0] + "/" + quote(odd_text(rng), errors="replace"), "/%2e%2e" + path)
        )
    target = path + ("?" + query if query else "")
    lines = [f"{rng.choice(METHODS)} {target}".encode(), f"host: {_odd_or(rng, rate / 10, HEADERS['host'][:3])}".encode("utf-8", "replace")]
    chosen = rng.sample(tuple(HEADERS), rng.choice((0, 0, 0, 1, 3)))
    lines += [f"{name}: {_odd_or(rng, rate, HEADERS[name])}".encode("utf-8", "replace") for name in chosen]
    return sometimes_damaged(rng, b"\n".join(lines), rate / 2)


def take(body: bytes) -> Taken:
    scope = _scope(body)
    loop, gates = _server()
    answer = loop.run_until_complete(asyncio.wait_for(_ask(gates[len(body) % 8 == 0], scope), ANSWER_SECONDS))
    assert answer.status in STATUSES, answer
    assert all(HEADER.fullmatch(name + b": " + value) for name, value in answer.headers), answer.headers
    media_type = dict(answer.headers).get(b"content-type", b"")
    if media_type.partition(b";")[0].endswith(b"json") and b"content-encoding" not in dict(answer.headers) and scope["method"] != "HEAD":
        json.loads(answer.body)
    return Taken(refused=answer.status >= 400)


class Answer(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def _ask(gate: Gate, scope: dict[str, Any]) -> Answer:
    """Return the answer; it must begin once and end once."""
    messages: list[Any] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if requests:
            return requests.pop()
        await asyncio.sleep(STREAM_SECONDS)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    await gate(scope, receive, send)
    start, *parts = messages
    assert [message["type"] for message in messages] == ["http.response.start"] + ["http.response.body"] * len(parts)
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
    return Answer(start["status"], list(start["headers"]), b"".join(part["body"] for part in parts))


def _scope(body: bytes) -> dict[str, Any]:
    """Return a request as the server passes it on: a target in ASCII, headers without control characters."""
    first, *lines = body.split(b"\n")
    method, _, target = first.partition(b" ")
    raw_path, _, query = quote_from_bytes(target, safe="/?&=%:.+,;@!$'()*~-_[]{}|\\^`<>\"").encode().partition(b"?")
    pairs = (line.partition(b":")[::2] for line in lines)
    headers = [(name.strip().lower(), value.strip()) for name, value in pairs if HEADER.fullmatch(name.strip() + b": " + value.strip())]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method.decode("latin-1"), "scheme": "http",
        "path": unquote(raw_path.decode("ascii")), "raw_path": raw_path, "query_string": query, "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 40_000), "server": ("127.0.0.1", 8_080), "state": {},
    }  # fmt: skip


@cache
def _server() -> tuple[asyncio.AbstractEventLoop, tuple[Gate, Gate]]:
    """Return an event loop, and the application over a log with records, without and with a token."""
    url = f"sqlite:///{folder()}/log.db"
    Deployment(url, url).fill()
    hub, log = Hub(), open_log(url)
    api = Api(Sources(table(), lambda: open_log(url), StorePositions(lambda: open_store(url)), explain=explain), hub)
    start, end = first_offsets(log), last_offsets(log)
    hub.start_at(start)
    hub.apply(list(merge_by_time({partition: log.read(*partition, start[partition], end[partition]) for partition in start})), None)
    hub.mark_caught_up()
    inner = application(api, LogReader(api.sources.open_log, ThreadPoolExecutor(2)))
    return asyncio.new_event_loop(), (Gate(inner, Access(requests_per_second=0.0)), Gate(inner, Access(TOKEN, requests_per_second=0.0)))


def _odd_or(rng: Random, rate: float, usual: tuple[str, ...]) -> str:
    return rng.choice((odd_text(rng), str(odd_number(rng)))) if rng.random() < rate else rng.choice(usual)
