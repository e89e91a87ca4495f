"""What the endpoints share, and those that answer from the view alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from ingest.bus import Log
from ingest.instant import Instant
from ingest.metrics import Exposition
from ingest.poller import STALE_AFTER_SECONDS
from ingest.poller import Status as PollerStatus
from ingest.region import Region, RegionTable
from stream.export import SENDER, region_geometry
from stream.monitoring import Health
from stream.records import DISCLAIMER, Alert, CameSince, Explanation, KnownEvent, RegionOutlook, came_since
from stream.records import api_answers as answers
from stream.serve.errors import bad_request, not_found
from stream.serve.event_index import EventState
from stream.serve.metrics import watch_hub
from stream.serve.queries import Nothing, OfAlert, OfAlerts, OfEvents, OfRegion
from stream.serve.sse import Hub
from stream.serve.store_positions import Windows
from stream.serve.view import View, median_of, percentile_99_of


class Sources(NamedTuple):
    """Where the answers come from."""

    table: RegionTable
    open_log: Callable[[], Log]
    """A connection to the log for one more thread."""
    windows: Windows
    """How far the forecasts are."""
    poller: Callable[[], PollerStatus] | None = None
    """How the feed is, from who polls it in this process."""
    explain: Callable[[str], Explanation] | None = None
    """A region's explanation."""
    health: Health = Health({})
    """How all that this process rests on is."""
    exposition: Exposition | None = None
    """What this process tells Prometheus; none: the server's own part alone."""
    cap_sender: str = SENDER
    """In whose name alerts are told as CAP messages."""


