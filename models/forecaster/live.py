"""The space–time network in the stream: `LstmForecaster` implements `stream.core.Forecaster`.

    memory (bytes) = | state of `models.timing.live`, float64 | state of the live baselines, float64 | maps of `models.cnn.live` |

A step has a fixed shape, runs in float64 on one thread, and depends on its arguments alone (see `models.timing.live`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region
from models.artifact import read_forecaster
from models.baselines import LiveBaselines, excess_of
from models.catalog import half_bin_of
from models.cnn import LiveFactors, LiveMaps, event_increment, reweight_rates
from models.forecaster.exceedance import LiveExceedance
from models.magnitude import LiveMagnitude, quantiles_and_survival
from models.numerics import FloatArray, degrees_of
from models.space_time import SpaceTimeNetwork
from models.timing import (
    BACKGROUND,
    COUNT,
    EXCITATION,
    LONGEST_WAIT_DAYS,
    RING_EXCESS,
    RING_POSITION,
    RING_WEIGHTS,
    TAUS_DAYS,
    TIME,
    InterEventTime,
    LiveTiming,
    event_rates,
    lags_days,
    silence_days,
)
from stream.core import Expectation, Hazard
from stream.records import HORIZONS_HOURS, MAGNITUDES, QUANTILES, Exceedance, Magnitude, Spot, Wait, Where, rounded

HOURS_PER_DAY = 24.0
MILLISECONDS_PER_HOUR = 3_600_000
CACHED_MEMORIES = 256
"""Number of memories whose waits are cached: while a region is silent, only the silence changes."""
SIGNIFICANT_CHANGE = 0.1
"""The forecast is reissued once P(event within a day) has changed by so much."""
SPOT_DEGREES = 0.5
MOST_SPOTS = 5
_COLUMNS = 1_000.0
_MINUTES_TO_REISSUE = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
_AHEAD_DAYS = _MINUTES_TO_REISSUE / (60.0 * HOURS_PER_DAY)
_HORIZON_DAYS = np.array(list(HORIZONS_HOURS.values())) / HOURS_PER_DAY
_EVALUATED_DAYS = np.concatenate((_AHEAD_DAYS, _AHEAD_DAYS + 1.0, _HORIZON_DAYS))
"""Moments from now at which the wait is evaluated; the first is 0."""
_QUANTILES = np.array(QUANTILES)
_MEDIAN = slice(2, 3)
_QUANTILE_NAMES = tuple(f"{probability:g}" for probability in QUANTILES)
_MAGNITUDES = np.array(MAGNITUDES)
_MAGNITUDE_NAMES = tuple(f"{magnitude:g}" for magnitude in MAGNITUDES)


class LstmForecaster:
    """A trained `SpaceTimeNetwork`, with or without a CNN over maps, as a `stream.core.Forecaster`.

    Args:
        network: times, magnitudes and perhaps places.
        name: of the network, with the CNN's if there is one.
        baselines: scored beside it; None: the built-in fit.
        maps: the CNN that re-weights places; None: places by the kernels alone.
    """

    def __init__(self, network: SpaceTimeNetwork, name: str, baselines: LiveBaselines | None = None, maps: LiveMaps | None = None) -> None:
        torch.set_num_threads(1)
        self._name, self._maps = name, maps
        self._baselines = baselines or LiveBaselines.load()
        timing = network.timing
        self._timing = LiveTiming(timing)
        self._magnitude = LiveMagnitude(network.magnitude, min(network.architecture.magnitude_reach, timing.architecture.reach))
        productivity = timing.kernels.log_productivity.detach().double().exp().mean(0).numpy()
        self._exceedance = LiveExceedance(productivity, float(network.magnitude.gutenberg_richter_rate))
        self._background_of = timing.background_of
        self._own_bytes = 8 * self._timing.size
        self._maps_from = self._own_bytes + len(self._baselines.start())
        self._waits = lru_cache(maxsize=CACHED_MEMORIES)(self._wait_of)
        self._wait_from = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_wait_from)
        self._factors = lru_cache(maxsize=CACHED_MEMORIES)(self._compute_factors)

    @classmethod
    def load(cls, folder: Path | None = None) -> LstmForecaster:
        """Load the forecaster from an artefact's folder, without a CNN; without a folder, the built-in weights.

        Raises:
            Problem: the artefact is missing or damaged.
        """
        network, card = read_forecaster(folder)
        return cls(network, card.name)

    @property
    def name(self) -> str:
        return self._name

    @property
    def rivals(self) -> tuple[str, ...]:
        return self._baselines.rivals

    @property
    def basis(self) -> str:
        return f"{self._name}+{self._baselines.basis}"

    def start(self, region: Region) -> bytes:
        background = self._background_of(region.id)
        memory = self._timing.start(background).tobytes() + self._baselines.start()
        return memory if self._maps is None else memory + self._maps.start(region.id)

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        excess = excess_of(event, region)
        own = self._timing.advance(self.past(memory), int(event.time), event.latitude, event.longitude, excess)
        after = own.tobytes() + self._baselines.observe(memory[self._own_bytes : self._maps_from], event, region)
        if self._maps is None:
            return after
        increment = event_increment(
            self._timing.ring(own)[-1][RING_WEIGHTS], excess, math.nan if event.depth_km is None else event.depth_km
        )
        place = (int(event.time), event.latitude, event.longitude)
        return after + self._maps.observe(memory[self._maps_from :], region.id, place, increment, float(own[BACKGROUND]))

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        wait, log_tail, log_density = self._wait_from(memory, now)
        quantiles = np.minimum(wait.quantile(_QUANTILES), LONGEST_WAIT_DAYS)
        wait_record, due_after_minutes = _wait_record(quantiles, log_tail, log_density)
        ring = self._timing.ring(self.past(memory))
        due_at = now.plus(seconds=60.0 * due_after_minutes)
        where = _where_record(ring, *self._rates(memory, ring, wait, region, now))
        magnitude = self._magnitudes(ring, region, now, quantiles[_MEDIAN])
        return Expectation(wait_record, magnitude, due_at, where, self._large_events(memory, region, now))

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        (_, tail, density), (_, later_tail, later_density) = self._wait_from(memory, since), self._wait_from(memory, until)
        log_rate, days = float(density[0] - tail[0]), (until - since) / MILLISECONDS_PER_DAY
        if self.past(memory)[COUNT]:
            own = Hazard(max(float(tail[0] - later_tail[0]), 0.0), log_rate, float(later_density[0] - later_tail[0]))
        else:  # before the first event the rate is constant
            own = Hazard(math.exp(log_rate) * days, log_rate, log_rate)
        return (own, *self._baselines.hazards(memory[self._own_bytes : self._maps_from], region, since, until))

    def past(self, memory: bytes) -> FloatArray:
        """Return the state of `models.timing.live` in a memory, (size,), read only."""
        return np.frombuffer(memory, count=self._timing.size)

    def _wait_of(self, memory: bytes) -> InterEventTime[FloatArray]:
        """Return the wait after the last event, which does not change while no event arrives."""
        return self._timing.wait(self.past(memory))

    def _compute_wait_from(self, memory: bytes, now: Instant) -> tuple[InterEventTime[FloatArray], FloatArray, FloatArray]:
        """Return the wait from now on, and its ln P(X > x) and ln density at `_EVALUATED_DAYS`, (16,) each.

        It is cached, because a forecast and the hazards before and after it need the same.
        """
        wait = self._waits(memory).given_silence(silence_days(self.past(memory), now))
        return wait, *wait.log_tail_and_density(_EVALUATED_DAYS)

    def _large_events(self, memory: bytes, region: Region, now: Instant) -> Exceedance:
        """Return the probabilities of large events by the excitation now, and their ratio to those by the Poisson baseline's rate."""
        past = self.past(memory)
        excitation = past[EXCITATION] * np.exp(-silence_days(past, now) / TAUS_DAYS)
        long_run = self._baselines.hazards(memory[self._own_bytes : self._maps_from], region, now, now.plus(days=1.0))[0].expected_events
        return self._exceedance.exceedance(excitation, float(past[BACKGROUND]), long_run, region.magnitude_of_completeness)

    def _rates(
        self, memory: bytes, ring: FloatArray, wait: InterEventTime[FloatArray], region: Region, now: Instant
    ) -> tuple[FloatArray, float]:
        """Return the rate that each event of the ring adds, (n,), and the region's whole rate, 1/day, both with a CNN's factors."""
        rates, rate = event_rates(ring, now), float(wait.kernel_rate(0.0))
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

    def _magnitudes(self, ring: FloatArray, region: Region, now: Instant, ahead_days: FloatArray) -> Magnitude:
        """Return the forecast of the magnitude. The law begins half a rounding bin below completeness, so half a bin is subtracted."""
        completeness = region.magnitude_of_completeness
        half_bin = half_bin_of(ring[:, RING_EXCESS] + completeness)
        distribution = self._magnitude.distribution(lags_days(ring, now), ring[:, RING_EXCESS], ahead_days, completeness)
        quantiles, survival = quantiles_and_survival(distribution, _QUANTILES, np.maximum(_MAGNITUDES - completeness, 0.0))
        named = dict(zip(_QUANTILE_NAMES, map(rounded, (completeness - half_bin + quantiles).tolist()), strict=True))
        return Magnitude(named["0.5"], named, dict(zip(_MAGNITUDE_NAMES, map(rounded, survival.tolist()), strict=True)))


