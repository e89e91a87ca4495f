"""Where the next event comes, by cells of half a degree: near recent events, or as the region's long-run map says.

    P(cell) = Σ_j r_j/λ k_j(cell) + (1 − Σ_j r_j/λ) ((1 − w) Σ_j a_j(cell)/n + w s(cell))

over the n recent events with the rates r_j; λ is the region's whole rate, so the rest is that of older events and of the background. s is
the long-run map of `models.tectonics`. k_j is the share of event j's kernel in the cell, which grows with its magnitude above completeness,
and a_j the wider one of background events near it:

    σ(k_j) = near · 10^(0.15 x_j) km        σ(a_j) = around km

Both are logistic in the two directions, over the event's cell and the eight beside it, and sum to 1 there.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from models import PRETRAINED
from models.baselines import read_fit
from models.numerics import EARTH_RADIUS_KM, FloatArray, IntArray, compiled, degrees_of
from models.tectonics import RegionShares, is_dense, read_long_run_map, values_at
from models.timing import RING_EXCESS, RING_POSITION

BUILT_IN = PRETRAINED / "place_weights.json"
GROWTH = 0.15
_SIDE = np.arange(-1, 2)
_EDGES = np.arange(-1.0, 3.0)
_LEAST_FLAT = 0.05
"""The least cosine of the latitude: no kernel is wider in cells than there."""


class PlaceWeights(msgspec.Struct, frozen=True):
    """The numbers of the law for one class of regions."""

    near_km: float
    around_km: float
    long_run: float
    """w."""


class PlaceWeightsFit(msgspec.Struct, frozen=True):
    """A fit for regions that are complete from small magnitudes on, and for all others."""

    dense: PlaceWeights
    others: PlaceWeights
    data: tuple[str, ...] = ()
    """The data of the fit."""

    def of(self, magnitude_of_completeness: float) -> PlaceWeights:
        """Return the numbers of a region."""
        return self.dense if is_dense(magnitude_of_completeness) else self.others


class NearCells(NamedTuple):
    """The cells near n recent events, which change when an event comes."""

    numbers: IntArray
    """(c,) of the long-run map's cells, ascending."""
    rows: IntArray
    """(n, 9) the cells of each event as rows of `numbers`."""
    kernels: FloatArray
    """(n, 9) k in them; each row sums to 1."""
    around: FloatArray
    """(c,) Σ a/n; sums to 1."""


class CellLaw(NamedTuple):
    """The probability of each cell of a region."""

    numbers: IntArray
    """(c,) cells near recent events, ascending."""
    near: FloatArray
    """(c,) their probabilities without the long-run map's part."""
    long_run: RegionShares
    long_run_share: float
    """The probability that the place is drawn from the long-run map."""

    def at(self, numbers: IntArray) -> FloatArray:
        """Return the probabilities of cells, (N,) numbers -> (N,)."""
        return values_at(self.numbers, self.near, numbers) + self.long_run_share * self.long_run.at(numbers)

    def largest(self, count: int) -> tuple[IntArray, FloatArray]:
        """Return the most likely cells, at most `count`, and their probabilities; cells of probability 0 are left out."""
        others = np.sort(self.long_run.likeliest[:count])
        return _largest(self.numbers, self.near, self.long_run.numbers, self.long_run.shares, self.long_run_share, others, count)


def near_cells(ring: FloatArray, weights: PlaceWeights) -> NearCells:
    """Return the cells near the recent events of a ring, (n, RING_COLUMNS)."""
    grid, (latitudes, longitudes) = read_long_run_map(), degrees_of(ring[:, RING_POSITION])
    rows, columns = grid.log_density.shape
    up, across = (latitudes + 90.0) * rows / 180.0, (longitudes + 180.0) * columns / 360.0
    row, column = np.minimum(up.astype(np.int64), rows - 1), np.minimum(across.astype(np.int64), columns - 1)
    beside = np.clip(row[:, None] + _SIDE, 0, rows - 1)[:, :, None] * columns + ((column[:, None] + _SIDE) % columns)[:, None, :]
    numbers, found = np.unique(beside.reshape(len(ring), 9), return_inverse=True)
    found = found.reshape(len(ring), 9)
    height_km = EARTH_RADIUS_KM * math.pi / rows
    flat = np.maximum(np.cos(np.radians(latitudes)), _LEAST_FLAT)

    def parts(widths_km: FloatArray) -> FloatArray:
        upward, eastward = _masses(up - row, widths_km / height_km), _masses(across - column, widths_km / (height_km * flat))
        return np.asarray((upward[:, :, None] * eastward[:, None, :]).reshape(len(ring), 9))

    kernels = parts(weights.near_km * 10.0 ** (GROWTH * ring[:, RING_EXCESS]))
    around = np.bincount(found.ravel(), parts(np.full(len(ring), weights.around_km)).ravel(), len(numbers)) / max(len(ring), 1)
    return NearCells(numbers, found, kernels, around)


