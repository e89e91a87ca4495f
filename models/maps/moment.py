"""What the networks say of a region at the moment for which maps are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY, Instant
from models.magnitude import BackgroundTail, DetectedMagnitude, TwoParts
from models.maps.expected_numbers import Yields, yields
from models.numerics import FloatArray
from models.simulation import EXCESS_STEP, History, Start, magnitudes_after, productivity_table, start_at, typical_surroundings
from models.timing import TAUS_DAYS

LONGEST_LAW_DAYS = 30.0
"""The law of magnitudes is taken in the middle of a horizon, but not later than this."""


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
        table = productivity_table(self.history.network.timing, typical_surroundings(self.history, self.count)).weights  # (G, 12)
        edges = EXCESS_STEP * (np.arange(len(table)) - 0.5)
        reaching = self._law(LONGEST_LAW_DAYS).survival_at_each(np.maximum(edges, 0.0))[0]  # (G,)
        return yields(np.einsum("g,gk->k", -np.diff(reaching, append=0.0), table), horizons_days)

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
