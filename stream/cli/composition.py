"""Builds what the commands run: the library of models, and the workers on a log and a store."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.bus import open_log, producer_name
from ingest.instant import Instant
from ingest.metrics import Exposition
from ingest.region import RegionTable
from stream.alerts import Rule
from stream.cli.options import open_output
from stream.core import Lineup
from stream.monitoring import OutlookMetrics, WorkerMetrics
from stream.outlooks import GROUP as OUTLOOK_GROUP
from stream.outlooks import OutlookWorker
from stream.store import open_store
from stream.worker import GROUP, Worker

if TYPE_CHECKING:
    from models.forecaster import ModelLibrary
    from models.maps import NetworkMapMaker
    from models.simulation import NetworkSimulator, ProcessPool


def open_library(model: Path | None, models: Path | None, table: RegionTable) -> ModelLibrary:
    """Return the library of models: the worker's own one, and the folder in which promoted models are found."""
    from models.forecaster import ModelLibrary
    from models.registry import Registry

    return ModelLibrary(Registry(models).find, model, table)


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
    """Return a worker on the log and the store at these URLs."""
    event_log = open_log(bus)
    _, write = open_output(output, append=True)  # after a restart the file continues
    return Worker(
        event_log,
        open_store(store, event_log),
        table,
        library.own,
        library=library,
        rules=rules,
        name=producer_name(bus, GROUP),
        batch_size=batch_size,
        on_forecast=write,
        metrics=WorkerMetrics(exposition or Exposition()),
    )


def open_outlook_worker(
    bus: str,
    table: RegionTable,
    library: ModelLibrary,
    processes: ProcessPool,
    from_beginning: bool,
    metrics: OutlookMetrics | None = None,
    since: Instant | None = None,
) -> OutlookWorker:
    """Return an outlook worker, which makes maps too, on the log at this URL."""
    simulators, name = NetworkSimulators(library, processes), producer_name(bus, OUTLOOK_GROUP)
    return OutlookWorker(
        open_log(bus), table, simulators, name=name, from_beginning=from_beginning, metrics=metrics, since=since, map_makers=simulators
    )  # fmt: skip


class NetworkSimulators:
    """`stream.outlooks.Simulators` and `MapMakers` over the models of a library."""

    def __init__(self, library: ModelLibrary, processes: ProcessPool) -> None:
        self._library, self._processes = library, processes
        self._by_lineup = lru_cache(maxsize=2)(self._simulator)
        self._maps_by_lineup = lru_cache(maxsize=2)(self._map_maker)

    def simulator(self, lineup: Lineup) -> NetworkSimulator:
        """Return the champion's simulator.

        Raises:
            Problem: a model of the lineup is missing; the forecasting workers refuse the lineup in the same case.
        """
        return self._by_lineup(lineup)

    def map_maker(self, lineup: Lineup) -> NetworkMapMaker:
        """Return the champion's maker of maps."""
        return self._maps_by_lineup(lineup)

    def _simulator(self, lineup: Lineup) -> NetworkSimulator:
        from models.simulation import NetworkSimulator

        self._library.forecaster(lineup)
        return NetworkSimulator(*self._library.named_network(lineup), self._processes)

    def _map_maker(self, lineup: Lineup) -> NetworkMapMaker:
        from models.maps import NetworkMapMaker

        return NetworkMapMaker(*self._library.named_network(lineup))
