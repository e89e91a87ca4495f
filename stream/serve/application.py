"""The HTTP application: all endpoints in one table, the stream, and what stands around them."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ingest.event import encode
from ingest.metrics import CONTENT_TYPE
from stream.disclaimer import DISCLAIMER
from stream.export import cap, geojson, quakeml
from stream.serve import answers
from stream.serve.api import Api, wall_clock
from stream.serve.endpoint import JSON, Content, Endpoint, refused
from stream.serve.exports import Exports
from stream.serve.files import file_routes
from stream.serve.history import History
from stream.serve.judgement import Judgement
from stream.serve.questions import Nothing, OfAlert, OfAlerts, OfEvents, OfOutcomes, OfRegion, OfRevision, OfSpan
from stream.serve.reading import Reading
from stream.serve.refusal import Refusal, Refused, unavailable
from stream.serve.subscription import Subscription


def endpoints(api: Api, reading: Reading) -> list[Endpoint]:
    """All that answer JSON or a file, without the stream."""
    past, judgement, exports = History(api, reading), Judgement(api), Exports(api)
    return [
        Endpoint("/v1/status", "How the feed, the forecasts and their delay are.", Nothing, api.status, answers.Status),
        Endpoint("/v1/regions", "All regions, each with its latest forecast.", Nothing, api.regions, answers.Regions),
        Endpoint("/v1/regions/{region}", "A region, its forecast, outlook and alerts.", OfRegion, api.one_region, answers.OneRegion),
        Endpoint("/v1/regions/{region}/forecasts", "A region's forecasts, oldest first.", OfSpan, past.forecasts, answers.History),
        Endpoint("/v1/regions/{region}/outlooks", "A region's outlooks, oldest first.", OfSpan, past.outlooks, answers.OutlookHistory),
        Endpoint("/v1/regions/{region}/outcomes", "Forecasts against what then came.", OfOutcomes, judgement.outcomes, answers.Outcomes),
        Endpoint("/v1/regions/{region}/explanation", "Why its forecast is what it is.", OfRegion, judgement.explanation, None),
        Endpoint("/v1/forecasts", "The latest forecast of each region.", Nothing, api.forecasts, answers.Forecasts),
        Endpoint("/v1/forecasts.geojson", "The same as GeoJSON.", Nothing, exports.forecasts_geojson, None, geojson.MEDIA_TYPE),
        Endpoint("/v1/outlooks", "The latest outlook of each region.", Nothing, api.outlooks, answers.Outlooks),
        Endpoint("/v1/events", "Events as they are known now, newest first.", OfEvents, api.events, answers.Events),
        Endpoint("/v1/events.geojson", "The same as GeoJSON.", OfEvents, exports.events_geojson, None, geojson.MEDIA_TYPE),
        Endpoint("/v1/events.quakeml", "The same as QuakeML 1.2.", OfEvents, exports.events_quakeml, None, quakeml.MEDIA_TYPE),
        Endpoint("/v1/alerts", "The latest revision of each alert, newest first.", OfAlerts, api.alerts, answers.Alerts),
        Endpoint("/v1/alerts/{id}", "All revisions of an alert.", OfAlert, api.alert, answers.Revisions),
        Endpoint("/v1/alerts/{id}/cap", "An alert in CAP 1.2.", OfRevision, exports.alert_cap, None, cap.MEDIA_TYPE),
        Endpoint("/v1/scores", "How good the forecasts were.", Nothing, judgement.scores, answers.Scores),
        Endpoint("/v1/models", "Who forecasts, and who did.", Nothing, judgement.models, answers.Models),
        Endpoint("/healthz", "Whether the program lives, and how the feed is.", Nothing, Health(api).healthz, None),
        Endpoint("/readyz", "Whether each thing this rests on is well, by name.", Nothing, Health(api).readyz, None),
        Endpoint("/metrics", "For Prometheus.", Nothing, Health(api).metrics, None, CONTENT_TYPE),
        Endpoint("/forecasts.json", "The latest forecasts by region.", Nothing, Health(api).forecasts, None),
    ]


class Health:
    """`/healthz`, `/readyz`, `/metrics` and `/forecasts.json`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def healthz(self, _: Nothing) -> Content:
        polled = self._api.sources.poller() if self._api.sources.poller is not None else None
        feed, positions = self._api.feed(wall_clock()), await self._api.sources.windows.positions()
        body = {
            "status": "feed stale" if feed.stale else "ok",
            "feed_time": None if feed.time is None else str(feed.time),
            "feed_heard_seconds_ago": feed.heard_seconds_ago,
            "feed_failures_in_a_row": 0 if polled is None else polled.failures,
            "feed_trouble": feed.trouble,
            "dead_letters_by_reason": dict(self._api.view.dead_letters),
            "partitions": {str(partition): position.sequence for partition, position in (positions or {}).items()},
        }
        return Content(msgspec.json.encode(body), JSON)

    async def readyz(self, _: Nothing) -> Content:
        """The last looks at each dependency, and whether this server has read the log: 503 unless all are well."""
        checks, caught_up = self._api.sources.health.checks(), self._api.hub.caught_up
        told = {name: {"ok": check.ok, "why": check.why} for name, check in checks.items()}
        told["view"] = {"ok": caught_up, "why": "the log has been read" if caught_up else "the log is still being read"}
        ready = all(check["ok"] for check in told.values())
        return Content(msgspec.json.encode({"ready": ready, "checks": told}), JSON, 200 if ready else 503)

    async def metrics(self, _: Nothing) -> Content:
        return Content(self._api.exposition.text(), CONTENT_TYPE)

    async def forecasts(self, _: Nothing) -> Content:
        latest = {region: msgspec.Raw(encode(kept[-1])) for region, kept in self._api.view.forecasts.items()}
        return Content(msgspec.json.encode({"disclaimer": DISCLAIMER, "forecasts": latest}), JSON)


def application(api: Api, reading: Reading) -> Starlette:
    """The application over an API."""

    def check(path: str) -> None:
        if path.startswith("/v1/") and not api.hub.caught_up:
            raise unavailable("the log is still being read", "try again in a moment")

    routes = [endpoint.route(check) for endpoint in endpoints(api, reading)]
    return Starlette(
        routes=[*routes, Subscription(api, reading).route(), *file_routes()],
        exception_handlers={Refused: refused, HTTPException: _not_answered},
    )


async def _not_answered(_: Request, error: Exception) -> Response:
    """No such path, or a method other than GET."""
    assert isinstance(error, HTTPException)
    said = Refusal("there is nothing at this path", "see /openapi.json")
    if error.status_code == 405:
        said = Refusal("only GET is answered", "ask with GET")
    return Response(encode(said), error.status_code, dict(error.headers or {}), media_type=JSON)
