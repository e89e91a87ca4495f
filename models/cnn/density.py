"""The CNN over a pattern: the density at the place of every event with its factors, and its maps at one moment."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ingest.instant import Instant
from models.catalog import PointPattern, Span
from models.cnn.grid import Grid
from models.cnn.network import MapNetwork
from models.cnn.targets import channels_at, grid_of, log_probs, map_targets, region_rates
from models.numerics import FloatArray
from models.place import PlaceData, kernels_of, place_data
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import TAUS_DAYS, PatternKernels

_TARGETS_AT_ONCE = 256


@torch.no_grad()
def map_log_prob(
    base: SpaceTimeNetwork, maps: MapNetwork, kernels: PatternKernels, span: Span, region: str, background: float
) -> FloatArray:
    """Return ln p(place | moment, past) of the span's events, (n,), 1/km², with the factors of the CNN.

    Args:
        kernels: of the timing network, for the pattern up to the span's end.
        region: the region's id: a region that the CNN was trained on has its own grid.
        background: μ of the timing network, events per day.
    """
    place, pattern, rows = require_place(base), kernels.pattern, kernels.pattern.rows(span)
    targets = np.arange(max(rows.start, 1), rows.stop)
    log_prob = np.full(rows.stop - rows.start, -math.log(pattern.area_km2))  # the first event has no past: uniform
    if not len(targets):
        return log_prob
    data = _place_data(base, kernels, background)
    earlier = pattern.before(span.start)  # a grid over the events to be scored would know where they are
    grid, pieces = grid_of(maps.architecture, region, earlier if len(earlier) else pattern), []
    for low in range(0, len(targets), _TARGETS_AT_ONCE):
        chosen = map_targets(place, data, targets[low : low + _TARGETS_AT_ONCE], grid, maps.architecture.ages_days, 0.0)
        pieces.append(log_probs(maps.eval(), chosen, place.uniform_share)[0])
    log_prob[len(log_prob) - len(targets) :] = torch.cat(pieces).numpy()
    return log_prob


class Maps(NamedTuple):
    """Maps of a region at one moment, from the kernels and the CNN; (side, side) arrays, row by row from the south."""

    grid: Grid
    probability: FloatArray
    """P(the next event is in the cell). A kernel counts in the cell of its event, because cells are wider than most kernels."""
    b_value: FloatArray
    probability_at_least_5: FloatArray
    """P(M ≥ 5) of an event in the cell."""


@torch.no_grad()
def maps_at(base: SpaceTimeNetwork, maps: MapNetwork, pattern: PointPattern, moment: Instant, region: str, background: float) -> Maps:
    """Return the maps at a moment after all of the pattern's events, if no event arrived since.

    Args:
        region: the region's id.
        background: μ of the timing network, events per day.
    """
    place, architecture = require_place(base), maps.architecture
    grid, day = grid_of(architecture, region, pattern), pattern.day_of(moment)
    data = _place_data(base, base.timing.evaluate(pattern), background)
    after_all = np.array([len(pattern)])
    channels = channels_at(grid, pattern, data.log_weights.exp().numpy(), background, after_all, np.array([day]))
    factors, everywhere, log_rates = maps.eval()(maps.scaled(torch.from_numpy(channels)))
    rates, background_weights = _sums_by_cell(base, data, grid, day, architecture.ages_days)
    weighted = factors[0].double().exp().numpy() * np.concatenate((rates, background_weights[None]))  # (groups, cells)
    excitation = (data.log_weights.exp().numpy() * _decays(pattern, day)).sum(0)
    mu = float(place.background(torch.from_numpy(excitation)[None], background)) * math.exp(float(everywhere[0]))
    uniform = float(place.uniform_share)
    mapped = weighted[-1] / max(weighted[-1].sum(), np.finfo(np.float64).tiny)
    cells = weighted[:-1].sum(0) + mu * ((1.0 - uniform) * mapped + uniform / grid.cells)
    beta = region_rates(pattern.excesses)[-1] * np.exp(log_rates[0].double().numpy())
    above = np.exp(-beta * max(5.0 - pattern.magnitude_of_completeness, 0.0))
    square = (grid.side, grid.side)
    return Maps(grid, (cells / cells.sum()).reshape(square), (beta / math.log(10.0)).reshape(square), above.reshape(square))


def _place_data(base: SpaceTimeNetwork, kernels: PatternKernels, background: float) -> PlaceData:
    pattern, reach = kernels.pattern, base.architecture.place_reach
    return place_data(require_place(base), pattern, kernels.event_features, kernels.event_weights, background, len(pattern), reach)


def _decays(pattern: PointPattern, day: float) -> FloatArray:
    """Return exp(−lag/τ)/τ of each event on a day, (N, K)."""
    decays: FloatArray = np.exp(-(day - pattern.days)[:, None] / TAUS_DAYS) / TAUS_DAYS
    return decays


def _sums_by_cell(
    base: SpaceTimeNetwork, data: PlaceData, grid: Grid, day: float, ages_days: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Return the rates of past events by age and cell, (bands, cells), 1/day, and their weights in the background map, (cells,)."""
    place, pattern = require_place(base), data.pattern
    kernels = kernels_of(place, data, len(pattern)).numpy()
    rates = (np.exp(kernels.log_weights).sum(1) * _decays(pattern, day)).sum(1)  # (N,)
    lags = (day - pattern.days)[:, None]
    background_weights = np.exp(kernels.log_background_weights) * np.exp(
        kernels.log_shares - lags / np.array(place.architecture.slow_days)
    ).sum(1)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    band = np.searchsorted(np.array(ages_days), day - pattern.days)
    by_cell = np.zeros((len(ages_days) + 1, grid.cells))
    np.add.at(by_cell, (band[:, None], cells), parts * rates[:, None])
    background = np.zeros(grid.cells)
    np.add.at(background, cells, parts * background_weights[:, None])
    return by_cell, background
