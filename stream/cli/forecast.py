"""`quakecast forecast`: issue forecasts for a share of the regions."""

from __future__ import annotations

import gc

import structlog

from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.alerts import load_rules
from stream.cli.composition import open_library, open_worker
from stream.cli.monitoring import serve_metrics
from stream.cli.options import (
    KAFKA,
    METRICS_HOST,
    REDIS,
    STOP_SECONDS,
    BatchOption,
    BusOption,
    MetricsHostOption,
    MetricsPortOption,
    ModelOption,
    ModelsOption,
    OutputOption,
    RegionsOption,
    RulesOption,
    StoreOption,
    start_logging,
    stop_on_signals,
)  # fmt: skip
from stream.monitoring import public_address

FORECAST_EXAMPLES = "Example: quakecast forecast --bus kafka://broker:9092 --store redis://redis:6379/0"

log = structlog.get_logger()


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
    """Issue forecasts. Several processes on one log, up to the number of its partitions (six), divide the regions among them."""
    start_logging()
    stop = stop_on_signals(STOP_SECONDS)
    table = RegionTable.load(regions)
    library = open_library(model, models, table)
    log.info("forecast", bus=public_address(bus), store=public_address(store), model=library.own.name)
    exposition = Exposition()
    worker = open_worker(bus, store, table, library, load_rules(alert_rules), batch_size, output, exposition)
    gc.freeze()  # what is loaded by now stays: collections that go through it would hold up a forecast
    serve_metrics(exposition, metrics_host, metrics_port, stop, bus, store)
    worker.run(stop.is_set)
    worker.close()
