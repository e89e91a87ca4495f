"""The real HTTP server in a thread of the test's process, over a log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ingest.bus import open_log
from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.export.cap import SENDER
from stream.health import Health
from stream.serve import serve
from stream.serve.api import Sources
from stream.serve.windows import Windows
from stream.store import open_store


@contextmanager
def served(
    bus: str,
    table: RegionTable,
    port: int = 0,
    store: str | None = None,
    health: Health | None = None,
    exposition: Exposition | None = None,
    cap_sender: str = SENDER,
) -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    stop, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            windows = Windows(lambda: open_store(store or bus))
            answered = Sources(table, lambda: open_log(bus), windows, health=health or Health({}), cap_sender=cap_sender)
            sources = answered._replace(exposition=exposition)
            serve(listening, sources, stop)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="served")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        thread.join(20)
        listening.close()
        assert not failed, failed
