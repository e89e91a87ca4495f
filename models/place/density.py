"""The place network over a pattern: its inputs, its denominators, and the density at the place of every event.

    neighbours ─▶ neighbour geometry ──────────┐
    excitation features of the timing network ─┼─▶ PlaceNetwork ─▶ kernels of all events ─┬▶ numerators (pairs of events)
    weights w of the timing network ───────────┘                                          └▶ denominators (one pass)

`models.place.network` states the formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.place.contributors import Neighbours, contributors_of, find_neighbours
from models.place.kernels import ContributorDensities, Kernels, Setting, decay_table, exact_densities
from models.place.neighbour_geometry import NEAREST, NeighbourGeometry, pattern_geometry, places_of
from models.place.network import Denominators, PlaceNetwork, log_density, slow_days
from models.timing import TAUS_DAYS, Excitation, excitation_after

STRONGEST = 120
"""How many of the strongest events contribute to a target in training, besides the `NEAREST`. The others would only raise the density."""
_PLAIN_WIDTH = 8.0
"""The width of the plain kernel that ranks contributors, in units of the narrowest width."""


@dataclass(frozen=True)
class PlaceData:
    """The inputs of the place network for a pattern of N events, and what its density needs besides."""

    pattern: PointPattern
    neighbours: Neighbours
    geometry: NeighbourGeometry
    inputs: torch.Tensor
    """(N, features + GEOMETRY_FEATURES), not scaled."""
    log_weights: torch.Tensor
    """(N, K) ln w of the timing network."""
    excitation: torch.Tensor
    """(N, K) Σ w exp(−lag/τ)/τ just before each event."""
    rate: float
    """μ of the timing network, events per day."""
    decays: torch.Tensor
    """(N, K) exp(−interval/τ), over the interval since the event before."""
    slow_decays: torch.Tensor
    """(N, C) the same for the slow time constants."""
    setting: Setting
    reach: int


def place_data(
    network: PlaceNetwork,
    pattern: PointPattern,
    features: FloatArray,
    weights: FloatArray,
    rate: float,
    first: int,
    reach: int | None = None,
) -> PlaceData:
    """Compute the inputs of the place network for a pattern.

    Args:
        features: (N, F) excitation features of each event at its own moment (`timing.event_features`).
        weights: (N, K) w of the timing network.
        rate: μ of the timing network, events per day.
        first: contributors are found for the events from this row on; len(pattern) if none are needed.
        reach: how many events back neighbours are searched and kernels count; None: all.
    """
    narrowest, slow = network.architecture.narrowest_km, slow_days(network.architecture)
    reach = len(pattern) if reach is None else reach
    sizes = (STRONGEST if first < len(pattern) else 1, NEAREST)
    neighbours = find_neighbours(pattern, weights, TAUS_DAYS, first, sizes, _PLAIN_WIDTH * narrowest, reach)
    geometry = pattern_geometry(pattern, neighbours.nearest, narrowest)
    intervals = np.diff(pattern.days, prepend=pattern.days[:1])[:, None]
    decays, slow_decays = np.exp(-intervals / TAUS_DAYS), np.exp(-intervals / slow)
    return PlaceData(
        pattern=pattern,
        neighbours=neighbours,
        geometry=geometry,
        inputs=torch.from_numpy(np.concatenate((features, geometry.features), axis=1)),
        log_weights=torch.from_numpy(np.log(weights)),
        excitation=torch.from_numpy(_sums_before_each(weights / TAUS_DAYS, decays)),
        rate=rate,
        decays=torch.from_numpy(decays),
        slow_decays=torch.from_numpy(slow_decays),
        setting=Setting(pattern.days, places_of(pattern), geometry.directions, decay_table(TAUS_DAYS, slow)),
        reach=reach,
    )


def _sums_before_each(increments: FloatArray, decays: FloatArray) -> FloatArray:
    """Return the decaying sums just before each event: (N, K) increments, (N, K) decays -> (N, K)."""
    after: FloatArray = excitation_after(increments[None], decays)[0]
    return np.concatenate((0.0 * after[:1], after[:-1] * decays[1:]))


def kernels_of(network: PlaceNetwork, data: PlaceData, stop: int, scaled: torch.Tensor | None = None) -> Kernels:
    """Return the kernels of the events before row `stop`; `scaled`: the scaled inputs, if the caller has them already."""
    inputs = network.scaler(data.inputs[:stop]).float() if scaled is None else scaled[:stop]
    excesses, spacing = torch.from_numpy(data.pattern.excesses[:stop]), torch.from_numpy(data.geometry.spacing[:stop])
    kernels: Kernels = network(inputs, excesses, spacing, data.log_weights[:stop])
    return kernels


def denominators(kernels: Kernels, data: PlaceData, targets: NDArray[np.int64], slow: FloatArray) -> Denominators:
    """Return the denominators of the density at each target: exact over all earlier events, differentiable in their kernels.

    Args:
        targets: (T,) rows.
        slow: (C,) slow time constants, days.
    """
    rates = kernels.log_weights.exp().sum(1) / torch.from_numpy(TAUS_DAYS)  # (stop, K)
    mapped = kernels.log_background_weights.exp()[:, None] * kernels.log_shares.exp()  # (stop, C)
    triggered, beyond = _sums_within_reach(rates, data.decays, TAUS_DAYS, data, targets)
    background_weight, _ = _sums_within_reach(mapped, data.slow_decays, slow, data, targets)
    return Denominators(triggered, background_weight, beyond)


def _sums_within_reach(
    increments: torch.Tensor, decays: torch.Tensor, taus: FloatArray, data: PlaceData, targets: NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the decaying sums at the targets, (T,) over the events within reach and (T,) over those before, summed over `taus`.

    The sum within reach is the sum over all earlier events minus what is left of the sum at the last event beyond reach.

    Args:
        increments: (stop, K) what each event adds.
        decays: (N, K) exp(−interval/τ).
        taus: (K,) time constants, days.
    """
    after = Excitation.apply(increments[None], decays[: len(increments)].contiguous())[0]
    before, days = targets - 1 - data.reach, data.pattern.days
    left = np.exp(-(days[targets] - days[np.maximum(before, 0)])[:, None] / taus) * (before >= 0)[:, None]
    beyond = (after[np.maximum(before, 0)] * torch.from_numpy(left)).sum(1)
    total = (after[np.maximum(targets - 1, 0)] * decays[targets]).sum(1) * torch.from_numpy(1.0 * (targets > 0))
    return total - beyond, beyond


