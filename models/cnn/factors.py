"""The factors by which a CNN multiplies the rates in the cells of a region at one moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from models.cnn.grid import Grid
from models.cnn.network import MapNetwork
from models.numerics import FloatArray


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
        cells, parts = self.grid.parts(latitudes, longitudes)
        by_band: FloatArray = (self.cells[:, cells] * parts).sum(2).T  # (N, bands + 1)
        return np.take_along_axis(by_band, np.searchsorted(self.ages_days, ages_days), 1), by_band[:, -1]


@torch.no_grad()
def cell_factors(network: MapNetwork, grid: Grid, channels: FloatArray) -> Factors:
    """Return the factors that the CNN gives the cells of a region.

    Args:
        network: in double precision and evaluation mode.
        channels: (CHANNELS, cells) of `input_channels`.
    """
    logs, everywhere, _ = network(network.scaled(torch.from_numpy(channels)[None]).double())
    return Factors(grid, np.array(network.architecture.ages_days), logs[0].exp().numpy(), float(everywhere[0].exp()))
