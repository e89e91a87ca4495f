"""Where simulated continuations begin: a pattern's events as the network knows them, and the state at one moment after some of them.

All continuations share what came before the moment; what is cheap to look up many times is prepared here once.
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
from models.space_time import SpaceTimeNetwork, require_place
from models.timing import KERNELS, TAUS_DAYS, TRACE_PRODUCTIVITIES, TRACE_TAUS_DAYS, local_hours, memory_inputs, rows_of

WARM_UP = 2_048
"""The memory is run from so many events before the moment; it forgets faster."""
TAU_COUNT, POWER_COUNT = len(TRACE_TAUS_DAYS), len(TRACE_PRODUCTIVITIES)


@dataclass(frozen=True)
class History:
    """A pattern's N events with their kernels, each from what came before it; a moment sees a part of them."""

    network: SpaceTimeNetwork
    pattern: PointPattern
    background: float
    """μ, events per day."""
    weights: FloatArray
    """(N, 12) of the times."""
    after: FloatArray
    """(N + 1, 12) excitation just after each row; row 0: nothing has come yet."""
    told: torch.Tensor
    """(N + 1, inputs) what the memory is told, scaled."""
    surroundings: FloatArray
    """(N, neighbourhood.SIZE) of each event when it came."""
    kernels: Kernels
    """Of the places; numpy arrays of N rows."""
    places: FloatArray
    """(N, 3) latitude, longitude (radians), the latitude's cosine."""
    directions: FloatArray
    """(N, 2) east and north."""


class Start(NamedTuple):
    """What all continuations from a moment share: H events before it, days counted from it."""

    days: FloatArray
    """(H,) not positive."""
    positions_km: FloatArray
    """(H, 3)"""
    excesses: FloatArray
    excitation: FloatArray
    """(12,) just after the last event."""
    traces: FloatArray
    """(taus, a) of the region, just after the last event."""
    told: torch.Tensor
    """(inputs,) and (M, hidden) twice: the memory after the last event."""
    hidden: torch.Tensor
    cell: torch.Tensor
    sums: FloatArray
    """(M · 12,) rates of the places' discs by kernel at the moment, 1/day."""
    cumulative: FloatArray
    """(H, M · 12) and (H,): of each event's part in them, and of its worth in the background map."""
    worths: FloatArray
    widths_km2: FloatArray
    """(H, M + 1)"""
    stretches: FloatArray
    powers: FloatArray
    """(M + 1,)"""
    places: FloatArray
    directions: FloatArray
    depths_km: FloatArray
    tree: cKDTree | None
    """Of the positions."""
    magnitude_of_completeness: float
    step: float
    """What magnitudes are rounded to; 0: not at all."""
    area_km2: float
    factors: Factors | None = None
    """By which the CNN's map re-weights where events come; None: as they are."""

    @property
    def silence_days(self) -> float:
        """From the last event to the moment."""
        return -float(self.days[-1]) if len(self.days) else 0.0


@torch.no_grad()
def history_of(network: SpaceTimeNetwork, pattern: PointPattern, background: float) -> History:
    """Make a pattern ready; of no event is anything used that came after it.

    Raises:
        Problem: the model knows no places.
    """
    timing, place = network.timing, require_place(network).eval()
    rows = rows_of([pattern], timing.architecture.reach)
    weights, after = timing.weights(rows).numpy()[1:], timing.excitation(rows)
    everywhere = torch.full((len(rows.waits),), background, dtype=torch.float64)
    hours = torch.from_numpy(np.concatenate(([0.0], local_hours(pattern)))) if timing.architecture.hours else None
    told = timing.memory.scaler(memory_inputs(rows, after, everywhere, timing.kernels.taus, hours))
    features, reach = rows.neighbourhoods[1:], network.architecture.place_reach
    study = place_data(place, pattern, features, weights, background, len(pattern), reach)
    kernels = kernels_of(place, study, len(pattern)).numpy()
    return History(
        network, pattern, background, weights, after.numpy(), told, features, kernels, study.setting.places, study.setting.directions
    )


def start_at(history: History, moment: Instant) -> Start:
    """The state at a moment: of the events before it."""
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
        excitation=history.after[count],
        traces=_traces(days, pattern.excesses),
        told=history.told[count],
        hidden=hidden,
        cell=cell,
        sums=rates.sum(0),
        cumulative=np.cumsum(rates, 0),
        worths=np.cumsum(np.exp(kernels.log_background_weights) * slow),
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
    """(M, hidden) twice: the LSTM's state after a row."""
    told = history.told[None, max(row - WARM_UP, 0) : row + 1]
    states = [layer(told)[1] for layer in history.network.timing.memory.layers]
    return torch.cat([hidden[0] for hidden, _ in states]), torch.cat([cell[0] for _, cell in states])


def _traces(days: FloatArray, excesses: FloatArray) -> FloatArray:
    """(taus, a) Σ exp(a x) exp(−lag/τ)/τ just after the last event."""
    if not len(days):
        return np.zeros((TAU_COUNT, POWER_COUNT))
    taus = TRACE_TAUS_DAYS
    fading = np.exp((days - days[-1])[:, None] / taus) / taus  # (H, taus)
    traces: FloatArray = fading.T @ np.exp(excesses[:, None] * TRACE_PRODUCTIVITIES)
    return traces
