"""Events below completeness as sources: they excite with weights of their own, and are neither counted nor scored.

A source of excess x < 0 adds Σ_k w_k exp(−(t − t_j)/τ_k)/τ_k to the rate, with w_k = Σ_a c'_ak exp(a x): its magnitude alone decides, no
network and no step of the memory. The sums below leave c' out, so that training computes them once:

    row ────────○───────○──────┤ end        ○ sources since the row: `RatesSince`
        rate after the row          the rate and the clock Λ that the excitation after the row does not hold

The clock runs on from event to event at or above completeness, across the sources between them. Sources before the first such event are not
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from ingest.problem import Problem
from models.catalog import PointPattern, Span
from models.numerics import FloatArray, compiled
from models.timing.excitation import KERNEL_PRODUCTIVITIES, KERNELS, TAUS_DAYS
from models.timing.sequence_rows import Intervals, RatesSince, intervals_of

TOLERANCE = 1e-9
"""Of magnitudes, which are decimal fractions."""
SOURCE_TERMS = len(KERNEL_PRODUCTIVITIES) * KERNELS


def source_rates_after_rows(pattern: PointPattern, depth: float) -> FloatArray:
    """Return the rate that the sources known by then add just after each row, before c' is applied: (N + 1, SOURCE_TERMS), 1/day.

    Args:
        depth: how far below completeness the sources go that are read; likewise in what follows.
    """
    moments = np.concatenate(([0.0], pattern.days))
    rates = _rates_at(*_read(pattern, depth), moments, TAUS_DAYS, KERNEL_PRODUCTIVITIES)
    return rates.reshape(len(moments), SOURCE_TERMS)


def source_rates_since(pattern: PointPattern, depth: float, part: Intervals, first_row: int = 0) -> RatesSince:
    """Return what the sources add since the row before each interval.

    Args:
        first_row: the number of the pattern's first row, as in `intervals_of`.
    """
    rows = np.concatenate(([0.0], pattern.days))[part.rows - first_row]
    starts = rows + part.elapsed_days
    sums = _since(*_read(pattern, depth), rows, starts, starts + part.waits_days, TAUS_DAYS, KERNEL_PRODUCTIVITIES)
    return RatesSince(*(each.reshape(len(rows), SOURCE_TERMS) for each in sums))


def source_clocks_of_rows(pattern: PointPattern, depth: float) -> FloatArray:
    """Return what the sources that came during the wait before each row add to its clock: (N + 1, SOURCE_TERMS)."""
    everything = intervals_of(pattern, pattern.observed)
    return np.concatenate((np.zeros((1, SOURCE_TERMS)), source_rates_since(pattern, depth, everything).clocks[:-1]))


def source_terms_per_event(parts: Sequence[tuple[PointPattern, Span]], depth: float) -> FloatArray:
    """Return Σ exp(a x) exp(−age/τ) over the sources of some spans, divided by the number of their events: (a, 12).

    Raises:
        Problem: no event in the spans.
    """
    events = sum(pattern.count(span) for pattern, span in parts)
    if not events:
        raise Problem("no event in the training span", "choose another period or a lower magnitude of completeness")
    terms = np.zeros((len(KERNEL_PRODUCTIVITIES), KERNELS))
    for pattern, span in parts:
        _, excesses, ages = _read(replace(pattern, sources=pattern.sources.before(span.end).since(span.start)), depth)
        terms += np.exp(np.outer(KERNEL_PRODUCTIVITIES, excesses)) @ np.exp(-ages[:, None] / TAUS_DAYS)
    return terms / events


def _read(pattern: PointPattern, depth: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the days at which the sources became known, their excesses, and their ages then, (S,) each; none before the first event."""
    sources = pattern.sources
    first = pattern.times[0] if len(pattern) else np.iinfo(np.int64).max
    chosen = (sources.times >= first) & (sources.excesses >= -depth - TOLERANCE)
    days = (sources.times[chosen] - int(pattern.observed.start)) / MILLISECONDS_PER_DAY
    return days, sources.excesses[chosen], sources.ages_days[chosen]


# T(t) = T(before) · exp(−Δt/τ), and at each source known before the moment T += exp(a x) exp(−age/τ)/τ.
@compiled
def _rates_at(
    known: FloatArray, excesses: FloatArray, ages: FloatArray, moments: FloatArray, taus: FloatArray, powers: FloatArray
) -> FloatArray:
    """Return the sources' rates at M moments, not decreasing: (M, a, K)."""
    rates = np.zeros((len(moments), len(powers), len(taus)))
    current = np.zeros((len(powers), len(taus)))
    last, source = 0.0, 0
    for i in range(len(moments)):
        while source < len(known) and known[source] < moments[i]:
            for k in range(len(taus)):
                decay = np.exp(-(known[source] - last) / taus[k])
                height = np.exp(-ages[source] / taus[k]) / taus[k]
                for a in range(len(powers)):
                    current[a, k] = current[a, k] * decay + np.exp(powers[a] * excesses[source]) * height
            last = known[source]
            source += 1
        for k in range(len(taus)):
            rates[i, :, k] = current[:, k] * np.exp(-(moments[i] - last) / taus[k])
    return rates


# Every source that became known at or after the row and before the end adds its decayed rate, and 1 − exp(−lag/τ) to the clock.
@compiled
def _since(
    known: FloatArray,
    excesses: FloatArray,
    ages: FloatArray,
    rows: FloatArray,
    starts: FloatArray,
    ends: FloatArray,
    taus: FloatArray,
    powers: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the parts of `RatesSince` of I intervals, (I, a, K) each."""
    shape = (len(rows), len(powers), len(taus))
    rates, clocks_at_start, clocks = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for i in range(len(rows)):
        source = np.searchsorted(known, rows[i])
        while source < len(known) and known[source] < ends[i]:
            for k in range(len(taus)):
                left, height = np.exp(-(ends[i] - known[source]) / taus[k]), np.exp(-ages[source] / taus[k])
                gone = 1.0 - np.exp(-max(starts[i] - known[source], 0.0) / taus[k])
                for a in range(len(powers)):
                    weight = np.exp(powers[a] * excesses[source]) * height
                    rates[i, a, k] += weight * left / taus[k]
                    clocks_at_start[i, a, k] += weight * gone
                    clocks[i, a, k] += weight * (1.0 - left)
            source += 1
    return rates, clocks_at_start, clocks
