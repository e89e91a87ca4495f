"""The bodies of the API's answers. Times are ISO 8601 UTC with milliseconds; units are part of the names."""

from __future__ import annotations

from typing import Any

import msgspec

from ingest.event import Promotion, WhyNotLive
from ingest.instant import Instant
from stream.records.activation import Activation
from stream.records.alert import Alert
from stream.records.calibration import Outcome, PitCounts
from stream.records.forecast import Forecast, Score
from stream.records.known_event import KnownEvent
from stream.records.map import GriddedForecast
from stream.records.outlook import CameSince, RegionOutlook


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that says whether it is live."""

    test: bool = False
    """True when the newest records, and so this answer, are not live: see `/v1/status`."""


class FeedState(msgspec.Struct, frozen=True):
    """The state of the source of events."""

    time: Instant | None
    """The latest time that the feed has reported."""
    age_seconds: float | None
    """The age of that time by this machine's clock."""
    heard_seconds_ago: float | None
    """Seconds since the poller last received news; seen from the log alone, since the last heartbeat was read. Until something has been
    received after a start, the age of the log's last heartbeat."""
    stale: bool
    """True when the feed has been silent for too long: events since then are unknown, so no news does not mean no earthquakes."""
    trouble: str | None
    catching_up: bool = False
    """True while the past is read from the source, at the first start or after a gap: no alert begins until it is in."""


class Seconds(msgspec.Struct, frozen=True):
    """Latencies in seconds; None before the first record."""

    origin_to_log_median: float | None
    """From an event's origin time to the feed's time at which it first appeared."""
    log_to_forecast_median: float | None
    """From reading an input record to reading its forecast, by this server's clock."""
    log_to_forecast_p99: float | None


class ModelInForce(msgspec.Struct, frozen=True):
    name: str
    since: Instant


class Counts(msgspec.Struct, frozen=True):
    """Counts over the last thirty days of the stream's time."""

    events: int
    forecasts: int
    alerts_active: int


class Status(Marked, frozen=True):
    """The state of the whole system."""

    disclaimer: str
    now: Instant
    stream_time: Instant | None
    feed: FeedState
    replay: bool
    """The opposite of `live`, as earlier versions said it."""
    live: bool
    """False when the newest records are not live: no alert of theirs is of a real earthquake of today."""
    why_not_live: WhyNotLive | None
    """`replay`, `simulation` (the source is simulated), `exercise` (a drill) or `clock` (the source's clock is far from ours)."""
    lag_records: int | None
    """Input records without a forecast yet; None when the windows cannot be reached."""
    outlooks_overdue_seconds: float | None
    """For how long the most overdue outlook has been due, by the stream's time; 0 if none is, None without outlooks."""
    latency_seconds: Seconds
    model: ModelInForce | None
    dead_letters: dict[str, int]
    """Dead letters by reason."""
    counts: Counts


class RegionNow(msgspec.Struct, frozen=True):
    """A region and its latest forecast."""

    id: str
    name: str
    magnitude_of_completeness: float
    window_days: float
    geometry: dict[str, Any] | None
    """GeoJSON Polygon or MultiPolygon, cut at the date line; None for an empty region."""
    forecast: Forecast | None


class Regions(Marked, frozen=True):
    disclaimer: str
    regions: list[RegionNow]


class OneRegion(RegionNow, frozen=True, kw_only=True):
    """A region with its latest outlook and its active alerts."""

    disclaimer: str
    outlook: RegionOutlook | None
    came_since: list[CameSince]
    """Counts of the events since the outlook was issued, for each of its spans and bins."""
    alerts: list[Alert]
    test: bool = False


class Forecasts(Marked, frozen=True):
    disclaimer: str
    forecasts: list[Forecast]


class History(Marked, frozen=True):
    """A region's forecasts, oldest first."""

    disclaimer: str
    forecasts: list[Forecast]
    more: bool
    """Whether the span holds more: continue from the time of the last one."""


class Outlooks(Marked, frozen=True):
    """The latest outlook of each region."""

    disclaimer: str
    outlooks: list[RegionOutlook]
    came_since: dict[str, list[CameSince]]
    """By region, counts of the events since its outlook was issued."""


class OutlookHistory(Marked, frozen=True):
    """A region's outlooks, oldest first."""

    disclaimer: str
    outlooks: list[RegionOutlook]
    more: bool


class OneMap(Marked, frozen=True):
    """A region's latest map; None before its first."""

    disclaimer: str
    map: GriddedForecast | None


class MapHistory(Marked, frozen=True):
    """A region's maps, oldest first."""

    disclaimer: str
    maps: list[GriddedForecast]
    more: bool


class RegionScore(msgspec.Struct, frozen=True):
    region: str
    model: str
    score: Score


class WorldScore(msgspec.Struct, frozen=True):
    """The scores of all regions together, weighted by their numbers of events."""

    events: int
    expected_events: dict[str, float]
    log_score_per_event: dict[str, float]
    gain_per_event: dict[str, float]
    missed_events: int
    withdrawn_events: int


class Scores(Marked, frozen=True):
    disclaimer: str
    regions: list[RegionScore]
    """By region, the score in its latest forecast."""
    world: WorldScore
    pit: PitCounts
    """Over at most the last thirty days."""


class Models(Marked, frozen=True):
    in_force: ModelInForce | None
    records: list[Promotion | Activation]
    """From the models topic, newest first."""


class Outcomes(Marked, frozen=True):
    disclaimer: str
    outcomes: list[Outcome]
    """Newest first."""


class Events(Marked, frozen=True):
    events: list[KnownEvent]


class Alerts(Marked, frozen=True):
    disclaimer: str
    alerts: list[Alert]


class Revisions(Marked, frozen=True):
    disclaimer: str
    revisions: list[Alert]
    """From the first to the last."""
