"""The forecaster as one model: p(event) = p(wait) · p(place | moment) · p(magnitude | moment, place), scored as any other.

Its rate λ(t) and its places come from the same kernels; the memory (LSTM) corrects the waits, a network of its own the magnitudes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.baselines.gutenberg_richter import common_step
from models.catalog.point_pattern import Pattern, Span
from models.magnitude.catalog_features import magnitude_features
from models.magnitude.features import DEFAULT_REACH
from models.magnitude.network import HIDDEN, MagnitudeNetwork
from models.place.density import place_log_prob
from models.place.network import PlaceArchitecture, PlaceNetwork
from models.scoring.scored_model import Outcomes
from models.timing import excitation as hawkes
from models.timing.inter_event_time import RescaledWait
from models.timing.networks import Architecture, KernelNetwork, MemoryNetwork, local_hours, memory_inputs, wait_of
from models.timing.sequence_rows import Intervals, Rows, intervals_of, rows_of

if TYPE_CHECKING:
    from models.cnn.network import MapNetwork

FloatArray = NDArray[np.float64]

SMALLEST_BACKGROUND_PER_DAY = 1e-5
_AT_ONCE = 512
_HALF = np.array([0.5])


class TimingNetwork(nn.Module):
    """Kernels and memory: when."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.kernels = KernelNetwork(architecture)
        self.memory = MemoryNetwork(architecture)

    @torch.no_grad()
    def weights(self, rows: Rows) -> torch.Tensor:
        """(R, 12) events that each row's event is expected to bring, by kernel."""
        excesses, surroundings, comes = map(torch.from_numpy, (rows.excesses, rows.neighbourhoods, rows.comes))
        weights: torch.Tensor = self.kernels(excesses, surroundings) * comes[:, None]
        return weights

    @torch.no_grad()
    def excitation(self, rows: Rows) -> torch.Tensor:
        """(R, 12) just after each row."""
        jumps = self.weights(rows) / self.kernels.taus
        after: torch.Tensor = hawkes.Excitation.apply(jumps[None], torch.from_numpy(hawkes.decays_of(rows.waits)))[0]
        return after

    def background(self, region: str) -> float | None:
        """μ, events per day, of a region that it was trained on."""
        regions = self.architecture.regions
        return float(self.kernels.background.detach()[regions.index(region)]) if region in regions else None

    @torch.no_grad()
    def waits(self, pattern: Pattern, background: float) -> RescaledWait[FloatArray]:
        """The wait after each of the pattern's N + 1 rows, the memory run from the pattern's beginning."""
        rows = rows_of([pattern], self.architecture.reach)
        after, everywhere = self.excitation(rows), torch.full((len(rows.waits),), background, dtype=torch.float64)
        hours = torch.from_numpy(np.concatenate(([0.0], local_hours(pattern)))) if self.architecture.hours else None
        inputs = self.memory.scaler(memory_inputs(rows, after, everywhere, self.kernels.taus, hours))
        outputs = self.memory(inputs[None])[:, 0]  # (M, R, 3 K)
        return wait_of(outputs.numpy(), after.numpy(), everywhere.numpy(), self.kernels.taus.numpy())

    def fit_background(self, pattern: Pattern, span: Span) -> float:
        """μ of a catalogue that it was not trained on, by maximum likelihood on a span before the one to be forecast, the kernels given.

        Sets ∂/∂μ (Σ ln λ − Λ) = Σ 1/λ − T to zero by bisection in ln μ.
        """
        known = pattern.before(span.end)
        part, after = intervals_of(known, span), self.excitation(rows_of([known], self.architecture.reach)).numpy()
        came = part.rows[part.comes]
        triggered = hawkes.rate(after[came], 0.0, (part.elapsed_days + part.waits_days)[part.comes], hawkes.TAUS_DAYS)  # (I,)
        days = float(part.waits_days.sum())
        low, high = math.log(SMALLEST_BACKGROUND_PER_DAY), math.log(max(len(came) / max(days, 1.0), 10.0 * SMALLEST_BACKGROUND_PER_DAY))
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if (1.0 / (math.exp(middle) + triggered)).sum() > days else (low, middle)
        return math.exp(0.5 * (low + high))


def waits_at(waits: RescaledWait[FloatArray], rows: NDArray[np.int64], elapsed_days: FloatArray) -> RescaledWait[FloatArray]:
    """The waits after some of the rows, `elapsed_days` on."""
    parts = (waits.log_exponential, waits.log_weights, waits.means, waits.log_sigmas)
    log_exponential, log_weights, means, log_sigmas = (part[rows] for part in parts)
    after, background = waits.after[rows], waits.background[rows]
    return RescaledWait(after, background, waits.taus, log_exponential, log_weights, means, log_sigmas, elapsed_days)


