"""The HTTP endpoints of `quakecast up`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import uvicorn

from ingest.poller import Status
from ingest.publish import Publisher
from stream.serve.application import application
from stream.store.protocol import Store


def serve(listening: socket.socket, store: Store, status: Callable[[], Status], publisher: Publisher, stop: threading.Event) -> None:
    """Answer on a bound socket until told to stop."""
    served = application(store, status, lambda: dict(publisher.dead_letters))
    server = uvicorn.Server(uvicorn.Config(served, log_level="warning", lifespan="off", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="serve")
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread.start()
    while not stop.is_set():
        time.sleep(0.1)
    server.should_exit = True
    thread.join(10)
