"""Maps of a region that every event updates: counts, what was expected, moments, rates; a grid of side × side cells.

One event adds to the four cells about it, each by its part (bilinear), and only those four are brought up to date; a cell's sums all decay
exponentially, so what they are at any later moment is known from when they were last touched. Only past events count. In numpy for one
event live, in numba (`models.cnn.catalog_maps`) over a catalogue; a test holds them equal.

The expected counts are the compensator of each cell (Daley & Vere-Jones 2003, ch. 7.2): what the rate of the network of the times,
split among cells by where its events lie, brought there; N/E beside 1 says whether a place is as active as foreseen.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.numerics.geometry import EARTH_RADIUS_KM
from models.timing.excitation import KERNELS, TAUS_DAYS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SPANS_DAYS = np.array([0.15, 2.0, 12.0, 120.0, 1_500.0, 1e5])
"""How far back the counts reach; none is one of `hawkes.TAUS_DAYS`."""
SPANS = len(SPANS_DAYS)
_MOMENT_SPANS = (2, 4)
_LONG = 4
RATES, COUNTS, EXPECTED = slice(0, KERNELS), slice(KERNELS, KERNELS + SPANS), slice(KERNELS + SPANS, KERNELS + 2 * SPANS)
MOMENTS = slice(EXPECTED.stop, EXPECTED.stop + len(_MOMENT_SPANS))
EXCESS, DEPTH, CAME, TOUCHED = MOMENTS.stop, MOMENTS.stop + 1, MOMENTS.stop + 2, MOMENTS.stop + 3
COLUMNS = TOUCHED + 1
"""| A (12) | counts (6) | expected counts (6) | Σ 10^(1.5 excess) (2) | Σ excess | Σ depth | day of last event | of last touch |"""
USUAL_DEPTH_KM = 10.0
"""Taken where the depth is unknown."""
NEVER = -1e6
"""The day of the last event where none came."""
ADDED = COLUMNS - 2 - SPANS
FADING_DAYS = np.concatenate((TAUS_DAYS, SPANS_DAYS, SPANS_DAYS, SPANS_DAYS[list(_MOMENT_SPANS)], SPANS_DAYS[[_LONG, _LONG]]))
"""(CAME,) how each column fades."""
GAINS_DAYS = 1.0 / (1.0 / TAUS_DAYS[:, None] - 1.0 / SPANS_DAYS)
"""(12, SPANS): ∫ exp(−u/τ) exp(−(d − u)/s) du from 0 to d is this × (exp(−d/s) − exp(−d/τ))."""


class Grid(NamedTuple):
    """Cells of the same size in degrees, about square in km, row by row from the south-west."""

    south: float
    west: float
    height: float
    """Degrees of latitude of a cell."""
    width: float
    """Degrees of longitude of a cell."""
    side: int

    @property
    def cells(self) -> int:
        return self.side * self.side

    def parts(self, latitudes: FloatArray, longitudes: FloatArray) -> tuple[IntArray, FloatArray]:
        """(N,), (N,) degrees -> (N, 4) the cells whose middles surround each place and (N, 4) its parts in them, adding up to 1.

        Places beyond the outermost middles belong to the outermost cells.
        """
        across = np.remainder(np.asarray(longitudes) - self.west + 90.0, 360.0) - 90.0
        row = np.clip((np.asarray(latitudes) - self.south) / self.height - 0.5, 0.0, self.side - 1.0)
        column = np.clip(across / self.width - 0.5, 0.0, self.side - 1.0)
        low, left = np.minimum(row.astype(np.int64), self.side - 2), np.minimum(column.astype(np.int64), self.side - 2)
        up, right = row - low, column - left
        first = low * self.side + left
        cells = np.stack((first, first + 1, first + self.side, first + self.side + 1), axis=-1)
        return cells, np.stack(((1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right), axis=-1)

    def middles(self) -> tuple[FloatArray, FloatArray]:
        """(cells,) latitudes and longitudes, degrees, the latter within ±180."""
        row, column = np.divmod(np.arange(self.cells), self.side)
        longitudes = self.west + (column + 0.5) * self.width
        return self.south + (row + 0.5) * self.height, np.remainder(longitudes + 180.0, 360.0) - 180.0

    def areas_km2(self) -> FloatArray:
        """(cells,) on the sphere."""
        edges = np.radians(np.clip(self.south + self.height * np.arange(self.side + 1), -90.0, 90.0))
        return np.repeat(np.diff(np.sin(edges)) * math.radians(self.width) * EARTH_RADIUS_KM**2, self.side)


def grid_over(latitudes: FloatArray, longitudes: FloatArray, side: int, smallest_km: float = 1.0) -> Grid:
    """The square (in km) that holds N ≥ 1 places with half a cell to spare, across the date line too; cells of at least `smallest_km`."""
    ordered = np.sort(np.asarray(longitudes))
    gaps = np.diff(ordered, append=ordered[0] + 360.0)
    west = float(ordered[(int(gaps.argmax()) + 1) % len(ordered)])  # the places begin east of the widest gap
    across = np.remainder(np.asarray(longitudes) - west, 360.0)
    south, north = float(np.min(latitudes)), float(np.max(latitudes))
    shrink = max(math.cos(math.radians(0.5 * (south + north))), 0.1)
    extent = max(north - south, float(across.max()) * shrink, math.degrees(smallest_km * (side - 1) / EARTH_RADIUS_KM))
    height = min(extent / (side - 1), 180.0 / side)
    width = min(height / shrink, 360.0 / side)
    return Grid(0.5 * (south + north) - 0.5 * side * height, west + 0.5 * (float(across.max()) - side * width), height, width, side)


def empty(grid: Grid) -> FloatArray:
    """(cells, COLUMNS) before any event."""
    states = np.zeros((grid.cells, COLUMNS))
    states[:, CAME] = NEVER
    return states


def advanced(states: FloatArray, day: float, background: FloatArray | float) -> FloatArray:
    """(..., COLUMNS) the cells as they are on a later day, nothing having come.

    Args:
        background: μ, 1/day: each cell's part is that of its events among all, so `states` are all of the cells, or `background` is
            (...), each one's part.
    """
    lag = (day - states[..., TOUCHED])[..., None]
    later = states.copy()
    own = np.asarray(background)[..., None] * SPANS_DAYS * -np.expm1(-lag / SPANS_DAYS)
    slow, fast = np.exp(-lag / SPANS_DAYS), np.exp(-lag / TAUS_DAYS)
    gained = np.einsum("...k,ks->...s", states[..., RATES], GAINS_DAYS)  # not BLAS: its last bits hang on the threads
    brought = gained * slow - np.einsum("...k,ks->...s", states[..., RATES] * fast, GAINS_DAYS)
    later[..., :CAME] *= np.exp(-lag / FADING_DAYS)
    later[..., EXPECTED] += brought + own
    later[..., TOUCHED] = day
    return later


def backgrounds(states: FloatArray, background: float) -> FloatArray:
    """(..., cells) each cell's part of μ, by its share of all events so far."""
    share = states[..., COUNTS.stop - 1]
    part: FloatArray = background * share / np.maximum(share.sum(-1, keepdims=True), 1.0)
    return part


def added(weights: FloatArray, excess: float, depth_km: float) -> FloatArray:
    """(CAME,) what a whole event adds.

    Args:
        weights: (12,) of the network of the times.
        depth_km: NaN where unknown.
    """
    depth = USUAL_DEPTH_KM if math.isnan(depth_km) else depth_km
    moment = 10.0 ** (1.5 * excess)
    return np.concatenate((weights / TAUS_DAYS, np.ones(SPANS), np.zeros(SPANS), (moment, moment, excess, depth)))


def observed(
    states: FloatArray, cells: IntArray, parts: FloatArray, day: float, jump: FloatArray, background: float, count: float
) -> FloatArray:
    """(cells, COLUMNS) one event later.

    Args:
        cells, parts: (4,) of `Grid.parts`.
        jump: (CAME,) of `added`.
        background: μ, 1/day.
        count: how many events came before.
    """
    after = states.copy()
    own = background * states[cells, COUNTS.stop - 1] / max(count, 1.0)
    after[cells] = advanced(states[cells], day, own)
    after[cells, :CAME] += parts[:, None] * jump
    after[cells[parts > 0.0], CAME] = day
    return after
