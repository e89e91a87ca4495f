"""The forecaster's background map over the cells of a region, and which events it takes for background.

The map's kernels are integrated over a cell by its centre, or by 2 × 2 points where the cell or one beside it has an event.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ingest.instant import Instant
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, IntArray, compiled_with, places, positions_km
from models.place import kernels_of, place_data
from models.place.contributors import offset_km
from models.place.density import denominators
from models.place.kernels import Kernels, disc_density, exact_densities, stretched_squares
from models.place.network import slow_days
from models.space_time import SpaceTimeNetwork, require_place
from tests.measurements.tectonic_maps import smoothed

FINE = 2


class Cells(NamedTuple):
    """C cells of a region."""

    latitudes: FloatArray
    """(C,) of the centres, degrees; likewise `longitudes`."""
    longitudes: FloatArray
    step: float
    """Degrees."""
    numbers: NDArray[np.int64]
    """(rows, columns) the cell at each place of the world's grid; −1 where it is outside the region."""

    def of(self, latitudes: FloatArray, longitudes: FloatArray) -> IntArray:
        """Return the cell of each place, (N,); −1 outside."""
        rows = np.clip(((latitudes + 90.0) / self.step).astype(np.int64), 0, self.numbers.shape[0] - 1)
        found: IntArray = self.numbers[rows, ((longitudes + 180.0) / self.step).astype(np.int64) % self.numbers.shape[1]]
        return found

    @property
    def areas(self) -> FloatArray:
        """(C,) shares of the region's area."""
        flat = np.cos(np.radians(self.latitudes))
        return np.asarray(flat / flat.sum())


def cells_of(shape: shapely.Geometry, step: float) -> Cells:
    """Return the cells whose centres are in a shape of longitudes and latitudes."""
    latitudes, longitudes = (np.arange(-limit + step / 2.0, limit, step) for limit in (90.0, 180.0))
    grid_longitudes, grid_latitudes = np.meshgrid(longitudes, latitudes)
    shapely.prepare(shape)
    inside = shapely.intersects_xy(shape, grid_longitudes, grid_latitudes)
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    return Cells(grid_latitudes[inside], grid_longitudes[inside], step, index)


class Background(NamedTuple):
    """The background of one region's pattern of N events."""

    probabilities: FloatArray
    """(N,) that nothing triggered each event, at its time and place."""
    pattern: PointPattern
    kernels: Kernels
    directions: FloatArray
    slow: FloatArray
    uniform: float
    """ε over `pattern.area_km2`, 1/km²."""


@torch.no_grad()
def background_of(network: SpaceTimeNetwork, pattern: PointPattern, history: Span) -> Background:
    """Return the background of a pattern; μ is that which is most likely in a span."""
    place, timing = require_place(network).eval(), network.timing
    rate = timing.fit_background(pattern, history)
    kernels = timing.evaluate(pattern)
    reach = network.architecture.place_reach
    data = place_data(place, pattern, kernels.event_features, kernels.event_weights, rate, len(pattern), reach)
    of_events, targets = kernels_of(place, data, len(pattern)), np.arange(len(pattern))
    triggered, mapped = torch.from_numpy(exact_densities(data.setting, of_events, targets, data.reach)).unbind(1)
    sums = denominators(of_events, data, targets, slow_days(place.architecture))
    share, uniform = float(place.uniform_share), 1.0 / pattern.area_km2
    of_map = (1.0 - share) * mapped / sums.background_weight.clamp(min=1e-300) + share * uniform
    even = torch.where(sums.background_weight > 0.0, of_map, uniform)
    own = (place.background(data.excitation, rate) + sums.beyond) * even
    slow = slow_days(place.architecture)
    return Background((own / (own + triggered)).numpy(), pattern, of_events.numpy(), data.geometry.directions, slow, share * uniform)


def model_map(background: Background, cells: Cells, moment: Instant, window_days: float = math.inf) -> FloatArray:
    """Return the share of the model's background in each cell at a moment, (C,), which add up to 1.

    Args:
        window_days: older events are left out.
    """
    pattern, kernels = background.pattern, background.kernels
    stop = int(np.searchsorted(pattern.times, int(moment)))
    lags = pattern.day_of(moment) - pattern.days[:stop]
    fading = np.exp(kernels.log_shares - lags[:, None] / background.slow).sum(1)
    weights = np.exp(kernels.log_background_weights[:stop]) * fading * (lags <= window_days)
    if not weights.any():
        return cells.areas
    known = np.flatnonzero(weights)
    sites = places(pattern.latitudes[known], pattern.longitudes[known])
    squeezes, widths = np.exp(-2.0 * kernels.log_stretches[known, -1]), kernels.log_widths[known, -1]
    parts = sites, background.directions[known], weights[known] / weights.sum(), widths, squeezes, float(np.exp(kernels.log_powers[-1]))

    def density(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
        return np.asarray(_densities(places(latitudes, longitudes), *parts))

    found, near = density(cells.latitudes, cells.longitudes), np.flatnonzero(_near_events(cells, pattern, stop))
    offsets = (np.arange(FINE) - (FINE - 1) / 2.0) * cells.step / FINE
    fine = [density(cells.latitudes[near] + a, cells.longitudes[near] + b) for a in offsets for b in offsets]
    found[near] = np.mean(fine, axis=0)
    shares = cells.areas * (found + background.uniform)
    return np.asarray(shares / shares.sum())


def own_map(
    background: Background, cells: Cells, moment: Instant, neighbour: int, narrowest_km: float, window_days: float = math.inf
) -> FloatArray:
    """Return the share in each cell, (C,), of the pattern's own events before a moment, smoothed, weighted by not being triggered."""
    pattern = background.pattern
    stop = int(np.searchsorted(pattern.times, int(moment)))
    known = slice(int(np.searchsorted(pattern.days, pattern.day_of(moment) - window_days)), stop)
    if stop - known.start <= neighbour:
        return cells.areas
    at = positions_km(places(cells.latitudes, cells.longitudes))
    shares = cells.areas * smoothed(at, pattern.positions_km[known], background.probabilities[known], neighbour, narrowest_km)
    return np.asarray(shares / shares.sum())


def _near_events(cells: Cells, pattern: PointPattern, stop: int) -> NDArray[np.bool_]:
    """Return whether a cell or one beside it has one of the events before row `stop`, (C,)."""
    near = np.zeros(len(cells.latitudes), np.bool_)
    steps = (-cells.step, 0.0, cells.step)
    for up in steps:
        for right in steps:
            latitudes = np.clip(pattern.latitudes[:stop] + up, -90.0, 90.0)
            found = cells.of(latitudes, (pattern.longitudes[:stop] + right + 180.0) % 360.0 - 180.0)
            near[found[found >= 0]] = True
    return near


@compiled_with(fastmath=True)
def _densities(
    at: FloatArray, sites: FloatArray, directions: FloatArray, weights: FloatArray, log_widths: FloatArray, squeezes: FloatArray,
    power: float,
) -> FloatArray:  # fmt: skip
    # Σ_j weight_j K(x − x_j) at each place; sites more than half of the Earth away count as if the plane went on.
    found = np.zeros(len(at))
    for i in range(len(at)):
        total = 0.0
        for j in range(len(sites)):
            offset = offset_km(sites[j], at[i])
            along, across = stretched_squares(offset, directions[j], squeezes[j])
            total += weights[j] * disc_density(along + across, log_widths[j], power)[0]
        found[i] = total
    return found


def log_floor(values: FloatArray) -> FloatArray:
    """Return ln of shares, those of 0 as the smallest number."""
    return np.log(np.maximum(values, math.exp(-80.0)))
