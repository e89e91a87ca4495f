"""The probability of a large earthquake within a span, aftershocks of aftershocks included: from the law of `wait` and `magnitude`.

The next event comes by the forecast's own law: its time T as in `models.timing.inter_event_time`, its excess x as in `models.magnitude`.
Then the kernels carry on: other events come at the rate λ(s) = μ + Σ_k S_k e^(−s/τ_k) that the events so far leave at a time s from now,
with excesses by the law that `models.magnitude` has for that moment. An event at s of excess x leads to one of X or more before h with
probability

    r(x, h − s) = 1 if x ≥ X, else 1 − exp(−Σ_k w_k(x) u_k(h − s))
    u_k' = (q − u_k)/τ_k,   q = 1 − E[1(x < X) exp(−Σ_j w_j(x) u_j)],   u(0) = 0

(u is the transform of Errais, Giesecke & Goldberg 2010, SIAM J. Financial Math. 1, 642–665, prop. 2.1, for Hawkes processes with
exponential kernels). With q₁ = E[r(x, h − t)] over the next event's excess and q(s) = E[r(x, h − s)] over those of the others,

    P(M ≥ Mc + X within h) = ∫₀ʰ (1 − (1 − q₁(t)) exp(−∫ₜʰ λ(s) q(s) ds)) dP(T ≤ t)

computed as a sum over intervals of time, each with r in its middle; every span ends an interval. r lies in [0, 1], rises with h and falls
with X. So the sum lies between P(T ≤ h) P(x ≥ X) and P(T ≤ h), and is in order in h and X, however wide the intervals are:
`exceedance` cannot contradict `wait` or `magnitude`. r does not depend on the state, so it is solved once for each completeness.

Events so far have the weights that the network gave them. Future events have weights by magnitude alone, and those that they trigger
average magnitudes: there an outlook, which rolls the whole network forward, differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from models.magnitude import DetectedMagnitude
from models.numerics import FloatArray, IntArray, compiled
from models.timing import KERNELS, TAUS_DAYS, LargeEvents, PlainKernels
from stream.records import HORIZONS_HOURS, MAGNITUDES, Exceedance, rounded

FIRST_STEP_DAYS = 1e-5
STEPS = 400
FIRST_INTERVAL_DAYS, INTERVALS = 1e-4, 48
BIN = 0.1
"""Width of the bins of an event's excess."""
_HORIZONS_DAYS = np.array(list(HORIZONS_HOURS.values())) / 24.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
INTERVAL_ENDS_DAYS = np.unique(np.concatenate(([0.0], np.geomspace(FIRST_INTERVAL_DAYS, _HORIZONS_DAYS.max(), INTERVALS), _HORIZONS_DAYS)))
"""(T + 1,) the ends of the T intervals in which events may come."""
_MIDDLES_DAYS = 0.5 * (INTERVAL_ENDS_DAYS[1:] + INTERVAL_ENDS_DAYS[:-1])
MOMENTS_DAYS = np.array([0.002, 0.01, 0.05, 0.25, 1.0, 4.0, 15.0])
"""(A,) the moments at which the law of magnitudes is evaluated; an interval has that of the nearest moment, in ln."""
_NEAREST = np.abs(np.log(_MIDDLES_DAYS[:, None] / MOMENTS_DAYS)).argmin(1)

Law = DetectedMagnitude[FloatArray]


class Coming(NamedTuple):
    """The events that may come, by the state of a region."""

    next_by: FloatArray
    """(T + 1,) P(the next event has come) at `INTERVAL_ENDS_DAYS`."""
    next_reaching: FloatArray
    """(B,) P(the excess of the next event is at least) each of `excess_bins`."""
    others: FloatArray
    """(T, B) the events expected in each interval by the kernels of the events so far, by bin of their excess."""
    large: LargeEvents | None = None
    """The large events at the state's moment, whose events `others` leaves out; None: there are none."""
    large_reaching: FloatArray | None = None
    """(A, B) P(the excess of an event of theirs is at least) each of `excess_bins`, at each of `MOMENTS_DAYS`."""


