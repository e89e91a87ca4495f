"""The productivity of large events as a distribution: a sequence shows within hours whether it is rich or poor.

Mainshocks of one magnitude differ in their numbers of aftershocks by more than the Poisson law allows, nearly exponentially among the
largest. So an event of an excess of `LARGE_EXCESS` or more excites by z w_k instead of w_k, with z from a Gamma law of mean 1. With its own
rate z λ_L(t), its count Λ_L(t), and shape κ and rate β of the law of z, the prediction averages over z:

    E[λ | silence] = κ λ_L(t) / (β + Λ_L(t))        −ln P(no event until t) = κ ln(1 + Λ_L(t)/β)

While no event comes, β ← β + Λ_L. An event comes from it with probability p = E[z] λ_L / λ, so the law becomes the mixture of Gamma(κ, β)
and Gamma(κ + 1, β) with weights 1 − p and p; it is replaced by the Gamma law of the same mean and variance:

    m = κ + p        v = m + p (1 − p)        κ ← m²/v        β ← β m/v

(an assumed-density filter: Minka 2001, UAI, 362–369; z is the frailty of survival analysis). Up to `SLOTS` large events are followed. When
another comes, the one that is expected to bring the fewest more events keeps its mean, and takes part in the rest from then on.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from models.numerics import FloatArray, IntArray, compiled, exp, expm1, log1p
from models.timing.excitation import KERNELS, TAUS_DAYS, decays_of

LARGE_EXCESS = 2.0
"""The excess from which an event's productivity is a distribution."""
SLOTS = 4
"""The number of large events that are followed at a time."""
LARGEST_LOG_FACTOR = 5.0
LARGEST_LOG_SHAPE = 3.0
_TOLERANCE = 1e-9


class LargeEvents(NamedTuple):
    """The large events that are followed, in S slots; an empty one excites nothing."""

    excitation: Any
    """(..., S, 12) what they add to the excitation where z = 1, just after the last event, 1/day."""
    shape: Any
    """(..., S) κ of the law of z."""
    rate: Any
    """(..., S) β."""

    @property
    def means(self) -> Any:
        """(..., S) E[z]."""
        return self.shape / self.rate

    @property
    def mean_excitation(self) -> Any:
        """(..., 12) what they are expected to add to the excitation."""
        return (self.excitation * self.means[..., None]).sum(-2)

    def clock(self, since: Any, taus: Any) -> Any:
        """Return −ln P(none of their events within `since` days), Σ κ ln(1 + Λ/β): (...) -> (...)."""
        return (self.shape * log1p(self._expected(since, taus) / self.rate)).sum(-1)

    def intensity(self, since: Any, taus: Any) -> Any:
        """Return the rate after `since` days of silence, Σ κ λ/(β + Λ), events per day: (...) -> (...)."""
        own = (self.excitation * exp(-since[..., None, None] / taus)).sum(-1)
        return (self.shape * own / (self.rate + self._expected(since, taus))).sum(-1)

    def of_rows(self, rows: Any) -> LargeEvents:
        """Return those of some rows, along the first axis."""
        return LargeEvents(*(part[rows] for part in self))

    def widened(self) -> LargeEvents:
        """Return them with an axis of length 1 that several times of one row broadcast against."""
        return LargeEvents(self.excitation[..., None, :, :], self.shape[..., None, :], self.rate[..., None, :])

    def after_silence(self, waits_days: Any) -> LargeEvents:
        """Return them after a silence, (...) days."""
        grown = self.rate + self._expected(np.asarray(waits_days), TAUS_DAYS)
        return LargeEvents(self.excitation * decays_of(waits_days)[..., None, :], self.shape, grown)

    def after_event(self, others: Any) -> LargeEvents:
        """Return them after an event that came at their moment; `others`: (...) the rate of all else, events per day."""
        own = self.excitation.sum(-1) * self.means  # (..., S)
        probability = own / (others + own.sum(-1))[..., None]
        mean = self.shape + probability
        variance = mean + probability * (1.0 - probability)
        return LargeEvents(self.excitation, mean * mean / variance, self.rate * mean / variance)

    def _expected(self, since: Any, taus: Any) -> Any:
        """Return Λ of each slot where z = 1, (..., S)."""
        return -(self.excitation * taus * expm1(-since[..., None, None] / taus)).sum(-1)


