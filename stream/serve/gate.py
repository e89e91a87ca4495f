"""What every request passes before it is answered: host, rate, body, token; and what every answer carries.

    connections  503     more are open than this server takes
    host         400     a name that is not this machine's (DNS rebinding), where it listens on the loopback address without a token
    rate         429     more requests a second than one address is allowed
    body         413     no endpoint takes one
    token        401     everything but `/healthz` and the page's own files

Whoever reads too slowly is cut off. CORS stays closed: no answer names another origin.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Sized
from typing import Any, NamedTuple

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.event import encode
from stream.serve.errors import ApiError
from stream.serve.rate_limit import Rate

MOST_BODY_BYTES = 16 * 1024
SLOW_AFTER_SECONDS = 20.0
MOST_CONNECTIONS = 4_000
OWN_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = frozenset({"/", "/healthz", "/favicon.ico"})
OPEN_FOLDER = "/assets/"
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

log = structlog.get_logger()


class Access(NamedTuple):
    """Who may ask, and how much."""

    token: str | None = None
    """Without one, only this machine's own names are answered."""
    requests_per_second: float = 50.0
    """By client address, over time; four seconds' worth at once. 0: as many as come."""
    slow_after_seconds: float = SLOW_AFTER_SECONDS
    """A client that does not take what it is sent for so long is cut off."""
    most_connections: int = MOST_CONNECTIONS


class CutOff(Exception):
    """The client has not read for too long."""


class Gate:
    """The outermost ASGI application."""

    def __init__(self, inner: ASGIApp, access: Access) -> None:
        self._inner, self._access = inner, access
        self._token = None if access.token is None else access.token.encode()
        self._rate = Rate(access.requests_per_second)
        self.answered: Counter[int] = Counter()
        """By status, how many requests."""
        self.cut_off = 0
        """How many clients read too slowly."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = self._answer(scope, send)
        try:
            self._check(scope)
        except ApiError as refused:
            await _refuse(refused, answer)
            return
        try:
            await self._inner(scope, receive, answer)
        except CutOff:
            self.cut_off += 1
            log.info("a slow client is cut off", path=scope["path"], client=_address(scope))
            await asyncio.sleep(0.01)  # the server learns that the connection is gone

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        connections: Sized = scope.get("state", {}).get("connections", ())
        if len(connections) > self._access.most_connections:
            raise ApiError(503, "too many connections are open", "try again in a moment", {"Retry-After": "5", "Connection": "close"})
        if self._token is None and _name(headers.get("host", "")) not in OWN_NAMES:
            raise ApiError(400, "the Host header does not name this machine", "ask 127.0.0.1 or localhost, or let the server use a token")
        if wait := self._rate.wait_seconds(_address(scope), time.monotonic()):
            raise ApiError(429, "too many requests from this address", "ask more slowly", {"Retry-After": str(int(wait) + 1)})
        if "transfer-encoding" in headers or _length(headers.get("content-length", "0")) > MOST_BODY_BYTES:
            raise ApiError(413, "requests here have no body", "send none", {"Connection": "close"})
        if self._token is not None and not is_open(scope["path"]) and not _same(headers.get("authorization", ""), self._token):
            raise ApiError(
                401,
                "a bearer token is needed",
                "send the header Authorization: Bearer <token>",
                {"WWW-Authenticate": 'Bearer realm="quakecast"'},
            )

    def _answer(self, scope: Scope, send: Send) -> Send:
        transport: asyncio.Transport | None = scope.get("state", {}).get("transport")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered[message["status"]] += 1
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            if transport is not None and not transport.get_write_buffer_size():
                await send(message)  # the client has taken all so far: there is nothing to wait for
                return
            try:
                async with asyncio.timeout(self._access.slow_after_seconds):
                    await send(message)
            except TimeoutError:
                if transport is not None:
                    transport.abort()
                raise CutOff from None

        return answer


def is_open(path: str) -> bool:
    """Whether a path is answered without the token."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


async def _refuse(refused: ApiError, send: Send) -> None:
    body = encode(refused.body)
    headers = {"content-type": "application/json", "content-length": str(len(body))} | refused.headers
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _same(authorization: str, token: bytes) -> bool:
    """Whether the header carries the token; the time it takes does not depend on where they differ."""
    kind, _, given = authorization.partition(" ")
    return hmac.compare_digest(given.strip().encode(), token) and kind.lower() == "bearer"


def _name(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() and not name.endswith(":") else host).lower()


def _length(text: str) -> int:
    return int(text) if text.isdigit() else MOST_BODY_BYTES + 1


def _address(scope: Scope) -> str:
    """Of the client; for IPv6 the network that one customer usually has (/64)."""
    client: Any = scope.get("client")
    address = "" if client is None else str(client[0])
    return ":".join(address.split(":")[:4]) if address.count(":") > 3 else address