def _masses(offsets: FloatArray, widths: FloatArray) -> FloatArray:
    """Return the shares of logistic kernels in three cells side by side, (n, 3), each row summing to 1.

    Args:
        offsets: (n,) from the lower edge of the middle cell, in cells; widths: (n,) σ, in cells.
    """
    masses = np.diff(np.tanh(0.5 * (_EDGES - offsets[:, None]) / widths[:, None]), axis=1)
    return np.asarray(masses / masses.sum(1, keepdims=True))


def cell_law(near: NearCells, rates: FloatArray, total: float, long_run: RegionShares, weight: float) -> CellLaw:
    """Return the probability of each cell of a region.

    Args:
        near: the cells near the n recent events.
        rates: (n,) the rate that each adds, and `total`, that of the region, events per day.
        weight: w; of a region without a long-run map it counts as 0, of one without events as 1.
    """
    shares = rates / total
    rest = max(1.0 - float(shares.sum()), 0.0)
    drawn = 0.0 if not len(long_run.numbers) else 1.0 if not len(rates) else weight
    return CellLaw(near.numbers, _near(near.rows, near.kernels, shares, rest * (1.0 - drawn) * near.around), long_run, rest * drawn)


@compiled
def _near(rows: IntArray, kernels: FloatArray, shares: FloatArray, around: FloatArray) -> FloatArray:
    near = np.zeros(len(around))
    for n in range(len(rows)):
        for cell in range(rows.shape[1]):
            near[rows[n, cell]] += shares[n] * kernels[n, cell]
    return near + around


# Goes through the cells near events and the others, both ascending, and keeps the largest so far in their order; of equals the first.
@compiled
def _largest(
    numbers: IntArray, near: FloatArray, own: IntArray, shares: FloatArray, long_run_share: float, others: IntArray, count: int
) -> tuple[IntArray, FloatArray]:
    largest, probabilities, found, cell, other = np.empty(count, np.int64), np.empty(count), 0, 0, 0
    while cell < len(numbers) or other < len(others):
        number, probability = numbers[cell] if cell < len(numbers) else others[other], 0.0
        if other < len(others) and others[other] <= number:
            number, other = others[other], other + 1
        if cell < len(numbers) and numbers[cell] == number:
            probability, cell = near[cell], cell + 1
        row = np.searchsorted(own, number)
        if row < len(own) and own[row] == number:
            probability += long_run_share * shares[row]
        if probability <= 0.0 or (found == count and probability <= probabilities[-1]):
            continue
        found = min(found + 1, count)
        place = found - 1
        while place > 0 and probabilities[place - 1] < probability:
            largest[place], probabilities[place] = largest[place - 1], probabilities[place - 1]
            place -= 1
        largest[place], probabilities[place] = number, probability
    return largest[:found], probabilities[:found]


def read_place_weights(file: Path = BUILT_IN) -> PlaceWeightsFit:
    """Read a fit of `tests.measurements.place_skill`; without a file, the built-in one.

    Raises:
        Problem: the file does not exist, or holds no fit.
    """
    return read_fit(file, PlaceWeightsFit, "weights of places", _are_consistent, "python -m tests.measurements.place_skill")


def _are_consistent(fit: PlaceWeightsFit) -> bool:
    return all(one.near_km > 0.0 and one.around_km > 0.0 and 0.0 <= one.long_run <= 1.0 for one in (fit.dense, fit.others))
