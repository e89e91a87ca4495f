"""The state that all endpoints use, and the handlers that answer from the view alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from ingest.bus import Log
from ingest.instant import Instant
from ingest.metrics import Exposition
from ingest.poller import STALE_AFTER_SECONDS, SourceStatus
from ingest.region import Region, RegionTable
from stream.export import DEFAULT_SENDER, region_geometry
from stream.monitoring import Health
from stream.records import DISCLAIMER, Alert, CameSince, Explanation, KnownEvent, RegionOutlook, counts_since
from stream.records import api_answers as answers
from stream.serve.errors import bad_request, not_found
from stream.serve.event_index import EventState
from stream.serve.metrics import watch_hub, watch_outlooks
from stream.serve.queries import AlertQuery, AlertsQuery, EventsQuery, NoQuery, RegionQuery
from stream.serve.sse import Hub
from stream.serve.store_positions import StorePositions
from stream.serve.view import View, median_or_none, percentile_99_or_none


class Sources(NamedTuple):
    """The sources of the answers."""

    table: RegionTable
    open_log: Callable[[], Log]
    """Opens a connection to the log, for one thread."""
    store_positions: StorePositions
    """The positions of the workers in the store."""
    poller: Callable[[], SourceStatus] | None = None
    """Returns the state of the poller, if the feed is polled in this process."""
    explain: Callable[[str], Explanation] | None = None
    """Returns a region's explanation."""
    health: Health = Health({})
    """Health of the dependencies of this process."""
    exposition: Exposition | None = None
    """The metrics of this process; None: only those of the server."""
    cap_sender: str = DEFAULT_SENDER
    """The sender of CAP messages."""
    cap_web: str | None = None
    """The address that CAP messages name for more information, where the source has no page about the earthquake."""


