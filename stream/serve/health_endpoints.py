"""Endpoints for monitoring: `/healthz`, `/readyz`, `/metrics`; and `/forecasts.json`, the latest forecasts in one small answer."""

from __future__ import annotations

import msgspec

from ingest.event import encode
from ingest.instant import Instant
from ingest.metrics import CONTENT_TYPE
from stream.records import DISCLAIMER, Forecast
from stream.serve.api import Api, wall_clock
from stream.serve.endpoint import JSON, Content
from stream.serve.queries import NoQuery


class Alive(msgspec.Struct, frozen=True):
    """The program runs, since it answers; the fields give a first overview."""

    status: str
    """`ok` or `feed stale`."""
    feed_time: Instant | None
    feed_heard_seconds_ago: float | None
    feed_failures_in_a_row: int
    feed_trouble: str | None
    dead_letters_by_reason: dict[str, int]
    partitions: dict[str, int]
    """By partition, the number of the last input record that the workers have taken."""


class Dependency(msgspec.Struct, frozen=True):
    ok: bool
    why: str


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    checks: dict[str, Dependency]
    """By name."""


class ForecastsByRegion(msgspec.Struct, frozen=True):
    disclaimer: str
    forecasts: dict[str, Forecast]


LONGEST_OVERDUE_SECONDS = 3_600.0
"""After a long earthquake sequence, outlooks of several regions wait for each other, for minutes each."""


class HealthEndpoints:
    """Handlers that answer from the view and the latest health checks."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def healthz(self, _: NoQuery) -> Alive:
        polled = self._api.sources.poller() if self._api.sources.poller is not None else None
        feed, positions = self._api.feed(wall_clock()), await self._api.sources.store_positions.positions()
        return Alive(
            "feed stale" if feed.stale else "ok",
            feed.time,
            feed.heard_seconds_ago,
            0 if polled is None else polled.failures,
            feed.trouble,
            dict(self._api.view.dead_letters),
            {str(partition): position.sequence for partition, position in (positions or {}).items()},
        )

    async def readyz(self, _: NoQuery) -> Content:
        """Return the latest check of each dependency, and whether this server has read the log and the outlooks keep up; status 503 unless
        all are healthy."""
        caught_up = self._api.hub.caught_up
        checks = {name: Dependency(check.ok, check.why) for name, check in self._api.sources.health.checks().items()}
        checks["view"] = Dependency(caught_up, "the log has been read" if caught_up else "the log is still being read")
        if (overdue := self._api.outlooks_overdue_seconds()) is not None:
            checks["outlooks"] = _check_outlooks(overdue)
        ready = all(check.ok for check in checks.values())
        return Content(encode(Readiness(ready, checks)), JSON, 200 if ready else 503)

    async def metrics(self, _: NoQuery) -> Content:
        return Content(self._api.exposition.text(), CONTENT_TYPE)

    async def forecasts(self, _: NoQuery) -> ForecastsByRegion:
        return ForecastsByRegion(DISCLAIMER, {region: recent[-1] for region, recent in self._api.view.forecasts.items()})


def _check_outlooks(overdue_seconds: float) -> Dependency:
    why = "none is overdue" if overdue_seconds == 0.0 else f"the most overdue one has been due for {overdue_seconds:.0f} s"
    return Dependency(overdue_seconds <= LONGEST_OVERDUE_SECONDS, why)
