"""Is a new model better than the one in force? By the interval of what it gained, event by event, and by nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.problem import Problem
from models.numerics import FloatArray
from models.scoring import bootstrap_interval

FEWEST_EVENTS = 50
"""Fewer in the recent span decide nothing."""
NOTHING: dict[str, float | None] = {"mean": None, "low": None, "high": None}


class Gains(NamedTuple):
    """By how much a challenger was better, event by event."""

    differences: FloatArray
    """(N + T,) or (N,) nats: challenger − incumbent; the T are the survivals to the spans' ends."""
    came: NDArray[np.int64]
    """(N,) ms."""
    ends: NDArray[np.int64]
    """(T,) or (0,) ms."""


class Decision(NamedTuple):
    """Whether the challenger comes into force."""

    kind: str
    challenger: str
    incumbent: str
    promoted: bool
    why: str
    gain: dict[str, float | None]
    """Nats per event: mean and 95 % interval."""
    events: int
    failed: bool = False
    """The new model could not be made or compared."""

    def line(self) -> str:
        """For a person."""
        mean, low, high = (self.gain[name] for name in ("mean", "low", "high"))
        number = "" if mean is None else f" {mean:+.4f} nats an event" + (f" [{low:+.4f}, {high:+.4f}]" if low is not None else "")
        verdict = "promote" if self.promoted else "keep"
        if self.failed:
            return f"{self.kind}: {verdict} {self.incumbent}: {self.why}"
        return f"{self.kind}: {verdict} {self.challenger if self.promoted else self.incumbent}: {self.why};{number} on {self.events} events"


def decide(kind: str, challenger: str, incumbent: str, gains: Gains) -> Decision:
    """By the interval alone: better beyond it, or not."""
    events = len(gains.came)
    if events < FEWEST_EVENTS:
        why = f"{events} events that neither has seen are too few to decide ({FEWEST_EVENTS} are needed)"
        return Decision(kind, challenger, incumbent, False, why, dict(NOTHING), events)
    gain = bootstrap_interval(gains.differences, gains.came, gains.ends)
    low = gain["low"]
    if low is None:
        return Decision(kind, challenger, incumbent, False, "the span is too short for an interval", gain, events)
    why = "better beyond its interval" if low > 0.0 else "not better beyond its interval"
    return Decision(kind, challenger, incumbent, low > 0.0, why, gain, events)


def undecided(kind: str, incumbent: str | None, problem: Problem) -> Decision:
    """What is in force goes on, for there is nothing to put in its place."""
    return Decision(kind, "none", incumbent or "none", False, str(problem), dict(NOTHING), 0, failed=True)
