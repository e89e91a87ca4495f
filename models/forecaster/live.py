"""The space–time network in the stream: `LstmForecaster` implements `stream.core.Forecaster`.

    memory (bytes) = | state of `models.timing.live_state`, float64 | state of the live baselines, float64 | maps of `models.cnn.live` |

A step has a fixed shape, runs in float64 on one thread, and depends on its arguments alone (see `models.timing.live`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region, RegionTable
from models.architecture import SpaceTimeArchitecture
from models.artifact import read_trained_forecaster
from models.baselines import LiveBaselines, excess_of, read_rates
from models.catalog import half_bin_of
from models.cnn import LiveFactors, LiveMaps, event_increments, reweight_rates
from models.forecaster.cell_law import CellLaw, NearCells, cell_law, near_cells
from models.forecaster.exceedance import INTERVAL_ENDS_DAYS, MOMENTS_DAYS, Coming, LiveExceedance, by_interval_and_bin, excess_bins
from models.forecaster.long_run import RegionalLongRun
from models.forecaster.spots import RegionalPlaces, where_record
from models.forecaster.wait_record import EVALUATED_DAYS, INTERVAL_ENDS, QUANTILE_NAMES, EvaluatedWait, evaluated, wait_record
from models.magnitude import LiveMagnitude, quantiles_and_survival, survival_at_each
from models.numerics import FloatArray, Trained, degrees_of
from models.timing import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    MOST_STRAY,
    RING_EXCESS,
    RING_POSITION,
    TAUS_DAYS,
    TIME,
    InterEventTime,
    LiveTiming,
    PlainKernels,
    expected_events,
    kernel_rate_ahead,
    lags_days,
    silence_days,
    wait_quantiles,
)
from stream.core import Expectation, Hazard
from stream.records import MAGNITUDES, QUANTILES, Exceedance, Magnitude, rounded

MILLISECONDS_PER_HOUR = 3_600_000
CACHED_MEMORIES = 256
"""Number of memories whose waits are cached: while a region is silent, only the silence changes."""
_QUANTILES = np.array(QUANTILES)
_MEDIAN = slice(2, 3)
_MAGNITUDES = np.array(MAGNITUDES)
_MAGNITUDE_NAMES = tuple(f"{magnitude:g}" for magnitude in MAGNITUDES)


class LstmForecaster:
    """A trained `SpaceTimeNetwork`, with or without a CNN over maps, as a `stream.core.Forecaster`; it needs no torch.

    Args:
        trained: times, magnitudes and perhaps places.
        name: of the network, with the CNN's if there is one.
        baselines: scored beside it; None: the built-in fit.
        maps: the CNN that re-weights places; None: places by the kernels alone.
        table: the shapes of the regions, for the long-run map; None: places near recent events alone.
    """

    def __init__(
        self,
        trained: Trained[SpaceTimeArchitecture],
        name: str,
        baselines: LiveBaselines | None = None,
        maps: LiveMaps | None = None,
        table: RegionTable | None = None,
    ) -> None:
        self._name, self._maps = name, maps
        self._baselines = baselines or LiveBaselines.load()
        architecture, timing = trained.architecture, Trained(trained.architecture.timing, trained.weights.part("timing"))
        self._timing = LiveTiming(timing)
        self._magnitude = LiveMagnitude(trained.weights.part("magnitude"), min(architecture.magnitude_reach, architecture.timing.reach))
        self._exceedance = LiveExceedance(PlainKernels.of(timing), self._magnitude.average)
        self._long_run, self._places = RegionalLongRun(read_rates()), RegionalPlaces(table)
        self._own_bytes = 8 * self._timing.size
        self._maps_from = self._own_bytes + len(self._baselines.start())
        self._waits = lru_cache(maxsize=CACHED_MEMORIES)(self._wait_of)
        self._wait_from = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_wait_from)
        self._wait_ahead = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_wait_ahead) if self.source_depth else self._wait_from
        self._factors = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_factors)
        self._near = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_near)

    @classmethod
    def load(cls, folder: Path | None = None, table: RegionTable | None = None) -> LstmForecaster:
        """Load the forecaster from an artefact's folder, without a CNN; without a folder, the built-in weights.

        Raises:
            Problem: the artefact is missing or damaged.
        """
        trained, card = read_trained_forecaster(folder)
        return cls(trained, card.name, table=table)

    @property
    def name(self) -> str:
        return self._name

    @property
    def rivals(self) -> tuple[str, ...]:
        return self._baselines.rivals

    @property
    def basis(self) -> str:
        return f"{self._name}+{self._baselines.basis}+stray-{MOST_STRAY:g}"

    @property
    def source_depth(self) -> float:
        return self._timing.source_depth

    def start(self, region: Region) -> bytes:
        background = self._timing.background_of(region.id)
        memory = self._timing.start(background).tobytes() + self._baselines.start()
        return memory if self._maps is None else memory + self._maps.start(region.id)

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        return self.fold(memory, (event,), region, (0,))[0]

    def fold(self, memory: bytes, events: Sequence[Event], region: Region, keep: Sequence[int]) -> list[bytes]:
        rows = np.array([(int(event.time), event.latitude, event.longitude, _signed_excess(event, region)) for event in events])
        positions, background = np.array(keep, np.int64), float(self.past(memory)[BACKGROUND])
        states, weights = self._timing.fold(self.past(memory), rows, positions)
        rivals = self._baselines.fold(memory[self._own_bytes : self._maps_from], rows, region, positions)
        own = [state.tobytes() + rival for state, rival in zip(states, rivals, strict=True)]
        if self._maps is None:
            return own
        depths = np.array([math.nan if event.depth_km is None else event.depth_km for event in events])
        increments = event_increments(weights, rows[:, 3], depths)
        maps = self._maps.fold(memory[self._maps_from :], region.id, rows, increments, background, positions)
        return [one + other for one, other in zip(own, maps, strict=True)]

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        """Return what is expected, with the sources that may come; a hazard, which holds while nothing comes, is without them."""
        wait, row, log_tail, log_density = self._wait_ahead(memory, now)
        quantiles = wait_quantiles(row, _QUANTILES)
        next_event, due_after_minutes = wait_record(quantiles, log_tail[: INTERVAL_ENDS.start], log_density)
        ring = self._timing.ring(self.past(memory))
        due_at = now.plus(seconds=60.0 * due_after_minutes)
        where = where_record(self._law_of_places(memory, ring, kernel_rate_ahead(row, 0.0), region, now))
        next_by = -np.expm1(log_tail[INTERVAL_ENDS] - log_tail[0])
        share = float(self.past(memory)[BACKGROUND]) / kernel_rate_ahead(row, float(quantiles[_MEDIAN][0]))
        magnitude, reaching = self._magnitudes(memory, ring, region, now, share, quantiles[_MEDIAN])
        return Expectation(next_event, magnitude, due_at, where, self._large_events(memory, wait, region, now, next_by, reaching))

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        (*_, tail, density), (*_, later_tail, later_density) = self._wait_from(memory, since), self._wait_from(memory, until)
        log_rate, days = float(density[0] - tail[0]), (until - since) / MILLISECONDS_PER_DAY
        if self.past(memory)[COUNT]:
            own = Hazard(max(float(tail[0] - later_tail[0]), 0.0), log_rate, float(later_density[0] - later_tail[0]))
        else:  # before the first event the rate is constant
            own = Hazard(math.exp(log_rate) * days, log_rate, log_rate)
        return (own, *self._baselines.hazards(memory[self._own_bytes : self._maps_from], region, since, until))

    def past(self, memory: bytes) -> FloatArray:
        """Return the state of `models.timing.live_state` in a memory, (size,), read only."""
        return np.frombuffer(memory, count=self._timing.size)

    def _wait_of(self, memory: bytes) -> InterEventTime[FloatArray]:
        """Return the wait after the last event, which does not change while no event arrives."""
        return self._timing.wait(self.past(memory))

    def _compute_wait_from(self, memory: bytes, now: Instant) -> EvaluatedWait:
        """Return the wait from now on, evaluated at `EVALUATED_DAYS`; with sources only now.

        It is cached, because a forecast and the hazards before and after it need the same; with sources hazards alone need it.
        """
        wait = self._waits(memory).given_silence(silence_days(self.past(memory), now))
        return evaluated(wait, EVALUATED_DAYS[:1] if self.source_depth else EVALUATED_DAYS)

    def _compute_wait_ahead(self, memory: bytes, now: Instant) -> EvaluatedWait:
        """Return the same with the sources that are expected to come."""
        return evaluated(self._timing.expect_sources(self._wait_from(memory, now).wait, self.past(memory)), EVALUATED_DAYS)

    def _large_events(
        self, memory: bytes, wait: InterEventTime[FloatArray], region: Region, now: Instant, next_by: FloatArray, next_reaching: FloatArray
    ) -> Exceedance:
        """Return the probabilities of large events, and their ratio to those by the region's long-run rate.

        For magnitudes and regions without one it is the Poisson baseline's rate of all events times the average P(x ≥ X).

        Args:
            next_by, next_reaching: as in `Coming`.
        """
        past, completeness = self.past(memory), region.magnitude_of_completeness
        ring, silence, large = self._timing.ring(past), np.float64(silence_days(past, now)), self._timing.large_events(past)
        background, bins = float(past[BACKGROUND]), excess_bins(completeness)
        triggered = self._triggered(wait, past, silence)
        magnitudes = self._magnitude.distribution(lags_days(ring, now), ring[:, RING_EXCESS], MOMENTS_DAYS, completeness)
        reaching, tail = survival_at_each(magnitudes, bins), self._long_run.tail(region, background)
        of_background = reaching if tail is None else tail.survival(bins, reaching)
        others = by_interval_and_bin(triggered, reaching) + by_interval_and_bin(background * INTERVAL_ENDS_DAYS, of_background)
        poisson = self._baselines.hazards(memory[self._own_bytes : self._maps_from], region, now, now.plus(days=1.0))[0].expected_events
        long_run = self._long_run.per_day(region, poisson * self._exceedance.average_reaching(completeness))
        coming = Coming(next_by, next_reaching, others, None if large is None else large.after_silence(silence), reaching)
        return self._exceedance.exceedance(coming, long_run, completeness)

    def _triggered(self, wait: InterEventTime[FloatArray], past: FloatArray, silence: np.float64) -> FloatArray:
        """Return the events that the past and the sources to come are expected to bring until each of `INTERVAL_ENDS_DAYS`, (T + 1,)."""
        if not self.source_depth:
            excitation, background, taus = past[EXCITATION] * np.exp(-silence / TAUS_DAYS), 0.0, TAUS_DAYS
        else:  # the background of the wait's law holds what the background's sources bring
            excitation, background, taus = wait.excitation, float(wait.background - past[BACKGROUND]), wait.taus
        triggered: FloatArray = expected_events(excitation, background, INTERVAL_ENDS_DAYS, taus)
        return triggered

    def _law_of_places(self, memory: bytes, ring: FloatArray, rate: float, region: Region, now: Instant) -> CellLaw:
        rates, total = self._rates(memory, ring, rate, region, now)
        return cell_law(self._near(memory, region), rates, total, self._places.long_run(region.id), self._places.weights(region).long_run)

    def _compute_near(self, memory: bytes, region: Region) -> NearCells:
        return near_cells(self._timing.ring(self.past(memory)), self._places.weights(region))

    def _rates(self, memory: bytes, ring: FloatArray, rate: float, region: Region, now: Instant) -> tuple[FloatArray, float]:
        """Return the rate that each event of the ring adds, (n,), and the region's whole rate, 1/day, both with a CNN's factors."""
        rates = self._timing.ring_rates(self.past(memory), now)
        background = float(self.past(memory)[BACKGROUND])
        factors = self._factors(memory[self._maps_from :], region.id, self._map_moment(memory, now), background)
        if factors is None:
            return rates, rate
        return reweight_rates(factors, *degrees_of(ring[:, RING_POSITION]), lags_days(ring, now), rates, rate, background)

    def _map_moment(self, memory: bytes, now: Instant) -> int:
        """Return the moment whose maps are used, ms: that of the last event, then 1, 2, 4 … hours after it, since they change no faster."""
        last = int(self.past(memory)[TIME])
        hours = max(int(now) - last, 0) // MILLISECONDS_PER_HOUR
        return last + (MILLISECONDS_PER_HOUR << (hours.bit_length() - 1) if hours else 0)

    def _compute_factors(self, packed: bytes, region: str, moment_ms: int, background: float) -> LiveFactors | None:
        return None if self._maps is None else self._maps.factors(packed, region, moment_ms, background)

    def _magnitudes(
        self, memory: bytes, ring: FloatArray, region: Region, now: Instant, background_share: float, ahead_days: FloatArray
    ) -> tuple[Magnitude, FloatArray]:
        """Return the forecast of the magnitude, and P(the excess is at least) each of `excess_bins`.

        The law begins half a rounding bin below completeness, so half a bin is subtracted.

        Args:
            background_share: μ/λ at the moment of the event.
            ahead_days: (1,) that moment.
        """
        completeness = region.magnitude_of_completeness
        half_bin = half_bin_of(ring[:, RING_EXCESS] + completeness)
        distribution = self._magnitude.distribution(lags_days(ring, now), ring[:, RING_EXCESS], ahead_days, completeness)
        excesses = np.concatenate((np.maximum(_MAGNITUDES - completeness, 0.0).round(6), excess_bins(completeness)))
        tail = self._long_run.tail(region, float(self.past(memory)[BACKGROUND]))
        quantiles, survival = quantiles_and_survival(distribution, _QUANTILES, excesses, tail, background_share)
        named = dict(zip(QUANTILE_NAMES, map(rounded, (completeness - half_bin + quantiles).tolist()), strict=True))
        at_least = dict(zip(_MAGNITUDE_NAMES, map(rounded, survival[: len(_MAGNITUDES)].tolist()), strict=True))
        return Magnitude(named["0.5"], named, at_least), survival[len(_MAGNITUDES) :]


def _signed_excess(event: Event, region: Region) -> float:
    """Return the magnitude above completeness, as `excess_of`; below 0 that of a source."""
    above = (event.magnitude or 0.0) - region.magnitude_of_completeness
    return above if above < 0.0 else excess_of(event, region)
