"""`quakecast serve`: the HTTP API, the stream and the page, over a log that others write."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer

from ingest.bus import open_log
from ingest.region import RegionTable
from stream.cli.live import listen
from stream.cli.options import KAFKA, REDIS, BusOption, RegionsOption, StoreOption, start_logging, stop_on_signals
from stream.store import open_store

SERVE_EXAMPLES = "Example: quakecast serve --bus kafka://broker:9092 --store redis://redis:6379/0"

log = structlog.get_logger()


def serve(
    bus: BusOption = KAFKA,
    store: StoreOption = REDIS,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Listen on this port of 127.0.0.1.")] = 8080,
    regions: RegionsOption = None,
) -> None:
    """Answer requests and stream records from a log: REST under /v1/, server-sent events at /v1/stream, the page at /."""
    from stream.serve import serve as run
    from stream.serve.api import Sources
    from stream.serve.windows import Windows

    start_logging()
    stop = stop_on_signals()
    table, event_log = RegionTable.load(regions), open_log(bus)
    event_log.create_topics()
    event_log.close()
    listening = listen(port)
    log.info("serve", bus=bus, store=store, address=f"http://127.0.0.1:{listening.getsockname()[1]}")
    run(listening, Sources(table, lambda: open_log(bus), Windows(lambda: open_store(store))), stop)
