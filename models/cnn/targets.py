"""The inputs of the CNN at targets: the maps just before each, and the sums of the frozen place network over past events, by cell."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.cnn.architecture import MapArchitecture
from models.cnn.catalog_maps import states_at
from models.cnn.cell_sums import sums_by_cell
from models.cnn.channels import CHANNELS, input_channels
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapNetwork, log_density, magnitude_log_prob
from models.numerics import FloatArray
from models.place import PlaceData, PlaceNetwork, denominators, kernels_of, slow_days


@dataclass(frozen=True)
class MapTargets:
    """T targets of one region or of several, and what the likelihood of the CNN needs at each."""

    channels: torch.Tensor
    """(T, CHANNELS, cells) float16: the input channels."""
    sums: torch.Tensor
    """(T, 2, groups, cells) float32, of `sums_by_cell`."""
    background: torch.Tensor
    """(T, 2) μ' and the rate of the events beyond reach, events per day."""
    area: torch.Tensor
    """(T,) area of the region, km²."""
    cells: torch.Tensor
    """(T, 4) the cells around the target; only the magnitude's likelihood uses them."""
    parts: torch.Tensor
    """(T, 4) the target's parts in them."""
    excesses: torch.Tensor
    """(T,) magnitude above completeness plus half a rounding bin."""
    rates: torch.Tensor
    """(T,) β of the region's past."""

    def __len__(self) -> int:
        return len(self.area)

    def take(self, chosen: torch.Tensor | slice) -> MapTargets:
        """Return some of the targets."""
        return MapTargets(*(getattr(self, field.name)[chosen] for field in fields(self)))


def join(parts: list[MapTargets]) -> MapTargets:
    """Return the targets of several regions as one batch."""
    return MapTargets(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(MapTargets)))


def grid_of(architecture: MapArchitecture, region: str, pattern: PointPattern) -> Grid:
    """Return the region's grid if the CNN was trained on it, else a grid over the pattern's events."""
    known = architecture.grids.get(region)
    return known or grid_over(pattern.latitudes, pattern.longitudes, architecture.side, architecture.smallest_km)


@torch.no_grad()
def map_targets(
    network: PlaceNetwork, data: PlaceData, targets: NDArray[np.int64], grid: Grid, ages_days: tuple[float, ...], half_bin: float
) -> MapTargets:
    """Compute the inputs of the CNN at targets in one region.

    Args:
        network: the place network, frozen.
        data: its inputs, of a pattern that holds all targets.
        targets: (T,) rows of the pattern, ascending.
        ages_days: where one band of ages ends and the next begins.
        half_bin: half the step to which magnitudes are rounded.
    """
    network.eval()
    pattern, stop = data.pattern, int(targets[-1]) + 1
    kernels = kernels_of(network, data, stop)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    sums = sums_by_cell(data.setting, kernels, targets, data.reach, (cells, parts), ages_days, grid.cells)
    beyond = denominators(kernels, data, targets, slow_days(network.architecture)).beyond
    background = network.background(data.excitation[targets], data.rate)
    return MapTargets(
        channels=torch.from_numpy(channels_at(grid, pattern, data.log_weights.exp().numpy(), data.rate, targets)),
        sums=torch.from_numpy(sums),
        background=torch.stack((background, beyond), 1),
        area=torch.full((len(targets),), pattern.area_km2, dtype=torch.float64),
        cells=torch.from_numpy(cells[targets]),
        parts=torch.from_numpy(parts[targets]),
        excesses=torch.from_numpy(pattern.excesses[targets] + half_bin),
        rates=torch.from_numpy(region_rates(pattern.excesses + half_bin)[targets]),
    )


def channels_at(
    grid: Grid,
    pattern: PointPattern,
    weights: FloatArray,
    background: float,
    targets: NDArray[np.int64],
    moments: FloatArray | None = None,
) -> NDArray[np.float16]:
    """Return the input channels just before each target, (T, CHANNELS, cells).

    Args:
        weights: (N, 12) w of the timing network.
        background: μ of the timing network, events per day.
        targets: (T,) rows, ascending.
        moments: (T,) days at which the maps are taken instead; the events are still those before the target.
    """
    channels = np.empty((len(targets), CHANNELS, grid.cells), np.float16)
    days = pattern.days[targets] if moments is None else moments
    for piece, states in states_at(grid, pattern, weights, background, targets, moments=moments):
        channels[piece] = input_channels(states, days[piece], background)
    return channels


def region_rates(excesses: FloatArray) -> FloatArray:
    """Return β of all earlier events (Aki 1965), just before each event and after the last: (N,) -> (N + 1,).

    20 events with the mean excess of b = 1, 1/ln 10, are counted too, so that the first values are near ln 10.
    """
    prior_events = 20.0
    sums = np.concatenate(([0.0], np.cumsum(excesses)))
    rates: FloatArray = (np.arange(len(excesses) + 1) + prior_events) / (sums + prior_events / np.log(10.0))
    return rates


def log_probs(
    network: MapNetwork, targets: MapTargets, uniform: torch.Tensor, turns: int = 0, mirrored: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ln p of the targets' places, (T,), 1/km², and of their magnitudes there, (T,).

    Args:
        uniform: () ε of the place network.
        turns: quarter turns by which the maps are turned before the network sees them; its output is turned back.
        mirrored: whether they are mirrored too.
    """
    side = network.architecture.side
    maps = torch.rot90(network.scaled(targets.channels), turns, (2, 3))
    factors, everywhere, magnitudes = network(maps.flip(3) if mirrored else maps)
    stacked = torch.cat((factors, magnitudes[:, None]), 1)
    back = stacked.reshape(*stacked.shape[:2], side, side)
    back = torch.rot90(back.flip(3) if mirrored else back, -turns, (2, 3)).flatten(2)
    places = log_density(back[:, :-1], everywhere, targets.sums, targets.background, uniform, targets.area)
    return places, magnitude_log_prob(back[:, -1].gather(1, targets.cells), targets.parts, targets.excesses, targets.rates)
