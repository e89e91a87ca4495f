"""The protocol of whoever rolls regions forward."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.records import MAGNITUDE_ROUNDING, OutlookSpan

WHOLE_MAGNITUDES = (3.0, 4.0, 5.0, 6.0, 7.0)


class Asked(NamedTuple):
    """What a simulator is asked."""

    region: Region
    events: tuple[Event, ...]
    """The region's window, in the order of time."""
    now: Instant
    magnitudes: tuple[float, ...]
    above: float
    """The mainshock's magnitude, or the largest recent one."""
    seed: int


class Simulated(NamedTuple):
    """What it answers."""

    simulations: int
    cut: int
    forecast: list[OutlookSpan]
    parameters: dict[str, float]


class Simulator(Protocol):
    """Whoever rolls regions forward. The same question gives the same answer."""

    @property
    def name(self) -> str:
        """Names the model and its exact weights."""

    def simulate(self, asked: Asked) -> Simulated:
        """Numbers of events for each of `SPANS_DAYS`."""


def magnitudes_of(region: Region) -> tuple[float, ...]:
    """From which magnitudes on events are counted: 3 … 7 as far as the region is complete, and completeness itself where it is above 3."""
    completeness = region.magnitude_of_completeness
    whole = tuple(magnitude for magnitude in WHOLE_MAGNITUDES if magnitude >= completeness - MAGNITUDE_ROUNDING)
    return whole if completeness <= WHOLE_MAGNITUDES[0] or completeness in whole else (completeness, *whole)