def no_large_events(*shape: int) -> LargeEvents:
    """Return empty slots, of the leading dimensions."""
    return LargeEvents(np.zeros((*shape, SLOTS, KERNELS)), np.ones((*shape, SLOTS)), np.ones((*shape, SLOTS)))


def is_large(excesses: FloatArray) -> Any:
    """Return whether the productivity of events of these excesses is a distribution."""
    return excesses >= LARGE_EXCESS - _TOLERANCE


def large_factors(excesses: Any, log_factors: Any) -> Any:
    """Return the factors of the plain weights: (...) -> (..., 12), 1 for events that are not large.

    Args:
        log_factors: (2, 12) ln of the factors at `LARGE_EXCESS`, and how much it grows with each magnitude above.
    """
    beyond = (excesses - LARGE_EXCESS)[..., None]
    large = beyond > -_TOLERANCE
    return exp(((log_factors[0] + beyond * log_factors[1]) * large).clip(-LARGEST_LOG_FACTOR, LARGEST_LOG_FACTOR))


def kept_corrections(excesses: Any, corrections: Any, share: Any) -> Any:
    """Return the logarithms of the networks' corrections, those of large events times `share`: (...), (..., 12) -> (..., 12)."""
    return corrections * (1.0 + (share - 1.0) * is_large(excesses))[..., None]


def large_shapes(excesses: Any, log_shape: Any) -> Any:
    """Return κ of the law of z of large events: (...) -> (...); `log_shape`: (2,) as the factors of `large_factors`."""
    return exp((log_shape[0] + (excesses - LARGE_EXCESS).clip(0.0) * log_shape[1]).clip(-LARGEST_LOG_SHAPE, LARGEST_LOG_SHAPE))


def admit(
    large: LargeEvents, rest: FloatArray, weights: FloatArray, excesses: FloatArray, shapes: FloatArray
) -> tuple[LargeEvents, FloatArray, IntArray]:
    """Take one event of each of P paths among the large events or into the rest.

    Args:
        large: (P, S) at the event's moment.
        rest: (P, 12) the excitation of all else, 1/day.
        weights: (P, 12) of the event, the mean of the law.
        excesses: (P,)
        shapes: (P,) of the law of z.

    Returns:
        The large events, the rest, and the slot of each event, (P,), −1 where it takes part in the rest.
    """
    jumps = weights / TAUS_DAYS
    left = (large.excitation * TAUS_DAYS).sum(-1) * large.means  # (P, S)
    slots = left.argmin(-1)
    rows = np.flatnonzero(is_large(excesses) & (weights.sum(-1) >= left[np.arange(len(left)), slots]))
    others, chosen = np.setdiff1d(np.arange(len(left)), rows), slots[rows]
    after, excitation, shape, rate = rest.copy(), large.excitation.copy(), large.shape.copy(), large.rate.copy()
    after[others] += jumps[others]
    after[rows] += excitation[rows, chosen] * large.means[rows, chosen][:, None]
    excitation[rows, chosen], shape[rows, chosen], rate[rows, chosen] = jumps[rows], shapes[rows], shapes[rows]
    taken = np.full(len(left), -1)
    taken[rows] = chosen
    return LargeEvents(excitation, shape, rate), after, taken


class Followed(NamedTuple):
    """The excitation just after each of R rows, in two parts."""

    rest: FloatArray
    """(R, 12) of the events whose productivity is known or was taken as its mean, 1/day."""
    large: LargeEvents | None
    """(R) None: no productivity is a distribution."""

    @property
    def mean_excitation(self) -> FloatArray:
        """(R, 12) of all events, the large ones at their expected productivity."""
        excitation: FloatArray = self.rest if self.large is None else self.rest + self.large.mean_excitation
        return excitation

    def of_rows(self, rows: Any) -> Followed:
        """Return the excitation after some of the rows."""
        return Followed(self.rest[rows], None if self.large is None else self.large.of_rows(rows))


