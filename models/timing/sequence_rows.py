"""Patterns laid end to end as rows, and the intervals between them: what the networks of the inter-event times learn from.

rows       0          1     2   3         │ 4       5 …          row 0 of a pattern: no event has come yet
events     ╵          ●     ●   ●         │ ╵       ●            waits[0] of a pattern is infinite: nothing carries over
intervals      ├──────┼─────┼───┼─────────┤
               span.start                 span.end: the last is censored, the first given the silence before the start
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.timing.excitation_features import FIRST_WAIT_DAYS, event_features

Features = Callable[[PointPattern, int], FloatArray]
"""(pattern, reach) -> (N, EVENT_FEATURES) of its events."""


@dataclass(frozen=True)
class Rows:
    """R rows: for every pattern one before its first event, then one for each event."""

    waits: FloatArray
    """(R,) days since the row before; infinite in a pattern's first row, `FIRST_WAIT_DAYS` at its first event."""
    excesses: FloatArray
    """(R,) magnitude above completeness; 0 in a first row."""
    is_event: FloatArray
    """(R,) 1 in the row of an event, 0 in a first row."""
    features: FloatArray
    """(R, EVENT_FEATURES); zeros in a first row."""
    firsts: NDArray[np.int64]
    """(P,) the first row of each pattern."""


class RatesSince(NamedTuple):
    """What the sources add that came since the row before each of I intervals, by productivity and kernel, their weights not applied."""

    rates: FloatArray
    """(I, SOURCE_TERMS) to the rate at the interval's end, 1/day."""
    clocks_at_start: FloatArray
    """(I, SOURCE_TERMS) to the expected events from the row to the interval's start."""
    clocks: FloatArray
    """(I, SOURCE_TERMS) to the expected events from the row to the interval's end."""


@dataclass(frozen=True)
class Intervals:
    """I intervals, each from a moment at or after a row to the next event or the span's end."""

    rows: NDArray[np.int64]
    """(I,) the row before the interval."""
    elapsed_days: FloatArray
    """(I,) from that row to the interval's start: 0 except for the first of a span."""
    waits_days: FloatArray
    """(I,) the interval's length."""
    has_event: NDArray[np.bool_]
    """(I,) whether an event ends it."""
    sources: RatesSince | None = None
    """What the sources add that came since the row, where sources are read."""


def rows_of(patterns: Sequence[PointPattern], reach: int, features: Features = event_features) -> Rows:
    """Return the rows of the patterns.

    Args:
        reach: how many events back an event's local traces count.
        features: computes the features of a pattern's events.
    """
    lengths = np.array([len(one) + 1 for one in patterns])
    return Rows(
        waits=np.concatenate([_waits(one) for one in patterns]),
        excesses=np.concatenate([np.concatenate(([0.0], one.excesses)) for one in patterns]),
        is_event=np.concatenate([np.concatenate(([0.0], np.ones(len(one)))) for one in patterns]),
        features=np.concatenate([np.pad(features(one, reach), ((1, 0), (0, 0))) for one in patterns]),
        firsts=np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64),
    )


def _waits(pattern: PointPattern) -> FloatArray:
    return np.concatenate(([np.inf], np.diff(pattern.days, prepend=pattern.days[:1] - FIRST_WAIT_DAYS)))


def intervals_of(pattern: PointPattern, span: Span, first_row: int = 0) -> Intervals:
    """Return the intervals of a pattern that lie in a span.

    Args:
        first_row: the number of the pattern's first row, where several patterns lie end to end.
    """
    within = pattern.rows(span)
    moments = np.concatenate(([0.0], pattern.days))[within.start : within.stop + 1]  # (I,) of the rows before the intervals
    start, end = pattern.day_of(max(span.start, pattern.observed.start)), pattern.day_of(min(span.end, pattern.observed.end))
    begins = np.maximum(moments, start)
    ends = np.append(moments[1:], end)
    return Intervals(
        rows=first_row + np.arange(within.start, within.stop + 1),
        elapsed_days=begins - moments,
        waits_days=np.maximum(ends - begins, 0.0),
        has_event=np.arange(len(moments)) < len(moments) - 1,
    )


def join_intervals(parts: Sequence[Intervals]) -> Intervals:
    """Return the intervals of several patterns as one."""
    return Intervals(
        rows=np.concatenate([part.rows for part in parts]),
        elapsed_days=np.concatenate([part.elapsed_days for part in parts]),
        waits_days=np.concatenate([part.waits_days for part in parts]),
        has_event=np.concatenate([part.has_event for part in parts]),
        sources=_join_sources([part.sources for part in parts if part.sources is not None]),
    )


def _join_sources(parts: Sequence[RatesSince]) -> RatesSince | None:
    return RatesSince(*(np.concatenate(columns) for columns in zip(*parts, strict=True))) if parts else None
