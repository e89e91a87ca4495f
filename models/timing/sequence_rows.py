"""Patterns laid end to end as rows, and the waits after them: what the network of the times learns from.

rows       0          1     2   3         │ 4       5 …          row 0 of a pattern: nothing has come yet
events     ╵          ●     ●   ●         │ ╵       ●            waits[0] of a pattern is infinite: nothing carries over
intervals      ├──────┼─────┼───┼─────────┤
               span.start                 span.end: the last is censored, the first given the silence before the start
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.catalog import PointPattern, Span
from models.numerics import FloatArray
from models.timing.excitation_features import FIRST_WAIT_DAYS, event_features


@dataclass(frozen=True)
class Rows:
    """R rows: for every pattern one in which nothing has come yet, then one per event."""

    waits: FloatArray
    """(R,) days since the row before; infinite in a pattern's first row, `FIRST_WAIT_DAYS` at its first event."""
    excesses: FloatArray
    """(R,) magnitude above completeness; 0 in a first row."""
    comes: FloatArray
    """(R,) 1 where an event stands, 0 in a first row."""
    neighbourhoods: FloatArray
    """(R, neighbourhood.SIZE); zeros in a first row."""
    firsts: NDArray[np.int64]
    """(P,) the first row of each pattern."""


@dataclass(frozen=True)
class Intervals:
    """I waits, each from a moment at or after a row to the next event or the span's end."""

    rows: NDArray[np.int64]
    """(I,) the row it follows."""
    elapsed_days: FloatArray
    """(I,) from the row to where the wait begins to count: 0 but for the first of a span."""
    waits_days: FloatArray
    """(I,) how long it lasted from there."""
    comes: NDArray[np.bool_]
    """(I,) whether an event ended it."""


def rows_of(patterns: Sequence[PointPattern], reach: int, surroundings: Callable[[PointPattern, int], FloatArray] = event_features) -> Rows:
    """The rows of the patterns.

    Args:
        reach: how many events back an event's surroundings are searched.
        surroundings: how; (N, neighbourhood.SIZE) of a pattern.
    """
    lengths = np.array([len(one) + 1 for one in patterns])
    return Rows(
        waits=np.concatenate([_waits(one) for one in patterns]),
        excesses=np.concatenate([np.concatenate(([0.0], one.excesses)) for one in patterns]),
        comes=np.concatenate([np.concatenate(([0.0], np.ones(len(one)))) for one in patterns]),
        neighbourhoods=np.concatenate([np.pad(surroundings(one, reach), ((1, 0), (0, 0))) for one in patterns]),
        firsts=np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64),
    )


def _waits(pattern: PointPattern) -> FloatArray:
    return np.concatenate(([np.inf], np.diff(pattern.days, prepend=pattern.days[:1] - FIRST_WAIT_DAYS)))


def intervals_of(pattern: PointPattern, span: Span, first_row: int = 0) -> Intervals:
    """The waits that a span sees of a pattern whose first row is `first_row`."""
    within = pattern.rows(span)
    moments = np.concatenate(([0.0], pattern.days))[within.start : within.stop + 1]  # (I,) of the rows before the waits
    start, end = pattern.day_of(max(span.start, pattern.observed.start)), pattern.day_of(min(span.end, pattern.observed.end))
    begins = np.maximum(moments, start)
    ends = np.append(moments[1:], end)
    return Intervals(
        rows=first_row + np.arange(within.start, within.stop + 1),
        elapsed_days=begins - moments,
        waits_days=np.maximum(ends - begins, 0.0),
        comes=np.arange(len(moments)) < len(moments) - 1,
    )


def joined(parts: Sequence[Intervals]) -> Intervals:
    """The waits of several patterns."""
    return Intervals(
        rows=np.concatenate([part.rows for part in parts]),
        elapsed_days=np.concatenate([part.elapsed_days for part in parts]),
        waits_days=np.concatenate([part.waits_days for part in parts]),
        comes=np.concatenate([part.comes for part in parts]),
    )