def follow_stepwise(
    weights: FloatArray, waits_days: FloatArray, excesses: FloatArray, shapes: FloatArray, background: FloatArray
) -> Followed:
    """Return what `follow` returns, row by row without a compiler."""
    rest, large, rows = np.zeros((1, KERNELS)), no_large_events(1), list[tuple[FloatArray, LargeEvents]]()
    for row, wait in enumerate(waits_days.tolist()):
        if math.isinf(wait):
            rest, large = np.zeros((1, KERNELS)), no_large_events(1)
        else:
            rest, large = rest * decays_of(wait), large.after_silence(np.array([wait]))
            large = large.after_event(background[row] + rest.sum(-1))
            event = slice(row, row + 1)
            large, rest, _ = admit(large, rest, weights[event], excesses[event], shapes[event])
        rows.append((rest, large))
    return Followed(
        np.concatenate([rest for rest, _ in rows]),
        LargeEvents(*(np.concatenate(part) for part in zip(*(large for _, large in rows), strict=True))),
    )


def follow(
    weights: FloatArray, waits_days: FloatArray, excesses: FloatArray, shapes: FloatArray, background: FloatArray, others: FloatArray
) -> Followed:
    """Return the excitation just after each of R rows of patterns end to end.

    It is the compiled form of `follow_stepwise`, which knows of no others; a test holds them equal.

    Args:
        weights: (R, 12), 0 in a pattern's first row.
        waits_days: (R,) since the row before; infinite in a pattern's first row.
        shapes: (R,) of the law of z.
        background: (R,) μ, events per day.
        others: (R, 12) the excitation just after each row by what is not among the events, 1/day.
    """
    everything_else = background + others.sum(1)
    parts = _follow(weights / TAUS_DAYS, waits_days, is_large(excesses), shapes, everything_else, TAUS_DAYS)
    return Followed(parts[0] + others, LargeEvents(*parts[1:]))


# One pass forward in time. The slots of a row are those of the row before after the wait (`wait_in_slots`), updated by the probability that
# the row's event was theirs (`attribute_event`), and then, if the event is large, with the event in the place of the weakest.
@compiled
def _follow(
    jumps: FloatArray, waits: FloatArray, large: FloatArray, shapes: FloatArray, others: FloatArray, taus: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    count, kernels = jumps.shape
    rest, excitation = np.zeros((count, kernels)), np.zeros((count, SLOTS, kernels))
    shape, rate = np.ones((count, SLOTS)), np.ones((count, SLOTS))
    for i in range(count):
        if not np.isfinite(waits[i]):
            continue
        rest[i] = rest[i - 1] * np.exp(-waits[i] / taus)
        shape[i] = shape[i - 1]
        wait_in_slots(excitation[i - 1], rate[i - 1], excitation[i], rate[i], waits[i], taus)
        weakest, left = attribute_event(excitation[i], shape[i], rate[i], others[i] + rest[i].sum(), taus)
        if large[i] and (jumps[i] * taus).sum() >= left:
            rest[i] += excitation[i, weakest] * (shape[i, weakest] / rate[i, weakest])
            excitation[i, weakest] = jumps[i]
            shape[i, weakest], rate[i, weakest] = shapes[i], shapes[i]
        else:
            rest[i] += jumps[i]
    return rest, excitation, shape, rate


@compiled
def wait_in_slots(
    excitation: FloatArray, rate: FloatArray, excitation_after: FloatArray, rate_after: FloatArray, wait: float, taus: FloatArray
) -> None:
    """Fill in the slots after a wait, the excitation decayed, β grown by Λ; the arrays after it may be those before it."""
    for s in range(len(rate)):
        rate_after[s] = rate[s] - (excitation[s] * taus * np.expm1(-wait / taus)).sum()
        excitation_after[s] = excitation[s] * np.exp(-wait / taus)


@compiled
def attribute_event(excitation: FloatArray, shape: FloatArray, rate: FloatArray, others: float, taus: FloatArray) -> tuple[int, float]:
    """Update κ and β in place by an event; return the slot that is expected to bring the fewest more events, and that number."""
    own = np.empty(len(rate))
    for s in range(len(rate)):
        own[s] = excitation[s].sum() * shape[s] / rate[s]
    total, weakest, fewest = others + own.sum(), 0, np.inf
    for s in range(len(rate)):
        probability = own[s] / total
        mean = shape[s] + probability
        variance = mean + probability * (1.0 - probability)
        shape[s], rate[s] = mean * mean / variance, rate[s] * mean / variance
        left = (excitation[s] * taus).sum() * shape[s] / rate[s]
        if left < fewest:
            weakest, fewest = s, left
    return weakest, fewest
