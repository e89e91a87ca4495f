"""The protocol of whoever rolls regions forward."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ingest.event import Event
from ingest.instant import Instant
from ingest.region import Region
from stream.records.outlook import OutlookSpan


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
