"""The protocol of a forecaster: pure functions over an opaque memory (bytes). `models` implements it; the core knows no networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.records import Exceedance, Magnitude, Wait, Where


class Expectation(NamedTuple):
    """What a forecaster expects of one region at one moment."""

    wait: Wait
    magnitude: Magnitude
    due_at: Instant
    """When the forecast is to be reissued if no event arrives: after an hour, or once P(event within a day) has changed by 0.1."""
    where: Where | None = None
    """None from a forecaster without places."""
    exceedance: Exceedance | None = None
    """None from a forecaster that describes the next event only."""


class Hazard(NamedTuple):
    """One model's conditional intensity over an interval in which it received no new information."""

    expected_events: float
    """Integral of the conditional intensity over the interval, not negative."""
    log_rate_at_start: float
    log_rate_at_end: float
    """Natural logarithm of events per day, finite."""


class Forecaster(Protocol):
    """Every method is pure: the same arguments give the same bits, whatever else the machine does."""

    @property
    def name(self) -> str:
        """Name of the model and its exact weights, such as `lstm-1f0c9a77d2e4`."""

    @property
    def rivals(self) -> tuple[str, ...]:
        """Names of the baselines scored beside it, such as `poisson` and `etas`; their states are part of the same memory."""

    @property
    def basis(self) -> str:
        """Identifies everything that memories and hazards depend on: the model's weights and the rivals' parameters."""

    @property
    def source_depth(self) -> float:
        """How far below completeness the events go that are observed as sources, magnitudes; 0: events below it are not observed."""

    def start(self, region: Region) -> bytes:
        """Return the memory before any event."""

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        """Return the memory after one more event. Events come in the order of (time, id), and `event.magnitude` is a number.

        An event below completeness is a source: it may raise the rates to come, and is none of the events that are forecast.
        """

    def fold(self, memory: bytes, events: Sequence[Event], region: Region, keep: Sequence[int]) -> list[bytes]:
        """Return the memories after some of the events, the same bytes as by `observe` of one after another.

        Args:
            events: at least one.
            keep: ascending positions of the events whose memories are returned.
        """

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        """Return what is expected from `now` on, given that no event arrived since the last one observed."""

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        """Return the hazards from `since` to a later moment `until`, given that no event arrives in between.

        Returns:
            The model's hazard, then each rival's, in the order of `rivals`.
        """
