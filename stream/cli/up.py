"""`quakecast up`: everything in one process on an embedded log."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from ingest.bus import lock_ingest, open_log
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import Poller
from ingest.publish import Publisher
from ingest.region import RegionTable
from ingest.sources import UsgsSource, contact
from stream.alerts import load_rules
from stream.cli.composition import open_library, open_worker
from stream.cli.http_options import LOOPBACK, HostOption, PortOption, RateOption, TokenFileOption, listen, read_token
from stream.cli.monitoring import feed_probe, start_health
from stream.cli.options import (
    DEFAULT_USGS,
    EMBEDDED,
    STOP_SECONDS,
    BatchOption,
    BusOption,
    ExerciseOption,
    ForecastingOptions,
    ModelOption,
    ModelsOption,
    OptionalStoreOption,
    OutputOption,
    PollOption,
    RegionsOption,
    RulesOption,
    SimulatedOption,
    UsgsOption,
    start_logging,
    stop_on_signals,
    why_not_live,
)  # fmt: skip
from stream.cli.threads import ThreadGroup
from stream.monitoring import public_address
from stream.worker import Worker

if TYPE_CHECKING:
    from stream.cli.outlook import OutlookProcess

UP_EXAMPLES = "Example: quakecast up --port 8080   then   curl http://127.0.0.1:8080/forecasts.json"

log = structlog.get_logger()


def up(
    bus: BusOption = EMBEDDED,
    store: OptionalStoreOption = None,
    usgs: UsgsOption = DEFAULT_USGS,
    poll_seconds: PollOption = None,
    exercise: ExerciseOption = False,
    simulated: SimulatedOption = False,
    host: HostOption = LOOPBACK,
    port: PortOption = 8080,
    token_file: TokenFileOption = None,
    requests_per_second: RateOption = 50.0,
    output: OutputOption = None,
    batch_size: BatchOption = 500,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    alert_rules: RulesOption = None,
    outlooks: Annotated[
        bool, typer.Option("--outlooks/--no-outlooks", help="Simulate outlooks (numbers of events to come) too, in a second process.")
    ] = True,
) -> None:
    """Run everything on an embedded log: poll the feed, forecast, serve. It needs no other server."""
    from stream.cli.outlook import OutlookProcess
    from stream.cli.serve import server_sources
    from stream.serve import Access, serve

    start_logging()
    stop = stop_on_signals(STOP_SECONDS)
    token = read_token(token_file)
    listening = listen(host, port, token)
    table, store_url, exposition = RegionTable.load(regions), store or bus, Exposition()
    event_log = open_log(bus)
    lock = lock_ingest(event_log)
    library, rules = open_library(model, models, table), load_rules(alert_rules)
    worker = open_worker(bus, store_url, table, library, rules, batch_size, output, exposition)
    publisher = Publisher(event_log, table, why_not_live=why_not_live(exercise=exercise, simulated=simulated))
    poller = Poller(UsgsSource(usgs, contact()), publisher, poll_seconds, IngestMetrics(exposition))
    outlook_process = OutlookProcess(event_log, bus, ForecastingOptions(model, models, regions)) if outlooks else None
    gc.freeze()  # what is loaded by now stays: collections that go through it would hold up a forecast
    threads = _start_threads(stop, poller, worker, outlook_process)
    address = f"http://{host}:{listening.getsockname()[1]}"
    log.info("up", bus=public_address(bus), store=public_address(store_url), usgs=usgs, address=address)
    health = start_health(exposition, bus, store_url, feed_probe(poller), stop)
    sources = server_sources(bus, store_url, table, model, models, address)._replace(
        poller=lambda: poller.status, health=health, exposition=exposition
    )
    try:
        serve(listening, sources, stop, Access(token, requests_per_second))
    finally:
        stop.set()  # without its server it would go on unseen
    threads.join()
    worker.close()
    publisher.close()
    if lock is not None:
        lock.close()


def _start_threads(stop: threading.Event, poller: Poller, worker: Worker, outlook_process: OutlookProcess | None) -> ThreadGroup:
    threads = ThreadGroup(stop)
    if outlook_process is not None:
        threads.start("outlook", lambda: outlook_process.run(stop))
    threads.start("ingest", lambda: poller.run(stop.is_set))
    threads.start("forecast", lambda: worker.run(stop.is_set, wait_seconds=0.2))
    return threads
