"""Targets made ready for the CNN: the maps just before each, and the sums of the frozen model over the past, by cell."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from models.catalog import PointPattern
from models.cnn import cell_sums as map_density
from models.cnn.catalog_maps import states_at
from models.cnn.channels import CHANNELS, input_channels
from models.cnn.grid import Grid, grid_over
from models.cnn.network import MapArchitecture, MapNetwork, log_density, magnitude_log_prob
from models.numerics import FloatArray
from models.place import PlaceData, PlaceNetwork, denominators, kernels_of, slow_days


@dataclass(frozen=True)
class MapRows:
    """B targets, of one region or of several."""

    features: torch.Tensor
    """(B, CHANNELS, cells) float16."""
    sums: torch.Tensor
    """(B, 2, groups, cells) float32, of `map_density.cell_sums`."""
    background: torch.Tensor
    """(B, 2) μ' and what is beyond the reach, 1/day."""
    area: torch.Tensor
    """(B,) km² of the region."""
    cells: torch.Tensor
    """(B, 4) about the target, and its parts in them; only the magnitudes look at it."""
    parts: torch.Tensor
    excesses: torch.Tensor
    """(B,) magnitude above completeness and half a rounding bin."""
    rates: torch.Tensor
    """(B,) β of the region's past."""

    def __len__(self) -> int:
        return len(self.area)

    def take(self, chosen: torch.Tensor | slice) -> MapRows:
        """Some of them."""
        return MapRows(*(getattr(self, field.name)[chosen] for field in fields(self)))


def joined(parts: list[MapRows]) -> MapRows:
    """Several regions' targets as one."""
    return MapRows(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(MapRows)))


def grid_of(architecture: MapArchitecture, region: str, pattern: PointPattern) -> Grid:
    """The region's grid if the CNN was trained on it, else one over the pattern's events."""
    known = architecture.grids.get(region)
    return known or grid_over(pattern.latitudes, pattern.longitudes, architecture.side, architecture.smallest_km)


@torch.no_grad()
def map_rows(
    network: PlaceNetwork, study: PlaceData, targets: NDArray[np.int64], grid: Grid, ages_days: tuple[float, ...], half_bin: float
) -> MapRows:
    """The targets (B,) ascending, of one region.

    Args:
        network: of the places, frozen; `study` of its events at least up to the last target.
        half_bin: half the step to which magnitudes are rounded.
    """
    network.eval()
    pattern, stop = study.pattern, int(targets[-1]) + 1
    kernels = kernels_of(network, study, stop)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    sums = map_density.cell_sums(study.setting, kernels, targets, study.reach, (cells, parts), ages_days, grid.cells)
    beyond = denominators(kernels, study, targets, slow_days(network.architecture)).beyond
    background = network.background(study.excitation[targets], study.rate)
    return MapRows(
        features=torch.from_numpy(features_at(grid, pattern, study.log_weights.exp().numpy(), study.rate, targets)),
        sums=torch.from_numpy(sums),
        background=torch.stack((background, beyond), 1),
        area=torch.full((len(targets),), pattern.area_km2, dtype=torch.float64),
        cells=torch.from_numpy(cells[targets]),
        parts=torch.from_numpy(parts[targets]),
        excesses=torch.from_numpy(pattern.excesses[targets] + half_bin),
        rates=torch.from_numpy(region_rates(pattern.excesses + half_bin)[targets]),
    )


def features_at(
    grid: Grid,
    pattern: PointPattern,
    weights: FloatArray,
    background: float,
    targets: NDArray[np.int64],
    moments: FloatArray | None = None,
) -> NDArray[np.float16]:
    """(B, CHANNELS, cells) just before the targets, or at `moments` (days) after the events before them."""
    found = np.empty((len(targets), CHANNELS, grid.cells), np.float16)
    days = pattern.days[targets] if moments is None else moments
    for piece, states in states_at(grid, pattern, weights, background, targets, moments=moments):
        found[piece] = input_channels(states, days[piece], background)
    return found


def region_rates(excesses: FloatArray) -> FloatArray:
    """(N + 1,) β just before each event and after the last, of all earlier ones (Aki 1965); a few events of β = ln 10 to begin with."""
    few = 20.0
    before = np.concatenate(([0.0], np.cumsum(excesses)))
    found: FloatArray = (np.arange(len(excesses) + 1) + few) / (before + few / np.log(10.0))
    return found


def log_probs(
    network: MapNetwork, rows: MapRows, uniform: torch.Tensor, turns: int = 0, mirrored: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) ln p of the places, 1/km², and (B,) ln p of the magnitudes there."""
    side = network.architecture.side
    seen = torch.rot90(network.scaled(rows.features), turns, (2, 3))
    factors, everywhere, magnitudes = network(seen.flip(3) if mirrored else seen)
    stacked = torch.cat((factors, magnitudes[:, None]), 1)
    back = stacked.reshape(*stacked.shape[:2], side, side)
    back = torch.rot90(back.flip(3) if mirrored else back, -turns, (2, 3)).flatten(2)
    places = log_density(back[:, :-1], everywhere, rows.sums, rows.background, uniform, rows.area)
    return places, magnitude_log_prob(back[:, -1].gather(1, rows.cells), rows.parts, rows.excesses, rows.rates)
