"""The waits of a span, as renewal and point forecasts see them: whole, though the span's start cuts the first and its end the last.

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
"""One second: networks do not tell closer events apart reliably, and a density of waits may be infinite at 0."""


@dataclass(frozen=True)
class Waits:
    """The N waits that end in a span, days."""

    whole: FloatArray
    """(N,) since the event before, the first one also from before the span."""
    silence: float
    """From the last event before the span's start to that start."""
    censored: float
    """From the last event before the span's end to that end."""

    @property
    def elapsed(self) -> FloatArray:
        """(N,) how much of each wait had passed when its forecast was made: the silence for the first, 0 for the others."""
        elapsed = np.zeros(len(self.whole))
        elapsed[:1] = self.silence
        return elapsed

    @property
    def scored(self) -> FloatArray:
        """(N,) what a forecast had to say: the first counts from the span's start."""
        return self.whole - self.elapsed


def waits(pattern: PointPattern, span: Span) -> Waits:
    """The waits of a span. Where no earlier event is known, the observation's start stands for one."""
    rows = pattern.rows(span)
    before = int(pattern.times[rows.start - 1]) if rows.start else min(int(pattern.observed.start), int(span.start))
    times = np.concatenate(([before], pattern.times[rows]))
    return Waits(
        whole=np.diff(times) / MILLISECONDS_PER_DAY,
        silence=(int(span.start) - before) / MILLISECONDS_PER_DAY,
        censored=(int(span.end) - int(times[-1])) / MILLISECONDS_PER_DAY,
    )