class Api:
    """Answers questions from the hub's view."""

    def __init__(self, sources: Sources, hub: Hub) -> None:
        self.sources, self.hub = sources, hub
        self.exposition = sources.exposition or Exposition()
        watch_hub(self.exposition, hub)
        self._shapes = {region.id: region_geometry(sources.table, region.id) for region in sources.table}

    @property
    def view(self) -> View:
        return self.hub.view

    def region(self, region_id: str) -> Region:
        """A region of the table.

        Raises:
            Refused: there is none of that id.
        """
        if region_id not in self.sources.table:
            raise not_found("region of that id", "choose an id from /v1/regions")
        return self.sources.table[region_id]

    def check_regions(self, region_ids: Iterable[str]) -> None:
        """Regions that a query filters by.

        Raises:
            Refused: the table has one of them not.
        """
        if any(region_id not in self.sources.table for region_id in region_ids):
            raise bad_request("there is no region of that id", "choose ids from /v1/regions")

    async def status(self, _: Nothing) -> answers.Status:
        view, now = self.view, wall_clock()
        seconds = view.latencies
        return answers.Status(
            DISCLAIMER,
            now,
            view.stream_time,
            self.feed(now),
            view.replayed,
            await self.lag(),
            answers.Seconds(
                median_of(seconds.origin_to_log), median_of(seconds.log_to_forecast), percentile_99_of(seconds.log_to_forecast)
            ),
            None if view.model is None else answers.ModelInForce(*view.model),
            dict(view.dead_letters),
            answers.Counts(len(view.events), view.forecasts_read, len(view.active_alerts())),
        )

    def feed(self, now: Instant) -> answers.FeedState:
        """How the feed is: from its poller where that is in this process, else from the heartbeats in the log."""
        view = self.view
        polled = self.sources.poller() if self.sources.poller is not None else None
        age = None if view.stream_time is None else round((now - view.stream_time) / 1_000, 1)
        heard_at = view.heard if polled is None else None if polled.feed_time is None else polled.heard_at
        heard = None if heard_at is None else round(time.monotonic() - heard_at, 1)
        since = heard if heard is not None or polled is not None else age  # just started: the log's own times are all that is known
        stale = view.outage is not None or since is None or since > STALE_AFTER_SECONDS
        trouble = polled.trouble if polled is not None else None if view.outage is None else view.outage.trouble
        return answers.FeedState(view.stream_time, age, heard, stale, trouble)

    async def lag(self) -> int | None:
        """Input records that are in the log and not yet in the windows; none when those cannot be reached."""
        positions = await self.sources.windows.positions()
        if positions is None:
            return None
        done = {partition: position.sequence for partition, position in positions.items()}
        return sum(max(0, last - done.get(partition, -1)) for partition, last in self.view.sequences.items())

    async def regions(self, _: Nothing) -> answers.Regions:
        return answers.Regions(DISCLAIMER, [answers.RegionNow(*self._now(region)) for region in self.sources.table])

    async def one_region(self, question: OfRegion) -> answers.OneRegion:
        region = self.region(question.region)
        outlook = self.view.outlooks[region.id][-1] if region.id in self.view.outlooks else None
        return answers.OneRegion(
            *self._now(region),
            disclaimer=DISCLAIMER,
            outlook=outlook,
            came_since=[] if outlook is None else self.came_since(outlook),
            alerts=[alert for alert in self.view.active_alerts() if alert.region == region.id],
        )

    def _now(self, region: Region) -> tuple[Any, ...]:
        shape, forecast = self._shapes[region.id], self.view.latest_forecast(region.id)
        return region.id, region.name, region.magnitude_of_completeness, region.window_days, shape, forecast

    def came_since(self, outlook: RegionOutlook) -> list[CameSince]:
        """What came since an outlook was issued, by now (the stream's)."""
        return came_since(outlook, self.view.events.of_region(outlook.region), self.view.stream_time or outlook.issued_at)

    async def outlooks(self, _: Nothing) -> answers.Outlooks:
        latest = [self.view.outlooks[region][-1] for region in sorted(self.view.outlooks)]
        return answers.Outlooks(DISCLAIMER, latest, {outlook.region: self.came_since(outlook) for outlook in latest})

    async def forecasts(self, _: Nothing) -> answers.Forecasts:
        return answers.Forecasts(DISCLAIMER, [self.view.forecasts[region][-1] for region in sorted(self.view.forecasts)])

    async def events(self, question: OfEvents) -> answers.Events:
        return answers.Events(list(self.events_of(question)))

    def events_of(self, question: OfEvents) -> Iterator[KnownEvent]:
        """The events asked for, newest first."""
        self.check_regions([] if question.region is None else [question.region])
        return islice(self.view.events.newest_first(lambda told: _fits(told, question)), question.limit)

    async def alerts(self, question: OfAlerts) -> answers.Alerts:
        self.check_regions([] if question.region is None else [question.region])
        return answers.Alerts(DISCLAIMER, list(islice(self._alerts_of(question), question.limit)))

    def _alerts_of(self, question: OfAlerts) -> Iterable[Alert]:
        wanted: Mapping[str, Any] = {
            name: value for name in ("region", "rule", "kind", "test") if (value := getattr(question, name)) is not None
        }
        for revisions in reversed(self.view.alerts.values()):
            alert = revisions[-1]
            if any(getattr(alert, name) != value for name, value in wanted.items()) or not _within(alert.issued_at, question):
                continue
            if question.active is None or question.active == self.view.is_active(alert):
                yield alert

    async def alert(self, question: OfAlert) -> answers.Revisions:
        return answers.Revisions(DISCLAIMER, self.revisions(question.id))

    def revisions(self, alert_id: str) -> list[Alert]:
        """All revisions of an alert.

        Raises:
            Refused: there is no alert of that id.
        """
        if alert_id not in self.view.alerts:
            raise not_found("alert of that id", "choose an id from /v1/alerts")
        return self.view.alerts[alert_id]


def wall_clock() -> Instant:
    """Now."""
    return Instant(round(time.time() * 1_000))


def _fits(told: EventState, question: OfEvents) -> bool:
    magnitude = told.event.magnitude
    if question.region is not None and told.region != question.region:
        return False
    if question.min_magnitude is not None and (magnitude is None or magnitude < question.min_magnitude):
        return False
    return _within(told.event.time, question)


def _within(moment: Instant, question: OfEvents | OfAlerts) -> bool:
    return (question.start is None or moment >= question.start) and (question.end is None or moment < question.end)
