"""The decision whether a new model replaces the one in force: only the interval of its gain per event decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.problem import Problem
from models.numerics import FloatArray
from models.scoring import bootstrap_interval

FEWEST_EVENTS = 50
"""In the recent span, below which no new model is promoted."""
NO_GAIN: dict[str, float | None] = {"mean": None, "low": None, "high": None}


class Gains(NamedTuple):
    """How much better a challenger is than the incumbent, event by event."""

    differences: FloatArray
    """(N + T,) or (N,) nats: challenger − incumbent; the last T are of the survivals to the spans' ends."""
    event_times: NDArray[np.int64]
    """(N,) milliseconds since 1970."""
    end_times: NDArray[np.int64]
    """(T,) or (0,) milliseconds since 1970."""


class Decision(NamedTuple):
    """Whether a challenger replaces the incumbent, and why."""

    kind: str
    challenger: str
    incumbent: str
    promoted: bool
    why: str
    gain: dict[str, float | None]
    """Nats per event: mean and 95 % interval."""
    events: int
    failed: bool = False
    """Whether the new model could not be trained or compared."""

    def line(self) -> str:
        """Return the decision in one line for people."""
        mean, low, high = (self.gain[name] for name in ("mean", "low", "high"))
        number = "" if mean is None else f" {mean:+.4f} nats an event" + (f" [{low:+.4f}, {high:+.4f}]" if low is not None else "")
        verdict = "promote" if self.promoted else "keep"
        if self.failed:
            return f"{self.kind}: {verdict} {self.incumbent}: {self.why}"
        return f"{self.kind}: {verdict} {self.challenger if self.promoted else self.incumbent}: {self.why};{number} on {self.events} events"


def decide(kind: str, challenger: str, incumbent: str, gains: Gains) -> Decision:
    """Return the decision by the interval of the gain: the challenger is promoted if its lower end is above 0."""
    events = len(gains.event_times)
    if (undecided := keep_for_too_few_events(kind, incumbent, events, challenger)) is not None:
        return undecided
    gain = bootstrap_interval(gains.differences, gains.event_times, gains.end_times)
    low = gain["low"]
    if low is None:
        return Decision(kind, challenger, incumbent, False, "the span is too short for an interval", gain, events)
    why = "better beyond its interval" if low > 0.0 else "not better beyond its interval"
    return Decision(kind, challenger, incumbent, low > 0.0, why, gain, events)


def keep_for_too_few_events(kind: str, incumbent: str, events: int, challenger: str = "none") -> Decision | None:
    """Return the decision that too few unseen events leave open, whatever the challenger: asked before a training, it saves that.

    Returns:
        None if the events are enough.
    """
    if events >= FEWEST_EVENTS:
        return None
    why = f"{events} events that neither has seen are too few to decide ({FEWEST_EVENTS} are needed)"
    return Decision(kind, challenger, incumbent, False, why, dict(NO_GAIN), events)


def keep_incumbent(kind: str, incumbent: str | None, problem: Problem) -> Decision:
    """Return the decision for a kind whose new model could not be trained or compared: the incumbent stays in force."""
    return Decision(kind, "none", incumbent or "none", False, str(problem), dict(NO_GAIN), 0, failed=True)
