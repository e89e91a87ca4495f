"""The start of simulated paths: a pattern's events as the networks describe them, and the state at a moment after some of them.

All paths share the events before the moment; what every step needs of them is computed here once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree  # type: ignore[import-untyped, unused-ignore]

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.catalog import PointPattern, common_step
from models.cnn import Factors
from models.numerics import FloatArray
from models.place import Kernels, kernels_of, place_data, slow_days
from models.space_time import SpaceTimeNetwork, require_place, simulated_network
from models.timing import (
    KERNELS,
    TAUS_DAYS,
    TRACE_PRODUCTIVITIES,
    TRACE_TAUS_DAYS,
    Followed,
    LargeEvents,
    PatternKernels,
)

WARM_UP = 2_048
"""The memory is run from this many events before the moment; what came earlier no longer changes its state."""
TAU_COUNT, POWER_COUNT = len(TRACE_TAUS_DAYS), len(TRACE_PRODUCTIVITIES)


@dataclass(frozen=True)
class History:
    """A pattern's N events with their kernels, each computed from the events before it, so one history serves all moments within it."""

    network: SpaceTimeNetwork
    pattern: PointPattern
    background: float
    """μ, events per day."""
    timing: PatternKernels
    """The outputs of the timing network."""
    followed: Followed
    """The excitation after each row."""
    memory_inputs: torch.Tensor
    """(N + 1, inputs) scaled; row 0 is before the first event."""
    kernels: Kernels
    """The outputs of the place network; numpy arrays of N rows."""
    places: FloatArray
    """(N, 3) latitude, longitude (radians), the latitude's cosine."""
    directions: FloatArray
    """(N, 2) east and north, a unit vector along the neighbours' elongation."""


class Start(NamedTuple):
    """The state that all paths from a moment share, with the H events before it; days count from the moment."""

    days: FloatArray
    """(H,) of the events, not positive."""
    positions_km: FloatArray
    """(H, 3)"""
    excesses: FloatArray
    excitation: FloatArray
    """(12,) just after the last event, without the large events."""
    large: LargeEvents | None
    """The large events just after the last event; None: no productivity is a distribution."""
    traces: FloatArray
    """(taus, a) of the region, just after the last event."""
    scaled_inputs: torch.Tensor
    """(inputs,) of the memory at the last event; then its hidden state and cell, (M, hidden) each."""
    hidden: torch.Tensor
    cell: torch.Tensor
    sums: FloatArray
    """(M · 12,) rates of the events' discs by kernel at the moment, 1/day."""
    cumulative: FloatArray
    """(H, M · 12) running sums over the events of their parts in `sums`; (H,) of their weights in the background map."""
    background_weights: FloatArray
    widths_km2: FloatArray
    """(H, M + 1)"""
    stretches: FloatArray
    powers: FloatArray
    """(M + 1,)"""
    places: FloatArray
    directions: FloatArray
    depths_km: FloatArray
    tree: cKDTree | None
    """The tree of the positions; None without events."""
    magnitude_of_completeness: float
    step: float
    """The step to which magnitudes are rounded; 0: not at all."""
    area_km2: float
    factors: Factors | None = None
    """Factors by which the CNN's map re-weights places; None: no CNN."""

    @property
    def silence_days(self) -> float:
        """Days from the last event to the moment."""
        return -float(self.days[-1]) if len(self.days) else 0.0


@torch.no_grad()
def history_of(network: SpaceTimeNetwork, pattern: PointPattern, background: float) -> History:
    """Return a pattern's events with their kernels; an event's kernel depends on earlier events only.

    Args:
        background: μ, events per day.

    Raises:
        Problem: the model was trained without places.
    """
    network = simulated_network(network)
    place, timing = require_place(network).eval(), network.timing.evaluate(pattern)
    features, weights, reach = timing.event_features, timing.event_weights, network.architecture.place_reach
    data = place_data(place, pattern, features, weights, background, len(pattern), reach)
    kernels = kernels_of(place, data, len(pattern)).numpy()
    followed = network.timing.follow(timing, background)
    inputs = network.timing.memory_inputs(timing, followed, background)
    return History(network, pattern, background, timing, followed, inputs, kernels, data.setting.places, data.setting.directions)


def start_at(history: History, moment: Instant) -> Start:
    """Return the state from which paths begin, from the events before a moment.

    Args:
        history: of a pattern that may go on after the moment; later events are not used.
    """
    pattern, place = history.pattern.before(moment), require_place(history.network).eval()
    count = len(pattern)
    days = (pattern.times - int(moment)) / MILLISECONDS_PER_DAY
    hidden, cell = _memory(history, count)
    kernels = history.kernels.rows(slice(0, count))
    fading = np.exp(days[:, None] / TAUS_DAYS) / TAUS_DAYS  # (H, 12)
    rates = (np.exp(kernels.log_weights) * fading[:, None, :]).reshape(count, kernels.log_weights.shape[1] * KERNELS)  # (H, M 12)
    slow = np.exp(kernels.log_shares + days[:, None] / slow_days(place.architecture)).sum(1)
    return Start(
        days=days,
        positions_km=pattern.positions_km,
        excesses=pattern.excesses,
        excitation=history.followed.rest[count],
        large=None if history.followed.large is None else history.followed.large.of_rows(count),
        traces=_traces(days, pattern.excesses),
        scaled_inputs=history.memory_inputs[count],
        hidden=hidden,
        cell=cell,
        sums=rates.sum(0),
        cumulative=np.cumsum(rates, 0),
        background_weights=np.cumsum(np.exp(kernels.log_background_weights) * slow),
        widths_km2=np.exp(kernels.log_widths),
        stretches=np.exp(kernels.log_stretches),
        powers=np.exp(kernels.log_powers),
        places=history.places[:count],
        directions=history.directions[:count],
        depths_km=pattern.depths_km,
        tree=cKDTree(pattern.positions_km) if count else None,
        magnitude_of_completeness=pattern.magnitude_of_completeness,
        step=common_step(pattern.magnitudes) if count else 0.0,
        area_km2=pattern.area_km2,
    )


@torch.no_grad()
def _memory(history: History, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the LSTM's hidden state and cell after a row, (M, hidden) each."""
    inputs = history.memory_inputs[None, max(row - WARM_UP, 0) : row + 1]
    states = [layer(inputs)[1] for layer in history.network.timing.memory.layers]
    return torch.cat([hidden[0] for hidden, _ in states]), torch.cat([cell[0] for _, cell in states])


def _traces(days: FloatArray, excesses: FloatArray) -> FloatArray:
    """Return the region's traces Σ exp(a x) exp(−lag/τ)/τ just after the last event, (taus, a)."""
    if not len(days):
        return np.zeros((TAU_COUNT, POWER_COUNT))
    taus = TRACE_TAUS_DAYS
    fading = np.exp((days - days[-1])[:, None] / taus) / taus  # (H, taus)
    traces: FloatArray = fading.T @ np.exp(excesses[:, None] * TRACE_PRODUCTIVITIES)
    return traces