class LiveExceedance:
    """The exceedance of one network, from its plain kernels and its law of magnitudes."""

    def __init__(self, kernels: PlainKernels, average_law: Callable[[float], Law]) -> None:
        """Take what a solution needs of the network; solutions are cached by completeness.

        Args:
            kernels: what events trigger by their magnitude alone.
            average_law: returns the average law of the excess, (1,), for a completeness.
        """
        self._kernels, self._average_law = kernels, average_law
        self._cached_solve = lru_cache(maxsize=64)(self._solve)

    def exceedance(self, coming: Coming, long_run_rates: FloatArray, magnitude_of_completeness: float) -> Exceedance:
        """Return P(an event of each magnitude within each span), and its ratio to the long-run probability.

        Args:
            long_run_rates: (X,) of events at or above each magnitude from completeness on, events per day.
            magnitude_of_completeness: smaller magnitudes are left out.
        """
        leading, _ = self._cached_solve(magnitude_of_completeness)
        large, large_masses = LargeEvents(np.zeros((0, KERNELS)), np.zeros(0), np.zeros(0)), np.zeros((0, 0))
        if coming.large is not None and coming.large_reaching is not None:
            large, large_masses = coming.large, _masses(coming.large_reaching)[_NEAREST]
        arrays = (coming.others, _masses(coming.next_reaching), coming.next_by, large_masses, *large, TAUS_DAYS, INTERVAL_ENDS_DAYS)
        parts: list[Any] = [np.array(array, order="C") for array in arrays]
        probability = _lead(leading, *parts)
        long_run = -np.expm1(-long_run_rates[:, None] * _HORIZONS_DAYS)
        magnitudes = magnitudes_from(magnitude_of_completeness)
        return Exceedance(_by_name(magnitudes, probability), _by_name(magnitudes, probability / long_run))

    def average_reaching(self, magnitude_of_completeness: float) -> FloatArray:
        """Return P(an event reaches) each magnitude from completeness on by the average law, (X,)."""
        return self._cached_solve(magnitude_of_completeness)[1]

    def _solve(self, magnitude_of_completeness: float) -> tuple[FloatArray, FloatArray]:
        """Return r of an event in each interval, (X, H, B, T), 0 beyond the span, and the average P(x ≥ X), (X,)."""
        excesses, bins = _excesses_of(magnitude_of_completeness), excess_bins(magnitude_of_completeness)
        law = self._average_law(magnitude_of_completeness)
        left = _HORIZONS_DAYS[:, None] - _MIDDLES_DAYS  # (H, T)
        lags, number = np.unique(np.maximum(left, 0.0), return_inverse=True)
        solved = solve(self._kernels, law, excesses, lags[1:])
        u = np.insert(solved, 0, 0.0, axis=1)[:, number.reshape(left.shape)]  # a lag of 0 comes first
        middles = bins + 0.5 * np.diff(bins, append=bins[-1])  # (B,)
        triggering = -np.expm1(-self._kernels.cumulant(middles, np.einsum("xhtk,bk->xhtb", u, self._kernels.offspring(middles))))
        leading = np.where(bins >= excesses[:, None, None, None], 1.0, triggering) * (left > 0.0)[..., None]
        return np.ascontiguousarray(leading.transpose(0, 1, 3, 2)), law.survival(excesses[:, None])[:, 0]


@lru_cache(maxsize=256)
def excess_bins(magnitude_of_completeness: float) -> FloatArray:
    """Return the lower ends of the bins of an event's excess, (B,) ascending from 0; each magnitude begins one."""
    excesses = _excesses_of(magnitude_of_completeness)
    return np.unique(np.concatenate(([0.0], np.arange(BIN, excesses.max(initial=0.0), BIN).round(6), excesses)))


def by_interval_and_bin(expected: FloatArray, reaching: FloatArray) -> FloatArray:
    """Return the events expected in each interval by bin of their excess, (T, B).

    Args:
        expected: (T + 1,) until `INTERVAL_ENDS_DAYS`.
        reaching: (A, B) P(the excess of an event is at least) each of `excess_bins`, at each of `MOMENTS_DAYS`.
    """
    events: FloatArray = _by_interval_and_bin(expected, reaching, _NEAREST)
    return events


@compiled
def _by_interval_and_bin(expected: FloatArray, reaching: FloatArray, nearest: IntArray) -> FloatArray:
    events, bins = np.empty((len(nearest), reaching.shape[1])), reaching.shape[1]
    for t in range(len(nearest)):
        number, row = expected[t + 1] - expected[t], reaching[nearest[t]]
        for b in range(bins):
            events[t, b] = number * (row[b] - (row[b + 1] if b + 1 < bins else 0.0))
    return events


