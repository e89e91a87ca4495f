"""`quakecast up | ingest | forecast`: the live parts, together or apart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from ingest.bus import open_log
from ingest.feed import Feed
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import Poller, contact
from ingest.publish import Publisher
from ingest.region import RegionTable
from stream.alerts.rules import Rule, load_rules
from stream.cli.http_options import LOOPBACK, HostOption, PortOption, RateOption, TokenFileOption, listen, read_token
from stream.cli.monitoring import observed, polled, told
from stream.cli.options import (
    DEFAULT_USGS,
    EMBEDDED,
    KAFKA,
    METRICS_HOST,
    REDIS,
    BatchOption,
    BusOption,
    Chosen,
    MetricsHostOption,
    MetricsPortOption,
    ModelOption,
    ModelsOption,
    OutputOption,
    PollOption,
    RegionsOption,
    RulesOption,
    StoreOption,
    UsgsOption,
    open_output,
    start_logging,
    stop_on_signals,
)  # fmt: skip
from stream.monitoring.metrics import WorkerMetrics
from stream.monitoring.probes import address
from stream.store import open_store
from stream.worker import GROUP, Worker

if TYPE_CHECKING:
    from models.forecaster.library import ModelLibrary

UP_EXAMPLES = "Example: quakecast up --port 8080   then   curl http://127.0.0.1:8080/forecasts.json"
INGEST_EXAMPLES = "Example: quakecast ingest --bus kafka://broker:9092"
FORECAST_EXAMPLES = "Example: quakecast forecast --bus kafka://broker:9092 --store redis://redis:6379/0"

log = structlog.get_logger()


def up(
    bus: BusOption = EMBEDDED,
    store: Annotated[
        str | None, typer.Option("--store", envvar="QUAKECAST_STORE", help="The windows; by default in the log's file.")
    ] = None,
    usgs: UsgsOption = DEFAULT_USGS,
    poll_seconds: PollOption = None,
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
    outlooks: Annotated[bool, typer.Option("--outlooks/--no-outlooks", help="Simulate the next year too, in a process beside.")] = True,
) -> None:
    """Everything in one process on an embedded log: poll the feed, forecast, serve. Needs no server."""
    from stream.cli.outlook import Beside
    from stream.cli.serve import sources
    from stream.serve.gate import Access
    from stream.serve.server import serve

    start_logging()
    stop = stop_on_signals()
    token = read_token(token_file)
    listening = listen(host, port, token)
    table = RegionTable.load(regions)
    store_url = store or bus
    event_log = open_log(bus)
    exposition = Exposition()
    library, rules = open_library(model, models), load_rules(alert_rules)
    worker = open_worker(bus, store_url, table, library, rules, batch_size, output, exposition)
    publisher = Publisher(event_log, table)
    poller = Poller(Feed(usgs, contact()), publisher, poll_seconds, IngestMetrics(exposition))
    parts = Together(stop)
    if outlooks:
        beside = Beside(event_log, bus, Chosen(model, models, regions))
        parts.start("outlook", lambda: beside.run(stop))
    parts.start("ingest", lambda: poller.run(stop.is_set))
    parts.start("forecast", lambda: worker.run(stop.is_set, wait_seconds=0.2))
    log.info("up", bus=address(bus), store=address(store_url), usgs=usgs, address=f"http://{host}:{listening.getsockname()[1]}")
    answered = sources(bus, store_url, table, model, models)._replace(
        poller=lambda: poller.status, health=observed(exposition, bus, store_url, polled(poller), stop), exposition=exposition
    )
    serve(listening, answered, stop, Access(token, requests_per_second))
    parts.join()
    worker.close()
    publisher.close()


def ingest(
    bus: BusOption = KAFKA,
    usgs: UsgsOption = DEFAULT_USGS,
    poll_seconds: PollOption = None,
    regions: RegionsOption = None,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = METRICS_HOST,
) -> None:
    """Follow the USGS feed and write its changes to the log. One a log: a second one takes over from the first."""
    start_logging()
    stop = stop_on_signals()
    event_log = open_log(bus)
    publisher = Publisher(event_log, RegionTable.load(regions))
    log.info("ingest", bus=address(bus), usgs=usgs, known_events=len(publisher.ledger.known))
    exposition = Exposition()
    poller = Poller(Feed(usgs, contact()), publisher, poll_seconds, IngestMetrics(exposition))
    told(exposition, metrics_host, metrics_port, stop, bus, feed=polled(poller))
    poller.run(stop.is_set)
    publisher.close()


def forecast(
    bus: BusOption = KAFKA,
    store: StoreOption = REDIS,
    output: OutputOption = None,
    batch_size: BatchOption = 500,
    model: ModelOption = None,
    models: ModelsOption = None,
    regions: RegionsOption = None,
    alert_rules: RulesOption = None,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = METRICS_HOST,
) -> None:
    """Forecast for a share of the regions; start as many as you like on the same log, up to its partitions."""
    start_logging()
    stop = stop_on_signals()
    library = open_library(model, models)
    log.info("forecast", bus=address(bus), store=address(store), model=library.own.name)
    exposition = Exposition()
    worker = open_worker(bus, store, RegionTable.load(regions), library, load_rules(alert_rules), batch_size, output, exposition)
    told(exposition, metrics_host, metrics_port, stop, bus, store)
    worker.run(stop.is_set)
    worker.close()


def open_library(model: Path | None, models: Path | None) -> ModelLibrary:
    """The worker's own model, and the folder in which it finds those that are promoted."""
    from models.artifact.registry import Registry
    from models.forecaster.library import ModelLibrary

    return ModelLibrary(Registry(models).find, model)


def open_worker(
    bus: str,
    store: str,
    table: RegionTable,
    library: ModelLibrary,
    rules: tuple[Rule, ...],
    batch_size: int,
    output: Path | None,
    exposition: Exposition | None = None,
) -> Worker:
    """A worker on the log and the store that these addresses name."""
    event_log = open_log(bus)
    name = GROUP
    if bus.startswith("kafka:"):
        from ingest.bus.kafka import worker_name

        name = worker_name(GROUP)
    _, write = open_output(output, append=True)  # a restart goes on where it stopped
    kept = open_store(store, event_log)
    metrics = WorkerMetrics(exposition or Exposition())
    return Worker(
        event_log,
        kept,
        table,
        library.own,
        library=library,
        rules=rules,
        name=name,
        batch_size=batch_size,
        on_forecast=write,
        metrics=metrics,
    )


class Together:
    """Threads that stop together: when one fails, the others end and its error is raised by `join`."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            finally:
                self._stop.set()

        self._threads.append(threading.Thread(target=guarded, name=name))
        self._threads[-1].start()

    def failed(self) -> bool:
        """Whether a thread has ended by an error."""
        return self._error is not None

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error