def _wait_record(quantiles_days: FloatArray, log_tail: FloatArray, log_density: FloatArray) -> tuple[Wait, float]:
    """Return the forecast of the wait, and the minutes after which it is reissued.

    Args:
        quantiles_days: (QUANTILES,) of the wait.
        log_tail, log_density: at `_EVALUATED_DAYS`, (6 + 6 + 4,) each.
    """
    steps = len(_AHEAD_DAYS)
    ahead, day_on, horizons = log_tail[:steps], log_tail[steps : 2 * steps], log_tail[2 * steps :] - log_tail[0]
    hazard = math.exp(log_density[0] - log_tail[0])
    named = dict(zip(_QUANTILE_NAMES, map(rounded, (quantiles_days * HOURS_PER_DAY).tolist()), strict=True))
    within = dict(zip(HORIZONS_HOURS, map(rounded, (-np.expm1(horizons)).tolist()), strict=True))
    within_a_day = -np.expm1(day_on - ahead)  # (6,) P(event within a day | silence until then)
    changed = np.flatnonzero(np.abs(within_a_day - within_a_day[0]) >= SIGNIFICANT_CHANGE)
    due_after_minutes = float(_MINUTES_TO_REISSUE[changed[0]]) if len(changed) else 60.0
    return Wait(named["0.5"], named, within, rounded(hazard)), due_after_minutes


