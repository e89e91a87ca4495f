"""A TCP proxy in front of a server, which can cut, delay or stall the connections through it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK_BYTES = 64 * 1024


class Proxy:
    """Forwards connections from a port of this machine to a server on it.

    Args:
        target_port: where the server listens; it may be changed, and then holds for new connections.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._is_cut = False
        self._delay_seconds = 0.0
        self.connections = 0
        """Number of connections accepted so far."""
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset all connections, and every new one at once."""
        self._is_cut = True
        self.reset()
        try:
            yield
        finally:
            self._is_cut = False

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Keep the connections, and forward nothing, as when a cable is pulled."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Delay each piece of data by so many seconds."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    def reset(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._ends = self._ends, set()
        for connection in connections:
            _close(connection)

    def close(self) -> None:
        """Close all connections and the port."""
        _close(self._listener)
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the port is closed
                return
            self.connections += 1
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._open.wait()
        server = None
        if not self._is_cut:
            with contextlib.suppress(OSError):
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=5.0)
        if server is None:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._ends |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end may be closed at any time
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(CHUNK_BYTES):
                self._open.wait()
                if self._delay_seconds:
                    time.sleep(self._delay_seconds)
                sink.sendall(data)
        for end in (source, sink):
            _close(end)
        with self._lock:
            self._ends -= {source, sink}


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
