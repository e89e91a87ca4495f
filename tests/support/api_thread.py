"""The real HTTP server in a thread of the test's process, over a log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ingest.bus import open_log
from ingest.region import RegionTable
from stream.serve.api import Sources
from stream.serve.gate import Access
from stream.serve.server import serve
from stream.serve.store_positions import StorePositions
from stream.store import open_store
from tests.support.waiting import PATIENCE_SECONDS


@contextmanager
def serve_log(
    bus: str,
    table: RegionTable,
    port: int = 0,
    store: str | None = None,
    access: Access | None = None,
    **sources: Any,
) -> Iterator[str]:
    """Serve until the block ends, and yield the address; `sources` replaces fields of `Sources`."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    stop, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            served = Sources(table, lambda: open_log(bus), StorePositions(lambda: open_store(store or bus)))._replace(**sources)
            serve(listening, served, stop, access)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="http-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)
        listening.close()
        assert not failed, failed
        assert not thread.is_alive()
