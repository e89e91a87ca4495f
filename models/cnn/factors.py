"""By what a CNN re-weights the cells of a region's map at one moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from models.cnn.grid import Grid
from models.cnn.network import MapNetwork
from models.numerics import FloatArray


class Factors(NamedTuple):
    """What the CNN says of a region's cells at a moment."""

    grid: Grid
    ages_days: FloatArray
    """(bands − 1,) where one band of ages ends."""
    cells: FloatArray
    """(bands + 1, cells) by which what events of that age bring on is re-weighted; the background map's last."""
    everywhere: float
    """By which the background rate is."""

    def of(self, latitudes: FloatArray, longitudes: FloatArray, ages_days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Events at (N,), (N,) degrees -> (N, A) of what they bring on at ages (N, A), and (N,) of their part in the background map."""
        cells, parts = self.grid.parts(latitudes, longitudes)
        found: FloatArray = (self.cells[:, cells] * parts).sum(2).T  # (N, bands + 1)
        return np.take_along_axis(found, np.searchsorted(self.ages_days, ages_days), 1), found[:, -1]


@torch.no_grad()
def factors_of(network: MapNetwork, grid: Grid, features: FloatArray) -> Factors:
    """Of a network in double precision and evaluation mode, and what it sees: (CHANNELS, cells) of `map_features.features`."""
    logs, everywhere, _ = network(network.scaled(torch.from_numpy(features)[None]).double())
    return Factors(grid, np.array(network.architecture.ages_days), logs[0].exp().numpy(), float(everywhere[0].exp()))
