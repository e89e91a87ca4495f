"""The record of the outlooks topic: numbers of earthquakes by magnitude that a region may have in the next day, week, month and year.

The fields of the USGS aftershock forecast (`forecast.json` of its OAF product, second version of its format) have their USGS names, at the
record's top level, so that a reader of one can read the other; their times are milliseconds since 1970. The other fields follow the style
of our other records. All numbers are counts over simulated continuations of the region.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from ingest.event import EARTHQUAKE, Event, decode_hook, decode_with
from ingest.instant import MILLISECONDS_PER_DAY, Instant

Cause = Literal["schedule", "mainshock", "revision"]

SPANS_DAYS = {"1 Day": 1.0, "1 Week": 7.0, "1 Month": 30.0, "1 Year": 365.0}
"""Length in days, by label."""
ADVISORY_TIME_FRAME = "1 Week"
FRACTILES = (0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99)
OBSERVED_DAYS = 30.0
"""Without a mainshock, the observations count the events of so many days."""
MAGNITUDE_ROUNDING = 1e-9


class Bin(msgspec.Struct, frozen=True):
    """Numbers of earthquakes of at least a magnitude within a span."""

    magnitude: float
    p95minimum: int
    """Lower end of the 95 % range: the 2.5 % quantile of the simulations."""
    p95maximum: int
    """Upper end of the 95 % range: the 97.5 % quantile of the simulations."""
    probability: float
    """Probability of one or more."""
    median: int
    fractile_values: list[int] = msgspec.field(name="fractileValues")
    """For each of `fractileProbabilities`, the number that is not exceeded with that probability."""


class AboveMainshock(msgspec.Struct, frozen=True):
    """As a bin, for magnitudes from the mainshock's on; without a mainshock, from that of the largest recent event."""

    magnitude: float
    probability: float
    fractile_values: list[int] = msgspec.field(name="fractileValues")


class OutlookSpan(msgspec.Struct, frozen=True):
    """The forecast for one span of time, which starts at the time of issue."""

    time_start: int = msgspec.field(name="timeStart")
    """Milliseconds since 1970."""
    time_end: int = msgspec.field(name="timeEnd")
    label: str
    """`1 Day`, `1 Week`, `1 Month` (30 days) or `1 Year` (365 days)."""
    bins: list[Bin]
    above_mainshock: AboveMainshock = msgspec.field(name="aboveMainshockMag")


class Observation(msgspec.Struct, frozen=True):
    """The number of earthquakes of at least a magnitude that had occurred when the outlook was issued."""

    magnitude: float
    count: int


class OutlookModel(msgspec.Struct, frozen=True):
    """The model that simulated."""

    name: str
    reference: str
    parameters: dict[str, float]


class OutlookMainshock(msgspec.Struct, frozen=True):
    """The mainshock as it was known at the time of issue."""

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
    """`outlook-` with region, input partition and input sequence: the same log always gives the same outlook with the same id."""
    region: str
    issued_at: Instant
    """The stream's time; all spans start here."""
    cause: Cause
    """`schedule`, `mainshock` (a new mainshock is known) or `revision` (the former one was revised or deleted)."""
    supersedes: str | None
    """Id of the region's preceding outlook; None in the first one."""
    mainshock: OutlookMainshock | None
    """None when no event qualifies as a mainshock: see `stream.outlooks.schedule`."""
    observed_from: Instant
    """Start of the time that `observations` cover: after the mainshock, or the last 30 days."""
    magnitude_of_completeness: float
    events_in_window: int
    simulations: int
    cut: int
    """Simulations that were stopped because they grew too large; they count as larger than all others."""
    seed: int
    input_partition: int
    input_sequence: int
    """Sequence of the last input record that the outlook is based on."""
    creation_time: int = msgspec.field(name="creationTime")
    """Milliseconds since 1970, as all times below."""
    expire_time: int = msgspec.field(name="expireTime")
    """End of the longest span."""
    advisory_time_frame: str = msgspec.field(name="advisoryTimeFrame")
    """The span to show first."""
    template: str
    """`Mainshock`, or `Region` when there is none."""
    injectable_text: str = msgspec.field(name="injectableText")
    """The disclaimer for every reader."""
    observations: list[Observation]
    model: OutlookModel
    fractile_probabilities: list[float] = msgspec.field(name="fractileProbabilities")
    forecast: list[OutlookSpan]
    next_forecast_time: int = msgspec.field(name="nextForecastTime")
    """When the next outlook is due if no event arrives."""
    test: bool = False
    """True when it is not live."""


class CameSince(msgspec.Struct, frozen=True):
    """The number of events since an outlook was issued, for one of its spans."""

    label: str
    until: Instant
    """The end of the span, or the present time if that is earlier."""
    over: bool
    """Whether the whole span lies in the past."""
    counts: list[int]
    """The count for each of the span's bins."""


def count_earthquakes(events: Iterable[Event], magnitude: float, after: Instant, before: Instant) -> int:
    """Count the earthquakes of at least a magnitude with `after` < origin time < `before`."""
    return sum(
        event.type == EARTHQUAKE
        and event.magnitude is not None
        and event.magnitude >= magnitude - MAGNITUDE_ROUNDING
        and after < event.time < before
        for event in events
    )


def counts_since(outlook: RegionOutlook, events: Iterable[Event], now: Instant) -> list[CameSince]:
    """Count the events since an outlook was issued, for each of its spans and bins.

    Args:
        events: the region's events since then at least, in any order, each once.
    """
    events = tuple(events)
    spans = []
    for span in outlook.forecast:
        end = Instant(span.time_end)
        counts = [count_earthquakes(events, one.magnitude, outlook.issued_at, min(now, end)) for one in span.bins]
        spans.append(CameSince(span.label, min(now, end), now >= end, counts))
    return spans


def span_end(start: Instant, label: str) -> int:
    """Return the end of a span that begins at `start`, in milliseconds since 1970."""
    return int(start) + round(SPANS_DAYS[label] * MILLISECONDS_PER_DAY)


_decoder = msgspec.json.Decoder(RegionOutlook, dec_hook=decode_hook)


def decode_outlook(data: bytes) -> RegionOutlook:
    """Decode an outlook as it stands in its topic.

    Raises:
        msgspec.DecodeError: not JSON, or not an outlook.
    """
    return decode_with(_decoder, data)
