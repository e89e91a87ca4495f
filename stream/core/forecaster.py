"""The protocol that whoever makes forecasts fulfils."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.records import Exceedance, Magnitude, Wait, Where


class Expectation(NamedTuple):
    """What a forecaster says of one region at one moment."""

    wait: Wait
    magnitude: Magnitude
    due_at: Instant
    """When silence alone will have changed it enough to be said again: an hour on, or once P(event within a day) has moved by 0.1."""
    where: Where | None = None
    """None from a forecaster that does not speak of places."""
    exceedance: Exceedance | None = None
    """None from a forecaster that looks no further than the next event."""


class Hazard(NamedTuple):
    """One model's conditional intensity over a stretch of time in which it heard of nothing new."""

    expected_events: float
    """Its integral, not negative."""
    log_rate_at_start: float
    log_rate_at_end: float
    """ln of events per day, finite."""


class Forecaster(Protocol):
    """Memory in, memory out. Every method is pure: the same arguments give the same bits, on any machine state."""

    @property
    def name(self) -> str:
        """Names the model and its exact weights, such as `lstm-1f0c9a77d2e4`."""

    @property
    def rivals(self) -> tuple[str, ...]:
        """The baselines that are scored beside it, such as `poisson` and `etas`; what they remember is in the same memory."""

    @property
    def basis(self) -> str:
        """Names all that memories and hazards rest on: the model's weights and the rivals' fit."""

    def start(self, region: Region) -> bytes:
        """The memory before any event."""

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        """The memory one event later. Events come in the order of (time, id); `event.magnitude` is a number."""

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        """What is to be expected from `now` on, given that nothing came since the last event observed."""

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        """What is said of `since` to `until`, a later moment, nothing being heard in between: the model's hazard, then each rival's."""