# For each magnitude and span: the parts of all intervals (what leads to the magnitude among the others, the next event, and the large ones'
# own), then the sums from the middle of each interval on, backwards in time. Until then the silence has lowered what is expected of large
# events' productivity: κ ln(1 + ∫ λ q / (β + Λ)).
@compiled
def _lead(
    leading: FloatArray,
    others: FloatArray,
    next_masses: FloatArray,
    next_by: FloatArray,
    large_masses: FloatArray,
    excitation: FloatArray,
    shape: FloatArray,
    rate: FloatArray,
    taus: FloatArray,
    ends: FloatArray,
) -> FloatArray:
    probability, intervals = np.zeros(leading.shape[:2]), len(ends) - 1
    expected = np.zeros((intervals + 1, len(shape)))
    for t in range(intervals + 1):
        for s in range(len(shape)):
            expected[t, s] = -(excitation[s] * taus * np.expm1(-ends[t] / taus)).sum()
    for x in range(leading.shape[0]):
        for h in range(leading.shape[1]):
            of_others, of_next, of_large = np.zeros(intervals), np.zeros(intervals), np.zeros(intervals)
            for b in range(leading.shape[2]):
                for t in range(intervals):
                    of_others[t] += leading[x, h, b, t] * others[t, b]
                    of_next[t] += leading[x, h, b, t] * next_masses[b]
                if len(large_masses):
                    for t in range(intervals):
                        of_large[t] += leading[x, h, b, t] * large_masses[t, b]
            after, large_after = 0.0, np.zeros(len(shape))
            for t in range(intervals - 1, -1, -1):
                later = after + 0.5 * of_others[t]
                after += of_others[t]
                for s in range(len(shape)):
                    part = of_large[t] * (expected[t + 1, s] - expected[t, s])
                    until = rate[s] + 0.5 * (expected[t + 1, s] + expected[t, s])
                    later += shape[s] * math.log1p((large_after[s] + 0.5 * part) / until)
                    large_after[s] += part
                probability[x, h] += (-math.expm1(-later) + math.exp(-later) * of_next[t]) * (next_by[t + 1] - next_by[t])
    return probability


def _masses(reaching: FloatArray) -> FloatArray:
    """Return the probability of each bin, (..., B), from that of reaching its lower end."""
    return -np.diff(reaching, append=0.0)


def magnitudes_from(magnitude_of_completeness: float) -> list[float]:
    """Return those of `MAGNITUDES` that are not below completeness."""
    return [magnitude for magnitude in MAGNITUDES if magnitude >= magnitude_of_completeness]


def _excesses_of(magnitude_of_completeness: float) -> FloatArray:
    return (np.array(magnitudes_from(magnitude_of_completeness)) - magnitude_of_completeness).round(6)


def solve(kernels: PlainKernels, law: Law, excesses: FloatArray, lags_days: FloatArray) -> FloatArray:
    """Return u at each lag, (X, L, 12), in `STEPS` growing steps: q is constant over each, its value at the middle (second order).

    Args:
        kernels: what events trigger by their magnitude alone.
        law: (1,) of the excess.
        excesses: (X,) of the magnitudes above completeness.
        lags_days: (L,) ascending.
    """
    events = [_event_law(kernels, law, excess) for excess in excesses.tolist()]
    grid = np.unique(np.concatenate(([0.0], np.geomspace(FIRST_STEP_DAYS, lags_days.max(), STEPS), lags_days)))
    u, lags, found = np.zeros((len(excesses), KERNELS)), set(lags_days.tolist()), list[FloatArray]()
    for start, end in pairwise(grid.tolist()):
        half, whole = (-np.expm1(-(end - start) * part / TAUS_DAYS) for part in (0.5, 1.0))  # (12,) how far u moves towards q
        first = _next_q(kernels, events, u)
        middle = _next_q(kernels, events, u + (first[:, None] - u) * half)
        u = u + (middle[:, None] - u) * whole
        if end in lags:
            found.append(u)
    return np.stack(found, 1)


class _EventLaw(NamedTuple):
    """The excess x of one event, as far as q needs it, for one X."""

    reaching: float
    """P(x ≥ X)."""
    nodes: FloatArray
    """(n,) excesses below X."""
    probabilities: FloatArray
    """(n,) of the nodes."""
    offspring: FloatArray
    """(n, 12) the events that an event at each node triggers."""


def _event_law(kernels: PlainKernels, law: Law, excess: float) -> _EventLaw:
    x = 0.5 * excess * (_NODES + 1.0)
    return _EventLaw(float(law.survival(excess)[0]), x, 0.5 * excess * _WEIGHTS * np.exp(law.log_prob(x)), kernels.offspring(x))


def _next_q(kernels: PlainKernels, events: list[_EventLaw], u: FloatArray) -> FloatArray:
    """Return q, (X,): the probability that an event has the magnitude or leads to one that has it."""
    leading = [
        -np.expm1(-kernels.cumulant(event.nodes, np.einsum("nk,k->n", event.offspring, row))) for event, row in zip(events, u, strict=True)
    ]
    return np.array(
        [event.reaching + float(np.einsum("n,n->", event.probabilities, leads)) for event, leads in zip(events, leading, strict=True)]
    )


def _by_name(magnitudes: list[float], values: FloatArray) -> dict[str, dict[str, float]]:
    """Return values (X, H) by the names of magnitude and span, rounded."""
    return {
        f"{magnitude:g}": dict(zip(HORIZONS_HOURS, map(rounded, row), strict=True))
        for magnitude, row in zip(magnitudes, values.tolist(), strict=True)
    }
