"""The waits (inter-event times) of a span. The span's start cuts the first wait and its end the last one; both are given whole and cut.

span.start                                  span.end
●───┼────────●───────●──●───────────────●─────┼──
│ s │        │       │  │               │  c  │        s: silence before the start, c: silence at the end (censored)
├──whole[0]──┼─[1]───┼──┼───────────────┤
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ingest.instant import MILLISECONDS_PER_DAY
from models.catalog import PointPattern, Span
from models.numerics import FloatArray

SHORTEST_WAIT_DAYS = 1.0 / 86_400.0
"""One second: networks do not separate closer events reliably, and a density of waits may be infinite at 0."""


@dataclass(frozen=True)
class Waits:
    """The N waits that end in a span, days."""

    whole: FloatArray
    """(N,) since the event before; the first wait begins before the span."""
    silence: float
    """Days from the last event before the span's start to that start."""
    censored: float
    """Days from the last event before the span's end to that end."""

    @property
    def elapsed(self) -> FloatArray:
        """(N,) days of each wait that had passed when its forecast was made: the silence for the first, 0 for the others."""
        elapsed = np.zeros(len(self.whole))
        elapsed[:1] = self.silence
        return elapsed

    @property
    def scored(self) -> FloatArray:
        """(N,) days that were to be forecast: the first wait counts from the span's start."""
        return self.whole - self.elapsed


def waits(pattern: PointPattern, span: Span) -> Waits:
    """Return the waits that end in a span.

    Args:
        pattern: the events of the span and those before it. Without an event before it, the start of the observation stands for one.
        span: a part of the observed span.
    """
    rows = pattern.rows(span)
    before = int(pattern.times[rows.start - 1]) if rows.start else min(int(pattern.observed.start), int(span.start))
    times = np.concatenate(([before], pattern.times[rows]))
    return Waits(
        whole=np.diff(times) / MILLISECONDS_PER_DAY,
        silence=(int(span.start) - before) / MILLISECONDS_PER_DAY,
        censored=(int(span.end) - int(times[-1])) / MILLISECONDS_PER_DAY,
    )
