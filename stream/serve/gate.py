"""Checks every request before it is answered, in this order, and adds the security headers to every answer.

    connections  503     more connections are open than this server allows
    host         400     without a token: the Host header does not name this machine (protects against DNS rebinding)
    rate         429     more requests per second than one address may send
    body         413     the request has a body, which no endpoint takes
    token        401     the token is missing or wrong; `/healthz` and the page's own files need none

The connection of a client that reads too slowly is closed. CORS stays closed: no answer names another origin.
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
from stream.serve.rate_limit import RateLimit

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
    """Who may send requests, and how many."""

    token: str | None = None
    """The bearer token that requests must carry. None: only requests to this machine's own names are answered."""
    requests_per_second: float = 50.0
    """Mean rate allowed per client address; bursts may have four seconds' worth. 0: no limit."""
    slow_after_seconds: float = SLOW_AFTER_SECONDS
    """The connection of a client that has read nothing for this long is closed."""
    most_connections: int = MOST_CONNECTIONS


class SlowClient(Exception):
    """The client has not read its data for too long."""


class Gate:
    """The outermost ASGI application: checks requests and passes them on."""

    def __init__(self, inner: ASGIApp, access: Access) -> None:
        self._inner, self._access = inner, access
        self._token = None if access.token is None else access.token.encode()
        self._rate_limit = RateLimit(access.requests_per_second)
        self.responses_by_status: Counter[int] = Counter()
        """Number of responses by status."""
        self.slow_clients_closed = 0
        """Number of connections closed because the client read too slowly."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        guarded_send = self._guarded_send(scope, send)
        try:
            self._check(scope)
        except ApiError as error:
            await _send_error(error, guarded_send)
            return
        try:
            await self._inner(scope, receive, guarded_send)
        except SlowClient:
            self.slow_clients_closed += 1
            log.info("a slow client was disconnected", path=scope["path"], client=_client_address(scope))
            await asyncio.sleep(0.01)  # lets the server notice that the connection is closed

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        connections: Sized = scope.get("state", {}).get("connections", ())
        if len(connections) > self._access.most_connections:
            raise ApiError(503, "too many connections are open", "try again in a moment", {"Retry-After": "5", "Connection": "close"})
        if self._token is None and _host_name(headers.get("host", "")) not in OWN_NAMES:
            raise ApiError(
                400,
                "the Host header does not name this machine",
                "send the request to 127.0.0.1 or localhost, or start the server with a token",
            )
        if seconds := self._rate_limit.wait_seconds(_client_address(scope), time.monotonic()):
            raise ApiError(
                429, "too many requests from this address", "send fewer requests per second", {"Retry-After": str(int(seconds) + 1)}
            )
        if "transfer-encoding" in headers or _body_length(headers.get("content-length", "0")) > MOST_BODY_BYTES:
            raise ApiError(413, "requests must not have a body", "send the request without a body", {"Connection": "close"})
        if self._token is not None and not is_open(scope["path"]) and not _token_matches(headers.get("authorization", ""), self._token):
            raise ApiError(
                401,
                "a bearer token is needed",
                "send the header Authorization: Bearer <token>",
                {"WWW-Authenticate": 'Bearer realm="quakecast"'},
            )

    def _guarded_send(self, scope: Scope, send: Send) -> Send:
        """Return `send` with security headers, a count of responses, and a time limit for slow clients."""
        transport: asyncio.Transport | None = scope.get("state", {}).get("transport")

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.responses_by_status[message["status"]] += 1
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            if transport is not None and not transport.get_write_buffer_size():
                await send(message)  # the client has taken everything so far: the send cannot block
                return
            try:
                async with asyncio.timeout(self._access.slow_after_seconds):
                    await send(message)
            except TimeoutError:
                if transport is not None:
                    transport.abort()
                raise SlowClient from None

        return guarded_send


def is_open(path: str) -> bool:
    """Return whether a path is answered without the token."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


async def _send_error(error: ApiError, send: Send) -> None:
    body = encode(error.body)
    headers = {"content-type": "application/json", "content-length": str(len(body))} | error.headers
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _token_matches(authorization: str, token: bytes) -> bool:
    """Return whether the header carries the token. The comparison takes the same time wherever the two differ."""
    kind, _, sent = authorization.partition(" ")
    return hmac.compare_digest(sent.strip().encode(), token) and kind.lower() == "bearer"


def _host_name(host: str) -> str:
    """Return a Host header without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() and not name.endswith(":") else host).lower()


def _body_length(text: str) -> int:
    return int(text) if text.isdigit() else MOST_BODY_BYTES + 1


def _client_address(scope: Scope) -> str:
    """Return the address of the client; for IPv6 only its /64 network, which usually belongs to one customer."""
    client: Any = scope.get("client")
    address = "" if client is None else str(client[0])
    return ":".join(address.split(":")[:4]) if address.count(":") > 3 else address