class Api:
    """Handlers that answer from the hub's view."""

    def __init__(self, sources: Sources, hub: Hub) -> None:
        self.sources, self.hub = sources, hub
        self.exposition = sources.exposition or Exposition()
        watch_hub(self.exposition, hub)
        watch_outlooks(self.exposition, self.outlooks_overdue_seconds)
        self._geometries = {region.id: region_geometry(sources.table, region.id) for region in sources.table}

    @property
    def view(self) -> View:
        return self.hub.view

    def region(self, region_id: str) -> Region:
        """Return a region of the table.

        Raises:
            ApiError: there is no region of that id.
        """
        if region_id not in self.sources.table:
            raise not_found("region of that id", "choose an id from /v1/regions")
        return self.sources.table[region_id]

    def check_regions(self, region_ids: Iterable[str]) -> None:
        """Check the region ids of a query.

        Raises:
            ApiError: one of them is not in the table.
        """
        if any(region_id not in self.sources.table for region_id in region_ids):
            raise bad_request("there is no region of that id", "choose ids from /v1/regions")

    async def status(self, _: NoQuery) -> answers.Status:
        view, now = self.view, wall_clock()
        seconds = view.latencies
        return answers.Status(
            DISCLAIMER,
            now,
            view.stream_time,
            self.feed(now),
            view.why_not_live is not None,
            view.why_not_live is None,
            view.why_not_live,
            await self.lag(),
            self.outlooks_overdue_seconds(),
            answers.Seconds(
                median_or_none(seconds.origin_to_log),
                median_or_none(seconds.log_to_forecast),
                percentile_99_or_none(seconds.log_to_forecast),
            ),
            None if view.model is None else answers.ModelInForce(*view.model),
            dict(view.dead_letters),
            answers.Counts(len(view.events), view.forecasts_read, len(view.active_alerts())),
        )

    def feed(self, now: Instant) -> answers.FeedState:
        """Return the state of the feed: from the poller if it runs in this process, else from the heartbeats in the log."""
        view = self.view
        polled = self.sources.poller() if self.sources.poller is not None else None
        age = None if view.stream_time is None else round((now - view.stream_time) / 1_000, 1)
        if polled is None:
            heard_at, trouble = view.heartbeat_read_at, None if view.outage is None else view.outage.trouble
        else:
            heard_at, trouble = None if polled.feed_time is None else polled.heard_at, polled.trouble
        just_started = heard_at is None and (polled is None or polled.failures == 0)  # only the log's own times are known
        heard_ago = round(time.monotonic() - heard_at, 1) if heard_at is not None else age if just_started else None
        is_stale = view.outage is not None or heard_ago is None or heard_ago > STALE_AFTER_SECONDS
        return answers.FeedState(view.stream_time, age, heard_ago, is_stale, trouble, view.catching_up)

    def outlooks_overdue_seconds(self) -> float | None:
        """Return for how long the most overdue outlook has been due; None without outlooks, or while the log is still being read."""
        return self.view.outlooks_overdue_seconds(self.sources.table) if self.hub.caught_up else None

    async def lag(self) -> int | None:
        """Return the number of input records that no worker has taken yet; None if the store does not answer."""
        positions = await self.sources.store_positions.positions()
        if positions is None:
            return None
        sequences = {partition: position.sequence for partition, position in positions.items()}
        return sum(max(0, last - sequences.get(partition, -1)) for partition, last in self.view.sequences.items())

    async def regions(self, _: NoQuery) -> answers.Regions:
        return answers.Regions(DISCLAIMER, [answers.RegionNow(*self._region_fields(region)) for region in self.sources.table])

    async def one_region(self, query: RegionQuery) -> answers.OneRegion:
        region = self.region(query.region)
        outlook = self.view.outlooks[region.id][-1] if region.id in self.view.outlooks else None
        return answers.OneRegion(
            *self._region_fields(region),
            disclaimer=DISCLAIMER,
            outlook=outlook,
            came_since=[] if outlook is None else self.came_since(outlook),
            alerts=[alert for alert in self.view.active_alerts() if alert.region == region.id],
        )

    def _region_fields(self, region: Region) -> tuple[Any, ...]:
        geometry, forecast = self._geometries[region.id], self.view.latest_forecast(region.id)
        return region.id, region.name, region.magnitude_of_completeness, region.window_days, geometry, forecast

    def came_since(self, outlook: RegionOutlook) -> list[CameSince]:
        """Return the counts of events since an outlook was issued, up to the stream time."""
        return counts_since(outlook, self.view.events.of_region(outlook.region), self.view.stream_time or outlook.issued_at)

    async def outlooks(self, _: NoQuery) -> answers.Outlooks:
        latest = [self.view.outlooks[region][-1] for region in sorted(self.view.outlooks)]
        return answers.Outlooks(DISCLAIMER, latest, {outlook.region: self.came_since(outlook) for outlook in latest})

    async def forecasts(self, _: NoQuery) -> answers.Forecasts:
        return answers.Forecasts(DISCLAIMER, [self.view.forecasts[region][-1] for region in sorted(self.view.forecasts)])

    async def events(self, query: EventsQuery) -> answers.Events:
        return answers.Events(list(self.events_of(query)))

    def events_of(self, query: EventsQuery) -> Iterator[KnownEvent]:
        """Return the events that match a query, newest first."""
        self.check_regions([] if query.region is None else [query.region])
        found = None if query.id is None else self.view.events.get(query.id)
        if query.id is not None and found is None:
            return iter(())
        wanted = None if found is None else found.id
        return islice(self.view.events.newest_first(lambda state: _matches(state, query, wanted)), query.limit)

    async def alerts(self, query: AlertsQuery) -> answers.Alerts:
        self.check_regions([] if query.region is None else [query.region])
        return answers.Alerts(DISCLAIMER, list(islice(self._alerts_of(query), query.limit)))

    def _alerts_of(self, query: AlertsQuery) -> Iterable[Alert]:
        fields: Mapping[str, Any] = {
            name: value for name in ("region", "rule", "kind", "test") if (value := getattr(query, name)) is not None
        }
        for revisions in reversed(self.view.alerts.values()):
            alert = revisions[-1]
            if any(getattr(alert, name) != value for name, value in fields.items()) or not _within(alert.issued_at, query):
                continue
            if query.active is None or query.active == self.view.is_active(alert):
                yield alert

    async def alert(self, query: AlertQuery) -> answers.Revisions:
        return answers.Revisions(DISCLAIMER, self.revisions(query.id))

    def revisions(self, alert_id: str) -> list[Alert]:
        """Return all revisions of an alert, the first one first.

        Raises:
            ApiError: there is no alert of that id.
        """
        if alert_id not in self.view.alerts:
            raise not_found("alert of that id", "choose an id from /v1/alerts")
        return self.view.alerts[alert_id]


def wall_clock() -> Instant:
    """Return the current time."""
    return Instant(round(time.time() * 1_000))


def _matches(state: EventState, query: EventsQuery, wanted: str | None) -> bool:
    magnitude = state.event.magnitude
    if wanted is not None and state.event.id != wanted:
        return False
    if query.region is not None and state.region != query.region:
        return False
    if query.min_magnitude is not None and (magnitude is None or magnitude < query.min_magnitude):
        return False
    return _within(state.event.time, query)


def _within(time_of_record: Instant, query: EventsQuery | AlertsQuery) -> bool:
    return (query.start is None or time_of_record >= query.start) and (query.end is None or time_of_record < query.end)
