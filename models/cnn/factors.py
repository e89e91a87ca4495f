"""The factors by which a CNN multiplies the rates in the cells of a region at one moment."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.cnn.frozen_network import FrozenMapNetwork, log_factors
from models.cnn.grid import Grid
from models.numerics import FloatArray, IntArray, compiled


class Factors(NamedTuple):
    """The output of the CNN for one region and moment."""

    grid: Grid
    ages_days: FloatArray
    """(bands − 1,) where one band of ages ends and the next begins."""
    cells: FloatArray
    """(bands + 1, cells) the factor of the rates of events of each band of ages; the last row is that of the background map."""
    background: float
    """The factor of the region's background rate."""

    def at_events(self, latitudes: FloatArray, longitudes: FloatArray, ages_days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the factors of events, each the mean over its four cells.

        Args:
            latitudes, longitudes: (N,) degrees.
            ages_days: (N, A).

        Returns:
            (N, A) of the events' rates at these ages, and (N,) of their parts in the background map.
        """
        return _at_events(*self.grid.parts(latitudes, longitudes), ages_days, self.cells, self.ages_days)


@compiled
def _at_events(
    cells: IntArray, parts: FloatArray, ages: FloatArray, factors: FloatArray, ends: FloatArray
) -> tuple[FloatArray, FloatArray]:
    found, of_background, by_band = np.empty(ages.shape), np.empty(len(cells)), np.empty(len(factors))
    for n in range(len(cells)):
        for band in range(len(factors)):
            by_band[band] = 0.0
            for corner in range(4):
                by_band[band] += factors[band, cells[n, corner]] * parts[n, corner]
        for a in range(ages.shape[1]):
            band = 0
            while band < len(ends) and ends[band] < ages[n, a]:
                band += 1
            found[n, a] = by_band[band]
        of_background[n] = by_band[-1]
    return found, of_background


def cell_factors(network: FrozenMapNetwork, grid: Grid, channels: FloatArray) -> Factors:
    """Return the factors that the CNN gives the cells of a region.

    Args:
        channels: (CHANNELS, cells) of `input_channels`.
    """
    logs, everywhere = log_factors(channels, network)
    return Factors(grid, network.ages_days, np.exp(logs), math.exp(everywhere))
