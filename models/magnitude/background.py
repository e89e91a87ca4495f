"""The magnitudes of background events: from M 5 on as frequent as the long-run rate of their region says.

An event is background with probability μ/λ, else earlier events triggered it. The network's law of the excess, with P(x ≥ X) = S(X), is
that of all events. It knows the last months of a region, and of its large earthquakes hardly any; a century of catalogues has them. So a
background event of a region with ν(m) events of M ≥ m a day in the long run has

    P(M ≥ m) = f ν(m)/μ  for M 6 and 7,      P(M ≥ 5) = √(f ν(5)/μ · S(5 − Mc)),

ln P linear in m between and beyond them, and below M 5 the density of the network times (1 − P(M ≥ 5)) / (1 − S(5 − Mc)). f is
`BACKGROUND_SHARE`: the other large events follow earlier ones. At M 5 both have something to say: the long-run rate tells on how many days
such an event comes, the network how many of a region's events are so large.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ingest.region import Region
from models.baselines import LARGE_MAGNITUDES, LongRunRates
from models.magnitude.distribution import DetectedMagnitude
from models.numerics import FloatArray, compiled

BACKGROUND_SHARE = 0.45
"""f. Of 0.3, 0.35 … 0.6 it has the largest log score of M ≥ 5 and of M ≥ 6 within a day, from June 2022 to June 2023."""


CLOSE, SMALLEST = 1e-9, 1e-300
DAYS_PER_YEAR = 365.25
MOST_LARGE = 0.99
"""Where the network has larger shares of large events, all background events are drawn as large: hardly a small one would be found."""


class BackgroundTail(NamedTuple):
    """The large magnitudes of one region's background events."""

    excesses: FloatArray
    """(L,) of the large magnitudes, ascending, above 0."""
    reaching: FloatArray
    """(L,) f ν/μ, at most 1: P(an event is at least so large)."""

    @classmethod
    def of_region(cls, rates: LongRunRates, region: Region, background: float) -> BackgroundTail | None:
        """Return the tail of a region with a background of μ events per day; None for a region that was not fitted."""
        per_year = rates.of(region)
        if per_year is None:
            return None
        excesses = (np.array(LARGE_MAGNITUDES) - region.magnitude_of_completeness).round(6)
        return cls.of_rates(excesses, np.array(per_year) / DAYS_PER_YEAR, background)

    @classmethod
    def of_rates(cls, excesses: FloatArray, per_day: FloatArray, background: float) -> BackgroundTail:
        """Return the tail of a region.

        Args:
            excesses: (L,) of the large magnitudes.
            per_day: (L,) ν, the long-run rate of events of at least that magnitude, 1/day.
            background: μ, events per day.
        """
        return cls(excesses, np.minimum(BACKGROUND_SHARE * per_day / background, 1.0))

    def survival(self, excesses: FloatArray, of_network: FloatArray) -> FloatArray:
        """Return P(x ≥ excess) of a background event, (..., E); it falls from 1.

        Args:
            excesses: (E,) that of the first large magnitude must be among them.
            of_network: (..., E) S, the same by the network.
        """
        rows = np.ascontiguousarray(of_network).reshape(-1, len(excesses))
        survival: FloatArray = _survival(excesses, rows, self.excesses, self.reaching).reshape(of_network.shape)
        return survival

    def sample(self, law: DetectedMagnitude[FloatArray], rng: np.random.Generator) -> FloatArray:
        """Draw the excess of one background event for each law of the network, (P,)."""
        by_network = law.survival(self.excesses[0])  # (P,)
        first, excesses = self._first(by_network), law.sample(rng)
        is_large = (rng.random(len(excesses)) < first) | (by_network > MOST_LARGE)
        while len(again := np.flatnonzero(~is_large & (excesses >= self.excesses[0]))):
            excesses[again] = law.of_rows(again).sample(rng)
        excesses[is_large] = self._sample_large(first[is_large], rng)
        return excesses

    def _sample_large(self, first: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw excesses from the tail, (P,): −ln P(x ≥ excess | x is large) is exponential, and linear along each piece."""
        left, excesses = rng.exponential(size=len(first)), np.full(len(first), self.excesses[0])
        rates = -self._slopes(first[:, None])
        for piece, width in enumerate(self._widths.tolist()):
            step = np.minimum(left / rates[:, piece], width)
            left, excesses = left - step * rates[:, piece], excesses + step
        return excesses

    def _first(self, by_network: FloatArray) -> FloatArray:
        """Return P(x ≥ the first of the large magnitudes) of a background event from that by the network, (...)."""
        first: FloatArray = np.sqrt(self.reaching[0] * np.maximum(by_network, SMALLEST))
        return first

    @property
    def _widths(self) -> FloatArray:
        """Return the lengths of the pieces on which ln P is linear, (L − 1,); the last has no end."""
        return np.append(np.diff(self.excesses)[:-1], np.inf)

    def _slopes(self, first: FloatArray) -> FloatArray:
        """Return the slope of ln P on each piece, (..., L − 1); each large magnitude is at most half as probable as the one before.

        Args:
            first: (..., 1) P(x ≥ the first of them).
        """
        log_reaching = [np.log(first)]
        for reaching in self.reaching[1:].tolist():
            log_reaching.append(np.minimum(math.log(reaching), log_reaching[-1] - math.log(2.0)))
        slopes: FloatArray = np.diff(np.concatenate(log_reaching, -1)) / np.diff(self.excesses)
        return slopes


# Below the first of the large magnitudes the density of the network by one factor; from there ln P falls along straight pieces, whose
# slopes are those of `BackgroundTail._slopes`.
@compiled
def _survival(excesses: FloatArray, of_network: FloatArray, large: FloatArray, reaching: FloatArray) -> FloatArray:
    survival, log_reaching, nearest = np.empty(of_network.shape), np.empty(len(large)), np.abs(excesses - large[0]).argmin()
    for n in range(len(of_network)):
        at_first = of_network[n, nearest]
        first = math.sqrt(reaching[0] * max(at_first, SMALLEST))
        log_reaching[0] = math.log(first)
        for piece in range(1, len(large)):
            log_reaching[piece] = min(math.log(reaching[piece]), log_reaching[piece - 1] - math.log(2.0))
        factor = (1.0 - first) / max(1.0 - at_first, SMALLEST)
        for e in range(len(excesses)):
            if excesses[e] < large[0] - CLOSE:
                survival[n, e] = 1.0 - (1.0 - of_network[n, e]) * factor
                continue
            piece = 0
            while piece < len(large) - 2 and excesses[e] > large[piece + 1]:
                piece += 1
            slope = (log_reaching[piece + 1] - log_reaching[piece]) / (large[piece + 1] - large[piece])
            survival[n, e] = math.exp(log_reaching[piece] + slope * (excesses[e] - large[piece]))
    return survival


class TwoParts(NamedTuple):
    """The magnitudes of P events, each of which is background with a probability."""

    law: DetectedMagnitude[FloatArray]
    """(P,) by the network: of triggered events."""
    tail: BackgroundTail | None
    """Of background events; None: they have the same law."""
    background_share: FloatArray
    """(P,)."""

    def survival_at_each(self, excesses: FloatArray) -> FloatArray:
        """Return P(x ≥ excess) for every pair of an event and an excess, (L,) -> (P, L)."""
        if self.tail is None:
            return self.law.survival_at_each(excesses)
        evaluated, share = np.append(excesses, self.tail.excesses[0]), self.background_share[:, None]
        of_network = self.law.survival_at_each(evaluated)
        return ((1.0 - share) * of_network + share * self.tail.survival(evaluated, of_network))[:, :-1]

    def sample(self, rng: np.random.Generator) -> FloatArray:
        """Draw one excess for each event, (P,)."""
        excesses = self.law.sample(rng)
        if self.tail is not None:
            background = np.flatnonzero(rng.random(len(excesses)) < self.background_share)
            excesses[background] = self.tail.sample(self.law.of_rows(background), rng)
        return excesses
