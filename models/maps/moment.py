"""What the networks say of a region at the moment for which maps are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.baselines import LARGEST_EXCESS
from models.magnitude import BackgroundTail, DetectedMagnitude, TwoParts
from models.maps.expected_numbers import Yields, yields
from models.numerics import FloatArray
from models.simulation import EXCESS_STEP, History, Productivity, Start, magnitudes_after, productivity_table, start_at
from models.timing import EVENT_FEATURES, TAUS_DAYS

LONGEST_LAW_DAYS = 30.0
"""The law of magnitudes is taken in the middle of a horizon, but not later than this."""
LARGEST_RATIO = 0.9
"""The largest number of events that follow one event directly, on average."""
SURROUNDINGS = 128
LONGEST_SPAN_DAYS = 1_000.0


@dataclass(frozen=True)
class MapMoment:
    """A history, and a moment within it or at its end: only the events before the moment are used."""

    history: History
    now: Instant
    tail: BackgroundTail | None = None
    """The large magnitudes of background events; None: they have the law of all others."""

    @cached_property
    def count(self) -> int:
        """The number of events before the moment, N."""
        return int(np.searchsorted(self.history.pattern.times, int(self.now)))

    @cached_property
    def lags_days(self) -> FloatArray:
        """(N,) from each event to the moment."""
        return (int(self.now) - self.history.pattern.times[: self.count]) / MILLISECONDS_PER_DAY

    @cached_property
    def excitation(self) -> FloatArray:
        """(12,) of the timing network at the moment, 1/day; large events with their expected productivity."""
        followed = self.history.followed.of_rows(slice(self.count, self.count + 1)).mean_excitation[0]
        silence = self.lags_days[-1] if self.count else 0.0
        return np.asarray(followed * np.exp(-silence / TAUS_DAYS))

    @cached_property
    def start(self) -> Start:
        """The same moment as simulated paths begin from it."""
        return start_at(self.history, self.now)

    def yields(self, horizons_days: tuple[float, ...]) -> Yields:
        """Return what background and excitation bring within each horizon."""
        return yields(self.offspring, horizons_days)

    @property
    def offspring(self) -> FloatArray:
        """(12,) by kernel: the events that an event of unknown size is expected to trigger."""
        return np.asarray(np.einsum("g,gk->k", self._probabilities, self.productivity.weights))

    @cached_property
    def productivity(self) -> Productivity:
        """What an event triggers, by its excess.

        Half of the surroundings are those of the last events, half those at even times of the last years: descendants come first in the
        sequence that goes on now, later in the region as it usually is. Where an event would be followed by more than `LARGEST_RATIO` on
        average, all are reduced: a mean has to exist.
        """
        table = productivity_table(self.history.network.timing, self._surroundings)
        ratio = float(np.einsum("g,gk->", self._probabilities, table.weights))
        return table._replace(weights=table.weights * min(1.0, LARGEST_RATIO / ratio))

    @cached_property
    def _probabilities(self) -> FloatArray:
        """(G,) of the excesses of `productivity`, when nothing hides small events any more."""
        edges = np.maximum(EXCESS_STEP * (np.arange(round(LARGEST_EXCESS / EXCESS_STEP) + 1) - 0.5), 0.0)
        return np.asarray(-np.diff(self._law(LONGEST_LAW_DAYS).survival_at_each(edges)[0], append=0.0))

    @property
    def _surroundings(self) -> FloatArray:
        """Return the features of events that are typical for those to come, (S, EVENT_FEATURES)."""
        features = self.history.timing.event_features[: self.count]
        if not self.count:
            return np.zeros((1, EVENT_FEATURES))
        lags = np.linspace(min(float(self.lags_days[0]), LONGEST_SPAN_DAYS), 0.0, SURROUNDINGS)
        rows = np.maximum(np.searchsorted(-self.lags_days, -lags, side="right") - 1, 0)
        return np.concatenate((features[-SURROUNDINGS:], features[rows]))

    def reaching(self, magnitudes: tuple[float, ...], horizons_days: tuple[float, ...], background_shares: FloatArray) -> FloatArray:
        """Return P(M ≥ m) of an event within each horizon, (H, B).

        Args:
            magnitudes: (B,) m.
            background_shares: (H,) the probability that an event is background.
        """
        excesses = np.array(magnitudes) - self.history.pattern.magnitude_of_completeness
        laws = [self._law(min(0.5 * days, LONGEST_LAW_DAYS)) for days in horizons_days]
        pairs = zip(laws, background_shares, strict=True)
        return np.concatenate([TwoParts(law, self.tail, np.array([share])).survival_at_each(excesses) for law, share in pairs])

    def _law(self, days: float) -> DetectedMagnitude[FloatArray]:
        """Return the law of magnitudes after so many days without an event, (1,)."""
        return magnitudes_after(self.history, self.start, days).law
