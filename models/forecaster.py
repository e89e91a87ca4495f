"""The bridge to the stream: the `stream.forecast.Forecaster` protocol fulfilled by the LSTM.

    memory (bytes) = float64 | features.SIZE | hidden | cell | that of the baselines beside it |

One step has one fixed shape, runs in float64 on one thread, and depends on its arguments alone (see `models.live`).
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ingest.event import Event
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.region import Region
from models import artifact, features
from models.baselines.live import LiveBaselines
from models.distributions import LONGEST_WAIT_DAYS, MagnitudeDistribution, WaitDistribution
from models.live import LiveNetwork
from models.lstm import EventLstm, magnitude_of, wait_of
from stream.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES, Hazard, Magnitude, Outlook, Wait, rounded

FloatArray = NDArray[np.float64]

HOURS_PER_DAY = 24.0
REMEMBERED = 256
"""Memories whose expectations are kept at hand: while a region is silent, only the silence changes."""
SIGNIFICANT_CHANGE = 0.1
"""P(event within a day) has moved enough to be said again."""
_MINUTES_TO_REISSUE = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0])
_AHEAD_DAYS = _MINUTES_TO_REISSUE / (60.0 * HOURS_PER_DAY)
_HORIZON_DAYS = np.array(list(HORIZONS_HOURS.values())) / HOURS_PER_DAY
_ASKED_DAYS = np.concatenate((_AHEAD_DAYS, _AHEAD_DAYS + 1.0, _HORIZON_DAYS))
"""The first is zero: now."""
_QUANTILES = np.array(QUANTILES)
_QUANTILE_NAMES = tuple(f"{probability:g}" for probability in QUANTILES)
_MAGNITUDE_NAMES = tuple(f"{magnitude:g}" for magnitude in MAGNITUDES)


class LstmForecaster:
    """A trained `EventLstm` behind the protocol `stream.forecast.Forecaster`."""

    def __init__(self, network: EventLstm, name: str, baselines: LiveBaselines | None = None) -> None:
        torch.set_num_threads(1)
        self._network = network.double().eval()
        self._live = LiveNetwork(self._network)
        self._name = name
        self._baselines = baselines or LiveBaselines.load()
        self._hidden = network.architecture.hidden
        self._components = network.architecture.components
        nothing, before = features.start(), np.zeros(self._hidden)
        hidden, cell = self._live.step(features.inputs(nothing), before, before)  # the row before any event is a step, too
        own = np.concatenate((nothing, hidden, cell)).tobytes()
        self._own_bytes = len(own)
        self._start = own + self._baselines.start()
        self._rate = float(network.gutenberg_richter_rate)
        self._expected = lru_cache(maxsize=REMEMBERED)(self._expect)
        self._asked = lru_cache(maxsize=REMEMBERED)(self._ask)

    @classmethod
    def load(cls, folder: Path | None = None) -> LstmForecaster:
        """The forecaster of an artefact's folder; without one, the built-in weights.

        Raises:
            Problem: no artefact there, or a damaged one.
        """
        network, card = artifact.read(folder)
        return cls(network, f"lstm-{card.weights_sha256[:12]}")

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
        return self._start

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        vector = np.frombuffer(memory[: self._own_bytes])
        advanced = features.advance(vector[: features.SIZE], event, region.magnitude_of_completeness)
        hidden, cell = vector[features.SIZE :].reshape(2, self._hidden)
        hidden, cell = self._live.step(features.inputs(advanced), hidden, cell)
        return np.concatenate((advanced, hidden, cell)).tobytes() + self._baselines.observe(memory[self._own_bytes :], event, region)

    def outlook(self, memory: bytes, region: Region, now: Instant) -> Outlook:
        said, due_after_minutes = _wait(*self._asked(memory, region, now))
        return Outlook(said, self._expected(memory, region)[1], now.plus(seconds=60.0 * due_after_minutes))

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        (_, tail, density), (_, later_tail, later_density) = self._asked(memory, region, since), self._asked(memory, region, until)
        log_rate, days = float(density[0] - tail[0]), (until - since) / MILLISECONDS_PER_DAY
        if np.frombuffer(memory)[features.COUNT]:
            own = Hazard(max(float(tail[0] - later_tail[0]), 0.0), log_rate, float(later_density[0] - later_tail[0]))
        else:  # silence that nothing has begun
            own = Hazard(math.exp(log_rate) * days, log_rate, log_rate)
        return (own, *self._baselines.hazards(memory[self._own_bytes :], region, since, until))

    def _ask(self, memory: bytes, region: Region, now: Instant) -> tuple[WaitDistribution[FloatArray], FloatArray, FloatArray]:
        """The wait from now on, its ln P(X > asked) and ln density there, (16,) each.

        Kept, for an outlook and the hazards before and after it ask the same.
        """
        wait = self._expected(memory, region)[0].after(_silence_days(memory, now))
        return wait, *wait.log_tail_and_density(_ASKED_DAYS)

    def _expect(self, memory: bytes, region: Region) -> tuple[WaitDistribution[FloatArray], Magnitude]:
        """What does not change while nothing happens."""
        wait, magnitude = self.distributions(memory, region)
        half_bin = features.half_bin(np.frombuffer(memory))
        return wait, _magnitude(magnitude, region.magnitude_of_completeness, half_bin)

    def distributions(self, memory: bytes, region: Region) -> tuple[WaitDistribution[FloatArray], MagnitudeDistribution[FloatArray]]:
        """What the memory expects, from the last event on: the wait (days) and the excess magnitude."""
        vector = np.frombuffer(memory)
        hidden = vector[features.SIZE : features.SIZE + self._hidden]
        outputs = self._live.head(features.inputs(vector[: features.SIZE]), hidden)  # (outputs,)
        wait = wait_of(outputs, vector[features.CENTRE], self._components)
        return wait, magnitude_of(outputs, region.magnitude_of_completeness, self._rate)


def _silence_days(memory: bytes, now: Instant) -> float:
    """How long ago the last event was; 0 before any."""
    vector = np.frombuffer(memory)
    return max(int(now) - float(vector[features.TIME]), 0.0) / MILLISECONDS_PER_DAY if vector[features.COUNT] else 0.0


def _wait(wait: WaitDistribution[FloatArray], log_tail: FloatArray, log_density: FloatArray) -> tuple[Wait, float]:
    """When, and in how many minutes to say so again; the two arrays at `_ASKED_DAYS`, (6 + 6 + 4,) each."""
    steps = len(_AHEAD_DAYS)
    ahead, day_on, horizons = log_tail[:steps], log_tail[steps : 2 * steps], log_tail[2 * steps :] - log_tail[0]
    hazard = math.exp(log_density[0] - log_tail[0])
    quantiles = np.minimum(wait.quantile(_QUANTILES), LONGEST_WAIT_DAYS) * HOURS_PER_DAY
    named = dict(zip(_QUANTILE_NAMES, map(rounded, quantiles.tolist()), strict=True))
    within = dict(zip(HORIZONS_HOURS, map(rounded, (-np.expm1(horizons)).tolist()), strict=True))
    within_a_day = -np.expm1(day_on - ahead)  # (6,) P(event within a day | silence until then)
    moved = np.flatnonzero(np.abs(within_a_day - within_a_day[0]) >= SIGNIFICANT_CHANGE)
    due_after_minutes = float(_MINUTES_TO_REISSUE[moved[0]]) if len(moved) else 60.0
    return Wait(named["0.5"], named, within, rounded(hazard)), due_after_minutes


def _magnitude(magnitude: MagnitudeDistribution[FloatArray], magnitude_of_completeness: float, half_bin: float) -> Magnitude:
    """How large; magnitudes as the catalogue rounds them, so half a bin is taken off again."""
    quantiles = magnitude_of_completeness - half_bin + magnitude.quantile(_QUANTILES)
    named = dict(zip(_QUANTILE_NAMES, map(rounded, quantiles.tolist()), strict=True))
    survival = magnitude.survival(np.array(MAGNITUDES) - magnitude_of_completeness)
    at_least = dict(zip(_MAGNITUDE_NAMES, map(rounded, survival.tolist()), strict=True))
    return Magnitude(named["0.5"], named, at_least)
