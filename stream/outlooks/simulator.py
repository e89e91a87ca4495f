"""The protocol of a simulator of continuations, and the magnitudes that outlooks count."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.records import MAGNITUDE_ROUNDING, OutlookSpan

WHOLE_MAGNITUDES = (3.0, 4.0, 5.0, 6.0, 7.0)


class SimulationRequest(NamedTuple):
    """A request to a simulator."""

    region: Region
    events: tuple[Event, ...]
    """The region's window, in the order of time."""
    now: Instant
    magnitudes: tuple[float, ...]
    above: float
    """The mainshock's magnitude; without a mainshock, the largest recent one."""
    seed: int


class SimulatedCounts(NamedTuple):
    """The counts over the simulated continuations."""

    simulations: int
    cut: int
    forecast: list[OutlookSpan]
    parameters: dict[str, float]


class Simulator(Protocol):
    """Simulates continuations of a region. The same request gives the same result."""

    @property
    def name(self) -> str:
        """Name of the model and its exact weights."""

    def simulate(self, request: SimulationRequest) -> SimulatedCounts:
        """Return the numbers of events for each of `SPANS_DAYS`."""


def magnitudes_of(region: Region) -> tuple[float, ...]:
    """Return the magnitudes from which events are counted: 3 … 7 as far as the region is complete, and its completeness if above 3."""
    completeness = region.magnitude_of_completeness
    whole = tuple(magnitude for magnitude in WHOLE_MAGNITUDES if magnitude >= completeness - MAGNITUDE_ROUNDING)
    return whole if completeness <= WHOLE_MAGNITUDES[0] or completeness in whole else (completeness, *whole)