class SpaceTimeArchitecture(msgspec.Struct, frozen=True):
    """The sizes of the whole."""

    timing: Architecture
    magnitude_hidden: int = HIDDEN
    magnitude_reach: int = DEFAULT_REACH
    neighbour_reach: int | None = None
    """How many events back the nearest are looked for; None: all."""
    place: PlaceArchitecture | None = None
    place_reach: int | None = None


class SpaceTimeNetwork(nn.Module):
    """When, how large, and (if it was trained for that) where."""

    def __init__(self, architecture: SpaceTimeArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.timing = TimingNetwork(architecture.timing).double()
        self.magnitude = MagnitudeNetwork(architecture.magnitude_hidden)
        self.place = None if architecture.place is None else PlaceNetwork(architecture.place)


class SpaceTimeModel:
    """The network behind the protocol `models.scoring.scored_model.Model`."""

    def __init__(self, network: SpaceTimeNetwork, name: str, region: str | None = None, maps: MapNetwork | None = None) -> None:
        self._network, self._name, self._region, self._maps = network.eval(), name, region, maps

    @property
    def name(self) -> str:
        return self._name

    def outcomes(self, pattern: Pattern, span: Span) -> Outcomes:
        known = pattern.before(span.end)
        background = self.background(known, span)
        told: dict[str, Any] = time_outcomes(self._network.timing, known, span, background) | self._magnitudes(known, span)
        return Outcomes(place_log_prob=self._places(known, span, background), **told)

    def background(self, pattern: Pattern, span: Span) -> float:
        """μ: the region's that it was trained on (there may be one only); else that of the history before the span."""
        timing = self._network.timing
        regions = timing.architecture.regions
        trained = timing.background(regions[0] if len(regions) == 1 else self._region or "")
        return timing.fit_background(pattern, Span(pattern.observed.start, span.start)) if trained is None else trained

    def _places(self, pattern: Pattern, span: Span, background: float) -> FloatArray:
        network, architecture = self._network, self._network.architecture
        if network.place is None:
            return np.full(pattern.rows(span).stop - pattern.rows(span).start, np.nan)
        if self._maps is not None:
            from models.cnn.density import map_log_prob  # which rests on the networks here

            return map_log_prob(network, self._maps, pattern, span, self._region or "", background)
        rows = rows_of([pattern], architecture.timing.reach)
        weights = network.timing.weights(rows)[1:].numpy()
        return place_log_prob(network.place, pattern, span, rows.neighbourhoods[1:], weights, background, architecture.place_reach)

    def _magnitudes(self, pattern: Pattern, span: Span) -> dict[str, FloatArray]:
        """Given the moment and the place; the probability integral transform is randomised within the rounding bin.

        The law begins half a step below completeness; the step is that of the magnitudes before the span.
        """
        architecture, network = self._network.architecture, self._network.magnitude
        rows = pattern.rows(span)
        half_bin = common_step(pattern.magnitudes[: rows.start]) / 2.0 if rows.start else 0.0
        features = magnitude_features(pattern, architecture.magnitude_reach, architecture.neighbour_reach)[rows]
        law = network.distribution(features, pattern.magnitude_of_completeness)
        excesses = pattern.excesses[rows] + half_bin
        within_bin = np.random.default_rng(0).uniform(-half_bin, half_bin, len(excesses))
        median = law.quantile(_HALF)[:, 0] - half_bin + pattern.magnitude_of_completeness
        return {
            "magnitude_log_prob": law.log_prob(excesses),
            "magnitude_pit": 1.0 - law.survival(np.maximum(excesses + within_bin, 0.0)),
            "median_magnitude": median,
        }


def time_outcomes(network: TimingNetwork, pattern: Pattern, span: Span, background: float) -> dict[str, Any]:
    """The fields of `Outcomes` that speak of time."""
    known = pattern.before(span.end)
    waits, part = network.waits(known, background), intervals_of(known, span)
    pieces = [_piece(waits, part, slice(low, low + _AT_ONCE)) for low in range(0, len(part.rows), _AT_ONCE)]
    density, survival, median = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return {
        "time_log_prob": density[:-1],
        "survival_log_prob": float(survival[-1]),
        "time_pit": -np.expm1(survival[:-1]),
        "median_wait_days": median[:-1],
    }


def _piece(waits: RescaledWait[FloatArray], part: Intervals, piece: slice) -> tuple[FloatArray, FloatArray, FloatArray]:
    wait = waits_at(waits, part.rows[piece], part.elapsed_days[piece])
    lasted = part.waits_days[piece]
    return wait.log_prob(lasted), wait.log_survival(lasted), wait.quantile(_HALF)[:, 0]
