"""What an outlook says: how many earthquakes of which size a region may have in the next day, week, month and year.

The numbers stand in the field names of the USGS aftershock forecast (`forecast.json` of its OAF product, second version of its format), at
the record's top level, so that whoever reads one reads the other; there times are milliseconds since 1970. What is ours alone is written
as in our other records. All numbers are counted over simulated continuations of the region.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from ingest.event import EARTHQUAKE, Event, decode_hook, decoded
from ingest.instant import MILLISECONDS_PER_DAY, Instant

Cause = Literal["schedule", "mainshock", "revision"]

SPANS_DAYS = {"1 Day": 1.0, "1 Week": 7.0, "1 Month": 30.0, "1 Year": 365.0}
"""By label."""
ADVISORY_TIME_FRAME = "1 Week"
FRACTILES = (0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99)
OBSERVED_DAYS = 30.0
"""Without a mainshock, what came in so many days stands beside the forecast."""
MAGNITUDE_ROUNDING = 1e-9


class Bin(msgspec.Struct, frozen=True):
    """Numbers of earthquakes of at least a magnitude within a span."""

    magnitude: float
    p95minimum: int
    """In 95 % of the simulations there were at least so many …"""
    p95maximum: int
    """… and at most so many: the 2.5 % and the 97.5 % quantile."""
    probability: float
    """Of one or more."""
    median: int
    fractile_values: list[int] = msgspec.field(name="fractileValues")
    """One for each of `fractileProbabilities`: there were at most so many with that probability."""


class AboveMainshock(msgspec.Struct, frozen=True):
    """As a bin, from the mainshock's magnitude on; without a mainshock from that of the largest recent event."""

    magnitude: float
    probability: float
    fractile_values: list[int] = msgspec.field(name="fractileValues")


class OutlookSpan(msgspec.Struct, frozen=True):
    """What is forecast for one span of time, from the moment of issue on."""

    time_start: int = msgspec.field(name="timeStart")
    """Milliseconds since 1970."""
    time_end: int = msgspec.field(name="timeEnd")
    label: str
    """`1 Day`, `1 Week`, `1 Month` (30 days) or `1 Year` (365 days)."""
    bins: list[Bin]
    above_mainshock: AboveMainshock = msgspec.field(name="aboveMainshockMag")


class Observation(msgspec.Struct, frozen=True):
    """How many earthquakes of at least a magnitude had come when the outlook was issued."""

    magnitude: float
    count: int


class OutlookModel(msgspec.Struct, frozen=True):
    """Who simulated."""

    name: str
    reference: str
    parameters: dict[str, float]


class OutlookMainshock(msgspec.Struct, frozen=True):
    """The mainshock as it was known."""

    id: str
    time: Instant
    magnitude: float
    latitude: float
    longitude: float
    depth_km: float | None
    place: str


class RegionOutlook(msgspec.Struct, frozen=True, tag_field="$schema", tag="quakecast.outlook/1"):
    """The record of the outlooks topic: a probability forecast, never a promise."""

    id: str
    """`outlook-` and region, input partition and input sequence: the same log always gives the same outlook under the same id."""
    region: str
    issued_at: Instant
    """The stream's time; all spans begin here."""
    cause: Cause
    """`schedule`, `mainshock` (a new one is known) or `revision` (the one before was revised or deleted)."""
    supersedes: str | None
    """Id of the region's outlook before; none at first."""
    mainshock: OutlookMainshock | None
    """None when no event stands out: see `stream.outlooks.schedule`."""
    observed_from: Instant
    """`observations` count from here: after the mainshock, or over the last 30 days."""
    magnitude_of_completeness: float
    events_in_window: int
    simulations: int
    cut: int
    """Simulations that had no end and were stopped; they count as larger than all others."""
    seed: int
    input_partition: int
    input_sequence: int
    """The last record that it rests on."""
    creation_time: int = msgspec.field(name="creationTime")
    """Milliseconds since 1970, as all times from here on."""
    expire_time: int = msgspec.field(name="expireTime")
    """End of the longest span."""
    advisory_time_frame: str = msgspec.field(name="advisoryTimeFrame")
    """The span to show first."""
    template: str
    """`Mainshock`, or `Region` without one."""
    injectable_text: str = msgspec.field(name="injectableText")
    """What every reader should be told."""
    observations: list[Observation]
    model: OutlookModel
    fractile_probabilities: list[float] = msgspec.field(name="fractileProbabilities")
    forecast: list[OutlookSpan]
    next_forecast_time: int = msgspec.field(name="nextForecastTime")
    """When the next one is due, if nothing new comes."""
    test: bool = False
    """True in replays: not live."""


class CameSince(msgspec.Struct, frozen=True):
    """How many came since an outlook was issued, beside one of its spans."""

    label: str
    until: Instant
    """The span's end, or now if that is earlier."""
    over: bool
    """Whether the whole span lies in the past."""
    counts: list[int]
    """One for each of the span's bins."""


def count(events: Iterable[Event], magnitude: float, after: Instant, before: Instant) -> int:
    """Earthquakes of at least a magnitude with `after` < origin time < `before`."""
    return sum(
        event.type == EARTHQUAKE
        and event.magnitude is not None
        and event.magnitude >= magnitude - MAGNITUDE_ROUNDING
        and after < event.time < before
        for event in events
    )


def came_since(outlook: RegionOutlook, events: Iterable[Event], now: Instant) -> list[CameSince]:
    """What came since an outlook was issued, for each of its spans and bins.

    Args:
        events: of the region, at least those since; in any order, each once.
    """
    known = tuple(events)
    spans = []
    for span in outlook.forecast:
        end = Instant(span.time_end)
        counts = [count(known, one.magnitude, outlook.issued_at, min(now, end)) for one in span.bins]
        spans.append(CameSince(span.label, min(now, end), now >= end, counts))
    return spans


def span_end(start: Instant, label: str) -> int:
    """Milliseconds since 1970."""
    return int(start) + round(SPANS_DAYS[label] * MILLISECONDS_PER_DAY)


_decoder = msgspec.json.Decoder(RegionOutlook, dec_hook=decode_hook)


def decode_outlook(data: bytes) -> RegionOutlook:
    """An outlook as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not an outlook.
    """
    return decoded(_decoder, data)
