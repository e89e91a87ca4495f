"""The network of the places over a pattern: its inputs, its denominators, and the exact density at every event.

neighbours ─▶ surroundings ─┐
                features ───┼─▶ PlaceNetwork ─▶ kernels of all events ─▶ numerators (pairs), denominators (one pass)
          weights (times) ──┘
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.place import contributors
from models.place.contributors import Neighbours
from models.place.kernels import ContributorDensities, Kernels, Setting, decay_table, exact_densities
from models.place.neighbour_geometry import NEAREST, NeighbourGeometry, pattern_geometry, places_of
from models.place.network import Denominators, PlaceNetwork, log_density, slow_days
from models.timing import TAUS_DAYS, Excitation, excitation_after

STRONGEST = 120
"""Contributors of a target by rate, besides the `surroundings.NEAREST`; those left out only lower the density."""
_PLAIN_WIDTH = 8.0
"""Of the kernel that ranks contributors, in narrowest widths."""


@dataclass(frozen=True)
class PlaceTargets:
    """A pattern made ready: N events."""

    pattern: PointPattern
    found: Neighbours
    around: NeighbourGeometry
    raw: torch.Tensor
    """(N, features + surroundings.SIZE)"""
    log_weights: torch.Tensor
    """(N, K) of the network of the times."""
    excitation: torch.Tensor
    """(N, K) Σ w exp(−lag/τ)/τ just before each event."""
    rate: float
    """μ of the network of the times, 1/day."""
    decays: torch.Tensor
    """(N, K) and (N, C): what is left of the sums at the event before."""
    slow_decays: torch.Tensor
    setting: Setting
    reach: int


def study_of(
    network: PlaceNetwork,
    pattern: PointPattern,
    features: FloatArray,
    weights: FloatArray,
    rate: float,
    first: int,
    reach: int | None = None,
) -> PlaceTargets:
    """Make a pattern ready for the network.

    Args:
        features: (N, F) of each event when it came (`neighbourhood.neighbourhoods`).
        weights: (N, K) of the network of the times, and its μ, `rate`.
        first: contributors are chosen for the events from this row on; len(pattern) if none are needed.
        reach: how many events back neighbours are looked for, and kernels counted; None: all.
    """
    narrowest, slow = network.architecture.narrowest_km, slow_days(network.architecture)
    reach = len(pattern) if reach is None else reach
    sizes = (STRONGEST if first < len(pattern) else 1, NEAREST)
    found = contributors.find_neighbours(pattern, weights, TAUS_DAYS, first, sizes, _PLAIN_WIDTH * narrowest, reach)
    around = pattern_geometry(pattern, found.nearest, narrowest)
    waits = np.diff(pattern.days, prepend=pattern.days[:1])[:, None]
    decays, slow_decays = np.exp(-waits / TAUS_DAYS), np.exp(-waits / slow)
    return PlaceTargets(
        pattern=pattern,
        found=found,
        around=around,
        raw=torch.from_numpy(np.concatenate((features, around.features), axis=1)),
        log_weights=torch.from_numpy(np.log(weights)),
        excitation=torch.from_numpy(_before(weights / TAUS_DAYS, decays)),
        rate=rate,
        decays=torch.from_numpy(decays),
        slow_decays=torch.from_numpy(slow_decays),
        setting=Setting(pattern.days, places_of(pattern), around.directions, decay_table(TAUS_DAYS, slow)),
        reach=reach,
    )


def _before(jumps: FloatArray, decays: FloatArray) -> FloatArray:
    """(N, K) jumps -> the sums just before each event."""
    after: FloatArray = excitation_after(jumps[None], decays)[0]
    return np.concatenate((0.0 * after[:1], after[:-1] * decays[1:]))


def kernels_of(network: PlaceNetwork, study: PlaceTargets, stop: int, scaled: torch.Tensor | None = None) -> Kernels:
    """The kernels of the events before row `stop`; `scaled`: the inputs, if they are at hand already."""
    inputs = network.scaler(study.raw[:stop]).float() if scaled is None else scaled[:stop]
    excesses, spacing = torch.from_numpy(study.pattern.excesses[:stop]), torch.from_numpy(study.around.spacing[:stop])
    found: Kernels = network(inputs, excesses, spacing, study.log_weights[:stop])
    return found


def denominators(kernels: Kernels, study: PlaceTargets, targets: NDArray[np.int64], slow: FloatArray) -> Denominators:
    """Of each target, exact over all earlier events and differentiable in their kernels."""
    jumps = kernels.log_weights.exp().sum(1) / torch.from_numpy(TAUS_DAYS)  # (stop, K)
    worths = kernels.log_background_weights.exp()[:, None] * kernels.log_shares.exp()  # (stop, C)
    triggered, beyond = _within(jumps, study.decays, TAUS_DAYS, study, targets)
    worth, _ = _within(worths, study.slow_decays, slow, study, targets)
    return Denominators(triggered, worth, beyond)


def _within(
    added: torch.Tensor, decays: torch.Tensor, taus: FloatArray, study: PlaceTargets, targets: NDArray[np.int64]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(stop, K) what each event adds -> (B,) the sums at the targets over the events within reach, (B,) over those before."""
    after = Excitation.apply(added[None], decays[: len(added)].contiguous())[0]
    before, days = targets - 1 - study.reach, study.pattern.days
    left = np.exp(-(days[targets] - days[np.maximum(before, 0)])[:, None] / taus) * (before >= 0)[:, None]
    gone = (after[np.maximum(before, 0)] * torch.from_numpy(left)).sum(1)
    now = (after[np.maximum(targets - 1, 0)] * decays[targets]).sum(1) * torch.from_numpy(1.0 * (targets > 0))
    return now - gone, gone


def batch_log_prob(
    network: PlaceNetwork, study: PlaceTargets, targets: NDArray[np.int64], stop: int, scaled: torch.Tensor | None = None
) -> torch.Tensor:
    """(B,) ln p of targets over their contributors alone, 1/km²: a lower bound, differentiable. Events before `stop` are looked at."""
    kernels = kernels_of(network, study, stop, scaled)
    chosen = contributors.contributors_of(study.found, targets)
    drawn = ContributorDensities.apply(study.setting, targets, chosen, *kernels)
    background = network.background(study.excitation[targets], study.rate)
    below = denominators(kernels, study, targets, slow_days(network.architecture))
    return log_density(network, drawn, below, background, study.pattern.area_km2)


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
    """(n,) ln p(place | moment, past) of the span's events, 1/km², every earlier event counted.

    Args:
        features, weights, rate: as `timing_training_data` takes them.
        reach: only so many events back are neighbours and kernels; the rate of those before goes to the background map.
    """
    network.eval()
    rows = pattern.rows(span)
    targets = np.arange(rows.start, rows.stop)
    known, upto = pattern.before(span.end), slice(0, rows.stop)
    study = study_of(network, known, features[upto], weights[upto], rate, rows.stop, reach)
    kernels = kernels_of(network, study, rows.stop)
    drawn = torch.from_numpy(exact_densities(study.setting, kernels, targets, study.reach))
    background = network.background(study.excitation[targets], study.rate)
    below = denominators(kernels, study, targets, slow_days(network.architecture))
    return log_density(network, drawn, below, background, pattern.area_km2).numpy()
