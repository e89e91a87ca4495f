"""Maps of a live region: `stream.maps.MapMaker` by the space–time network.

window ─▶ kernels' map ┐
       ─▶ smoothed     ├─ mixture (`mixture`) × expected numbers (`expected_numbers`) ─▶ expected numbers by cell
region ─▶ even         │
       ─▶ long run     ┘
       magnitudes in the middle of each horizon, with the long-run tail of background events ─▶ shares of the magnitude bins
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely

from ingest.region import Region
from models.baselines import read_rates
from models.magnitude import BackgroundTail
from models.maps.cells import Cells, cells_of
from models.maps.kernel_map import kernel_density
from models.maps.mixture import MapWeightsFit, read_weights
from models.maps.moment import MapMoment
from models.maps.smoothed_catalogue import catalogue_density
from models.numerics import FloatArray
from models.simulation import live_history, window_pattern
from models.space_time import SpaceTimeNetwork
from models.tectonics import is_dense, read_long_run_map
from stream.maps import HORIZONS_DAYS, MapRequest, RegionMap

STEPS_DEGREES = (0.1, 0.25, 0.5, 1.0)
COARSE_STEP_DEGREES = 0.5
MOST_CELLS = 20_000
"""A region of more cells has larger ones: a record has to stay below the log's largest message."""


class MapParts(NamedTuple):
    """What a map is made of, for H horizons."""

    moment: MapMoment
    cells: Cells
    numbers: FloatArray
    """(H,) expected numbers of events in the region."""
    densities: FloatArray
    """(COMPONENTS, H, C) the maps of the mixture; each row sums to 1."""


class NetworkMapMaker:
    """Makes maps from the window of a region; the same request gives the same map.

    Args:
        network: a forecaster with places.
        name: the network's name, with its exact weights.
        weights: of the mixture; None: the built-in ones.
    """

    def __init__(self, network: SpaceTimeNetwork, name: str, weights: MapWeightsFit | None = None) -> None:
        self._network, self._name = network.eval(), name
        self._weights, self._rates = weights or read_weights(), read_rates()
        self._cells: dict[tuple[str, float], Cells] = {}

    @property
    def name(self) -> str:
        return f"{self._name}+{self._weights.name}"

    def map(self, request: MapRequest) -> RegionMap:
        """Return the expected numbers of events by cell and the shares of the magnitude bins.

        Raises:
            Problem: the model was trained without places.
        """
        weights, parts = self._weights.of(request.region.magnitude_of_completeness), self.parts(request, HORIZONS_DAYS)
        background = parts.moment.history.background
        reaching = parts.moment.reaching(request.magnitudes, HORIZONS_DAYS, background * np.array(HORIZONS_DAYS) / parts.numbers)
        expected, cells = parts.numbers[:, None] * weights.mix(parts.densities), parts.cells
        return RegionMap(
            cells.latitudes, cells.longitudes, cells.step_degrees, HORIZONS_DAYS, expected, request.magnitudes, bin_shares(reaching)
        )

    def parts(self, request: MapRequest, horizons_days: tuple[float, ...]) -> MapParts:
        """Return what a map is made of, for any H horizons."""
        region = request.region
        background = self._network.timing.background_of(region.id)
        history = live_history(self._network, window_pattern(region, request.events, request.now), background)
        moment = MapMoment(history, request.now, BackgroundTail.of_region(self._rates, region, background))
        return parts_of(moment, self._cells_of(region, request.shape), horizons_days)

    def _cells_of(self, region: Region, shape: shapely.Geometry) -> Cells:
        key = (region.id, region.magnitude_of_completeness)
        if key not in self._cells:
            self._cells[key] = region_cells(shape, region.magnitude_of_completeness)
        return self._cells[key]


def region_cells(shape: shapely.Geometry, magnitude_of_completeness: float) -> Cells:
    """Return the cells of a region: of 0.1° where it is dense, else of 0.5°, and larger where they would be too many."""
    finest = STEPS_DEGREES[0] if is_dense(magnitude_of_completeness) else COARSE_STEP_DEGREES
    for step in (step for step in STEPS_DEGREES if step >= finest):
        cells = cells_of(shape, step)
        if len(cells) <= MOST_CELLS:
            break
    return cells


def parts_of(moment: MapMoment, cells: Cells, horizons_days: tuple[float, ...]) -> MapParts:
    """Return what the map of a moment is made of, on any cells."""
    yields = moment.yields(horizons_days)
    kernels = kernel_density(moment, cells, yields, horizons_days)
    long_run = read_long_run_map().shares(cells.latitudes, cells.longitudes)
    fixed = (catalogue_density(moment, cells), cells.shares_of_area, long_run)
    others = (np.repeat(density[None], len(kernels), 0) for density in fixed)
    return MapParts(moment, cells, yields.expected(moment.excitation, moment.history.background), np.stack((kernels, *others)))


def bin_shares(reaching: FloatArray) -> FloatArray:
    """Return the share of each bin of those in all, each row summing to 1: (H, B) P(M ≥ lower edge) -> (H, B)."""
    shares: FloatArray = -np.diff(reaching, axis=1, append=0.0)
    return np.asarray(shares / shares.sum(1, keepdims=True))
