"""The CNN over a pattern: the exact density of the places with it, and its maps at a moment."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ingest.instant import Instant
from models.catalog import PointPattern, Span
from models.cnn.grid import Grid
from models.cnn.network import MapNetwork
from models.cnn.targets import features_at, grid_of, log_probs, map_rows, region_rates
from models.numerics import FloatArray
from models.place import PlaceData, kernels_of, place_data
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import TAUS_DAYS, rows_of

_AT_ONCE = 256


@torch.no_grad()
def map_log_prob(base: SpaceTimeNetwork, maps: MapNetwork, pattern: PointPattern, span: Span, region: str, background: float) -> FloatArray:
    """(n,) ln p(place | moment, past) of the span's events, 1/km², as the CNN re-weights it.

    Args:
        background: μ of the network of the times, 1/day.
    """
    place, rows = require_place(base), pattern.rows(span)
    targets = np.arange(max(rows.start, 1), rows.stop)
    found = np.full(rows.stop - rows.start, -math.log(pattern.area_km2))  # of the very first event nothing is known
    if not len(targets):
        return found
    known = pattern.before(span.end)
    study = _study(base, known, background)
    earlier = known.before(span.start)  # a grid over the events to be scored would say where they are
    grid, pieces = grid_of(maps.architecture, region, earlier if len(earlier) else known), []
    for low in range(0, len(targets), _AT_ONCE):
        asked = map_rows(place, study, targets[low : low + _AT_ONCE], grid, maps.architecture.ages_days, 0.0)
        pieces.append(log_probs(maps.eval(), asked, place.uniform_share)[0])
    found[len(found) - len(targets) :] = torch.cat(pieces).numpy()
    return found


class Maps(NamedTuple):
    """What the CNN and the kernels say of a region at one moment; (side, side) arrays, row by row from the south."""

    grid: Grid
    probability: FloatArray
    """Of the next event, by cell: an event's kernel counts where the event is (cells are wider than most kernels)."""
    b_value: FloatArray
    probability_at_least_5: FloatArray
    """That an event in the cell, if one comes, has a magnitude of 5 or more."""


@torch.no_grad()
def maps_at(base: SpaceTimeNetwork, maps: MapNetwork, pattern: PointPattern, moment: Instant, region: str, background: float) -> Maps:
    """The maps after all of the pattern's events, given that nothing came since.

    Args:
        background: μ of the network of the times, 1/day.
    """
    place, architecture = require_place(base), maps.architecture
    grid, study, day = grid_of(architecture, region, pattern), _study(base, pattern, background), pattern.day_of(moment)
    everything = np.array([len(pattern)])
    seen = features_at(grid, pattern, study.log_weights.exp().numpy(), background, everything, np.array([day]))
    factors, everywhere, log_rates = maps.eval()(maps.scaled(torch.from_numpy(seen)))
    rates, worths = _masses(base, study, grid, day, architecture.ages_days)
    weighted = factors[0].double().exp().numpy() * np.concatenate((rates, worths[None]))  # (groups, cells)
    excitation = (study.log_weights.exp().numpy() * _fading(pattern, day)).sum(0)
    mu = float(place.background(torch.from_numpy(excitation)[None], background)) * math.exp(float(everywhere[0]))
    uniform = float(place.uniform_share)
    mapped = weighted[-1] / max(weighted[-1].sum(), np.finfo(np.float64).tiny)
    cells = weighted[:-1].sum(0) + mu * ((1.0 - uniform) * mapped + uniform / grid.cells)
    beta = region_rates(pattern.excesses)[-1] * np.exp(log_rates[0].double().numpy())
    above = np.exp(-beta * max(5.0 - pattern.magnitude_of_completeness, 0.0))
    square = (grid.side, grid.side)
    return Maps(grid, (cells / cells.sum()).reshape(square), (beta / math.log(10.0)).reshape(square), above.reshape(square))


def _study(base: SpaceTimeNetwork, pattern: PointPattern, background: float) -> PlaceData:
    architecture = base.architecture
    rows = rows_of([pattern], architecture.timing.reach)
    weights = base.timing.weights(rows)[1:].numpy()
    return place_data(require_place(base), pattern, rows.neighbourhoods[1:], weights, background, len(pattern), architecture.place_reach)


def _fading(pattern: PointPattern, day: float) -> FloatArray:
    """(N, K) exp(−lag/τ)/τ."""
    found: FloatArray = np.exp(-(day - pattern.days)[:, None] / TAUS_DAYS) / TAUS_DAYS
    return found


def _masses(
    base: SpaceTimeNetwork, study: PlaceData, grid: Grid, day: float, ages_days: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """(bands, cells) the rates of the past events, by their ages and cells, 1/day; (cells,) their worths for the background map."""
    place, pattern = require_place(base), study.pattern
    kernels = kernels_of(place, study, len(pattern)).numpy()
    rates = (np.exp(kernels.log_weights).sum(1) * _fading(pattern, day)).sum(1)  # (N,)
    lags = (day - pattern.days)[:, None]
    worths = np.exp(kernels.log_background_weights) * np.exp(kernels.log_shares - lags / np.array(place.architecture.slow_days)).sum(1)
    cells, parts = grid.parts(pattern.latitudes, pattern.longitudes)
    band = np.searchsorted(np.array(ages_days), day - pattern.days)
    by_cell = np.zeros((len(ages_days) + 1, grid.cells))
    np.add.at(by_cell, (band[:, None], cells), parts * rates[:, None])
    worth = np.zeros(grid.cells)
    np.add.at(worth, cells, parts * worths[:, None])
    return by_cell, worth
