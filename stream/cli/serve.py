"""`quakecast serve`: the HTTP API, the stream and the page, over a log that other processes write."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ingest.bus import open_log
from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.cli.composition import open_library
from stream.cli.explain import explain_region
from stream.cli.http_options import LOOPBACK, HostOption, PortOption, RateOption, TokenFileOption, listen, read_token
from stream.cli.monitoring import log_feed_probe, start_health
from stream.cli.options import (
    KAFKA,
    REDIS,
    STOP_SECONDS,
    BusOption,
    ModelOption,
    ModelsOption,
    RegionsOption,
    StoreOption,
    start_logging,
    stop_on_signals,
)
from stream.monitoring import public_address
from stream.store import open_store

if TYPE_CHECKING:
    from stream.serve import Sources

SERVE_EXAMPLES = "Example: quakecast serve --bus kafka://broker:9092 --store redis://redis:6379/0"

log = structlog.get_logger()


def serve(
    bus: BusOption = KAFKA,
    store: StoreOption = REDIS,
    host: HostOption = LOOPBACK,
    port: PortOption = 8080,
    token_file: TokenFileOption = None,
    requests_per_second: RateOption = 50.0,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
) -> None:
    """Serve the API, the stream and the page from a log: REST under /v1/, server-sent events at /v1/stream, the page at /."""
    from stream.serve import Access
    from stream.serve import serve as run_server

    start_logging()
    stop = stop_on_signals(STOP_SECONDS)
    token = read_token(token_file)
    table, event_log = RegionTable.load(regions), open_log(bus)
    event_log.create_topics()
    event_log.close()
    listening = listen(host, port, token)
    address = f"http://{host}:{listening.getsockname()[1]}"
    log.info("serve", bus=public_address(bus), store=public_address(store), address=address)
    exposition = Exposition()
    health = start_health(exposition, bus, store, log_feed_probe(bus), stop)
    sources = server_sources(bus, store, table, model, models, address)._replace(health=health, exposition=exposition)
    run_server(listening, sources, stop, Access(token, requests_per_second))


def server_sources(bus: str, store: str, table: RegionTable, model: Path | None, models: Path | None, address: str) -> Sources:
    """Return what the server answers from. The models, which only explanations need, are loaded at the first explanation."""
    from stream.export import DEFAULT_SENDER
    from stream.serve import Sources, StorePositions

    library = cache(lambda: open_library(model, models, table))
    return Sources(
        table,
        lambda: open_log(bus),
        StorePositions(lambda: open_store(store)),
        explain=lambda region: explain_region(store, table, region, library()),
        cap_sender=os.environ.get("QUAKECAST_CAP_SENDER") or DEFAULT_SENDER,
        cap_web=os.environ.get("QUAKECAST_CAP_WEB") or address,
    )
