"""HTTP connections below ASGI: a time limit for requests, the refusal of what is no request, and access to the connection's transport."""

from __future__ import annotations

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ingest.event import encode
from stream.serve.errors import Refusal
from stream.serve.gate import SECURITY_HEADERS

REQUEST_SECONDS = 15.0
"""Time limit for the request line and the headers of a request."""
SEND_BUFFER_BYTES = 256 * 1024
"""The system's send buffer of each connection. A larger one would let slow clients occupy more memory."""
NO_REQUEST = encode(Refusal("this is no HTTP request", "send requests of HTTP/1.1 with one Host header and, if any, one Content-Length"))


class Connection(H11Protocol):
    """Uvicorn's protocol with a time limit for each request. Puts its transport and the open connections into `scope["state"]`."""

    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport, "connections": self.connections}
        self._request_timer = self.loop.call_later(REQUEST_SECONDS, self._close_if_incomplete)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._request_timer is not None and not self._request_is_incomplete():
            self._request_timer.cancel()
            self._request_timer = None
        elif self._request_timer is None and self._request_is_incomplete():  # the start of another request, or of an unexpected body
            self._request_timer = self.loop.call_later(REQUEST_SECONDS, self._close_if_incomplete)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no request, in an answer of known length, and close the connection; nothing that follows them is read.

        The request before them is not answered any more if its answer has not begun; if it has, the connection is closed within it.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            is_head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            headers = SECURITY_HEADERS | {"content-type": "application/json", "content-length": str(len(NO_REQUEST)), "connection": "close"}
            answer = (
                h11.Response(status_code=400, headers=list(headers.items())),
                h11.Data(b"" if is_head else NO_REQUEST),
                h11.EndOfMessage(),
            )
            for event in answer:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _request_is_incomplete(self) -> bool:
        """Return whether no request is being answered, so that the next one has not arrived as a whole."""
        return self.cycle is None or self.cycle.response_complete

    def _close_if_incomplete(self) -> None:
        self._request_timer = None
        if self._request_is_incomplete():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
        super().connection_lost(exc)


def limit_send_buffer(listening: socket.socket) -> socket.socket:
    """Bound the send buffer of all connections that a listening socket accepts. Returns the same socket."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening
