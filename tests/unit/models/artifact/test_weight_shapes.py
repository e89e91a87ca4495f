"""The shapes of the weights, stated by the architectures, are those of the networks; and the stream reads them without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch import nn

from models.architecture import SpaceTimeArchitecture
from models.cnn.architecture import MapArchitecture
from models.cnn.network import MapNetwork
from models.gan.networks import GanArchitecture, SequenceGenerator
from models.numerics import NamedWeights
from models.place.architecture import PlaceArchitecture
from models.space_time import SpaceTimeNetwork
from models.timing.architecture import Architecture
from tests.support.paths import ROOT

NOT_IN_A_WORKER = {"torch", "pandas", "obspy", "matplotlib", "scipy.optimize", "scipy.stats", "scipy.sparse", "scipy.spatial"}
FIRST_FORECAST = """
import sys
from pathlib import Path
from ingest.event import Event
from ingest.instant import Instant
from ingest.region import RegionTable
from models.forecaster import ModelLibrary
from stream.cli.composition import open_worker
from stream.worker import Worker
from tests.support.simulated import event
table = RegionTable.load(None)
forecaster = ModelLibrary(Path, None, table).own
region = table.region_of(35.7, -117.5)
memory = forecaster.observe(forecaster.start(region), event("a", latitude=35.7, longitude=-117.5), region)
forecaster.expect(memory, region, Instant(2 * 10**12))
print(*sys.modules)
"""

TIMING = (
    Architecture(),
    Architecture(regions=("a", "b"), kernel_members=1, memory_members=3, hidden=5, head=6, components=2, large_events=True, hours=True),
    Architecture(source_depth=1.0, kernel_hidden=(7, 3)),
)
NETWORKS: tuple[nn.Module, ...] = (
    *(SpaceTimeNetwork(SpaceTimeArchitecture(timing)) for timing in TIMING),
    SpaceTimeNetwork(SpaceTimeArchitecture(TIMING[0], 8, place=PlaceArchitecture(99, 0.5))),
    SpaceTimeNetwork(SpaceTimeArchitecture(TIMING[0], place=PlaceArchitecture(99, 2.0, discs=3, hidden=(9, 4), slow_days=(10.0, 1e9)))),
    MapNetwork(MapArchitecture(side=6, width=4, layers=1)),
    MapNetwork(MapArchitecture(width=5, layers=4, ages_days=(1.0,))),
    SequenceGenerator(GanArchitecture()),
    SequenceGenerator(GanArchitecture(noise=3, width=7)),
)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_the_shapes_are_those_of_the_network(network: nn.Module) -> None:
    assert NamedWeights.of(network).shapes == network.architecture.weight_shapes  # type: ignore[union-attr]


def test_a_worker_loads_no_torch() -> None:
    """A worker's start and memory are those of numpy and compiled functions."""
    ran = subprocess.run([sys.executable, "-c", FIRST_FORECAST], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert not NOT_IN_A_WORKER & set(ran.stdout.split())
