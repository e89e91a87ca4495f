"""The span of the past that is replayed, its warm-up, and its speed.

A replay that begins in the middle is warmed up:

        start − warm_up_days              start                end
    ────────┼───────────────────────────────┼────────────────────┼────▶ time of observation
            │ read: windows and memories    │ read and given out │

Both parts are input of the target log, whose forecasts and alerts are a function of it as ever; what is given out is the second part.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from ingest.instant import Instant


class Span(NamedTuple):
    """A span of the past and the speed of its replay."""

    start: Instant | None = None
    end: Instant | None = None
    speed: float | None = None
    """Replayed seconds per second; None for as fast as possible."""
    warm_up_days: float = 0.0
    """How long before the start records are read, at full speed."""

    def reads(self, moment: Instant) -> bool:
        """Return whether records of a moment are replayed, be it for the warm-up."""
        first = None if self.start is None else self.start.plus(days=-self.warm_up_days)
        return (first is None or moment >= first) and (self.end is None or moment < self.end)

    def is_warm_up(self, moment: Instant) -> bool:
        return self.start is not None and moment < self.start


class Pace:
    """Keeps a replay at its speed, after the warm-up."""

    def __init__(self, span: Span) -> None:
        self._span, self._speed = span, span.speed
        self._first: tuple[float, Instant] | None = None

    def wait_for(self, moment: Instant) -> None:
        if self._speed is None or self._span.is_warm_up(moment):
            return
        self._first = self._first or (time.monotonic(), moment)
        started, first = self._first
        time.sleep(max(0.0, started + (moment - first) / 1_000 / self._speed - time.monotonic()))