def batch_log_prob(
    network: PlaceNetwork, data: PlaceData, targets: NDArray[np.int64], stop: int, scaled: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ln p(place | moment, past) of targets over their contributors alone, (T,), 1/km²: a lower bound, differentiable.

    Args:
        targets: (T,) rows, all before `stop`.
        scaled: the scaled inputs, if the caller has them already.
    """
    kernels = kernels_of(network, data, stop, scaled)
    contributors = contributors_of(data.neighbours, targets)
    numerators = ContributorDensities.apply(data.setting, targets, contributors, *kernels)
    background = network.background(data.excitation[targets], data.rate)
    sums = denominators(kernels, data, targets, slow_days(network.architecture))
    return log_density(network, numerators, sums, background, data.pattern.area_km2)


@torch.no_grad()
def place_log_prob(
    network: PlaceNetwork,
    pattern: PointPattern,
    span: Span,
    features: FloatArray,
    weights: FloatArray,
    rate: float,
    reach: int | None = None,
) -> FloatArray:
    """Return ln p(place | moment, past) of the span's events, (n,), 1/km², exact over all earlier events.

    Args:
        features, weights, rate: as `place_data` takes them.
        reach: how many events back neighbours are searched and kernels count; the rate of older events goes to the background map.
    """
    network.eval()
    rows = pattern.rows(span)
    targets = np.arange(rows.start, rows.stop)
    known, upto = pattern.before(span.end), slice(0, rows.stop)
    data = place_data(network, known, features[upto], weights[upto], rate, rows.stop, reach)
    kernels = kernels_of(network, data, rows.stop)
    numerators = torch.from_numpy(exact_densities(data.setting, kernels, targets, data.reach))
    background = network.background(data.excitation[targets], data.rate)
    sums = denominators(kernels, data, targets, slow_days(network.architecture))
    return log_density(network, numerators, sums, background, pattern.area_km2).numpy()
