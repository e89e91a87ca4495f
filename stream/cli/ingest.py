"""`quakecast ingest`: follow the feed and write its changes to the log."""

from __future__ import annotations

import structlog

from ingest.bus import lock_ingest, open_log
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import Poller
from ingest.publish import Publisher
from ingest.region import RegionTable
from ingest.sources import UsgsSource, contact
from stream.cli.monitoring import feed_probe, serve_metrics
from stream.cli.options import (
    DEFAULT_USGS,
    KAFKA,
    METRICS_HOST,
    STOP_SECONDS,
    BusOption,
    ExerciseOption,
    MetricsHostOption,
    MetricsPortOption,
    PollOption,
    RegionsOption,
    SimulatedOption,
    UsgsOption,
    start_logging,
    stop_on_signals,
    why_not_live,
)  # fmt: skip
from stream.monitoring import public_address

INGEST_EXAMPLES = "Example: quakecast ingest --bus kafka://broker:9092"

log = structlog.get_logger()


def ingest(
    bus: BusOption = KAFKA,
    usgs: UsgsOption = DEFAULT_USGS,
    poll_seconds: PollOption = None,
    exercise: ExerciseOption = False,
    simulated: SimulatedOption = False,
    regions: RegionsOption = None,
    metrics_port: MetricsPortOption = None,
    metrics_host: MetricsHostOption = METRICS_HOST,
) -> None:
    """Follow the USGS feed and write its changes to the log. Run one per log: a second one takes over from the first."""
    start_logging()
    stop = stop_on_signals(STOP_SECONDS)
    event_log = open_log(bus)
    lock = lock_ingest(event_log)
    not_live = why_not_live(exercise=exercise, simulated=simulated)
    publisher = Publisher(event_log, RegionTable.load(regions), why_not_live=not_live)
    log.info("ingest", bus=public_address(bus), usgs=usgs, known_events=len(publisher.ledger.entries))
    exposition = Exposition()
    poller = Poller(UsgsSource(usgs, contact()), publisher, poll_seconds, IngestMetrics(exposition))
    serve_metrics(exposition, metrics_host, metrics_port, stop, bus, feed=feed_probe(poller))
    poller.run(stop.is_set)
    publisher.close()
    if lock is not None:
        lock.close()