def _where_record(ring: FloatArray, rates: FloatArray, total: float) -> Where:
    """Return the cells whose recent events have the largest shares of the rate; the rest may be anywhere in the region.

    Args:
        ring: (n, RING_COLUMNS) of recent events.
        rates: (n,) the rate that each adds, events per day.
        total: the region's whole rate, events per day.
    """
    latitudes, longitudes = degrees_of(ring[:, RING_POSITION])
    rows = np.minimum(np.floor(latitudes / SPOT_DEGREES), 90.0 / SPOT_DEGREES - 1.0)  # the pole belongs to the cell below
    columns = np.minimum(np.floor(longitudes / SPOT_DEGREES), 180.0 / SPOT_DEGREES - 1.0)
    cells, number = np.unique(rows * _COLUMNS + columns, return_inverse=True)
    shares = np.bincount(number, rates, len(cells)) / total
    largest = [int(cell) for cell in np.argsort(-shares, kind="stable")[:MOST_SPOTS] if shares[cell] > 0.0]
    first = [int(np.flatnonzero(number == cell)[0]) for cell in largest]
    middles = [((rows[n] + 0.5) * SPOT_DEGREES, (columns[n] + 0.5) * SPOT_DEGREES) for n in first]
    spots = [
        Spot(float(latitude), float(longitude), rounded(float(shares[cell])))
        for cell, (latitude, longitude) in zip(largest, middles, strict=True)
    ]
    return Where(spots, rounded(max(1.0 - sum(spot.probability for spot in spots), 0.0)))
