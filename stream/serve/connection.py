"""Connections below HTTP's level: who says nothing in time is cut off, and requests know their connection."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 15.0
"""For a request's first line and headers to come."""
SEND_BUFFER_BYTES = 256 * 1024
"""What the system keeps for a client that does not read; more would be memory that slow clients take."""


class Connection(H11Protocol):
    """Uvicorn's, with a time limit for the request, and its transport in `scope["state"]`."""

    _silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport, "connections": self.connections}
        self._silent = self.loop.call_later(REQUEST_SECONDS, self._cut_off)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._silent is not None and not self._waits():
            self._silent.cancel()
            self._silent = None
        elif self._silent is None and self._waits():  # part of another request, or of a body that nobody asked for
            self._silent = self.loop.call_later(REQUEST_SECONDS, self._cut_off)

    def _waits(self) -> bool:
        """Whether nothing is being answered: the request is not whole yet."""
        return self.cycle is None or self.cycle.response_complete

    def _cut_off(self) -> None:
        self._silent = None
        if self._waits():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silent is not None:
            self._silent.cancel()
        super().connection_lost(exc)


def prepared(listening: socket.socket) -> socket.socket:
    """A listening socket with a bounded send buffer for each of its connections."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return listening
