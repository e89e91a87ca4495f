"""The HTTP application: the table of all endpoints, the stream, the page, and the answers to errors."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ingest.event import encode
from ingest.metrics import CONTENT_TYPE
from stream.export import CAP_MEDIA_TYPE, GEOJSON_MEDIA_TYPE, QUAKEML_MEDIA_TYPE
from stream.records import Explanation
from stream.records import api_answers as answers
from stream.serve.api import Api
from stream.serve.documents import DocumentEndpoints
from stream.serve.endpoint import JSON, Endpoint, error_response
from stream.serve.errors import ApiError, Refusal, unavailable
from stream.serve.export_endpoints import ExportEndpoints
from stream.serve.health_endpoints import Alive, ForecastsByRegion, HealthEndpoints, Readiness
from stream.serve.history_endpoints import HistoryEndpoints
from stream.serve.map_endpoints import MapEndpoints
from stream.serve.page_files import file_routes
from stream.serve.queries import (
    AlertQuery,
    AlertsQuery,
    EventsQuery,
    MapQuery,
    MapsQuery,
    NoQuery,
    OutcomesQuery,
    RegionQuery,
    RevisionQuery,
    SpanQuery,
)
from stream.serve.sse import LogReader
from stream.serve.stream_endpoint import StreamEndpoint
from stream.serve.verification_endpoints import VerificationEndpoints


def endpoints(api: Api, log_reader: LogReader) -> list[Endpoint]:
    """Return all endpoints except the stream, the documents and the page."""
    history, exports = HistoryEndpoints(api, log_reader), ExportEndpoints(api)
    verification, maps = VerificationEndpoints(api), MapEndpoints(api)
    return [
        Endpoint("/v1/status", "State of the feed, the forecasts and their delays.", NoQuery, api.status, answers.Status),
        Endpoint("/v1/regions", "All regions, each with its latest forecast.", NoQuery, api.regions, answers.Regions),
        Endpoint("/v1/regions/{region}", "A region, its forecast, outlook and alerts.", RegionQuery, api.one_region, answers.OneRegion),
        Endpoint("/v1/regions/{region}/forecasts", "A region's forecasts, oldest first.", SpanQuery, history.forecasts, answers.History),
        Endpoint("/v1/regions/{region}/outlooks", "Its outlooks, oldest first.", SpanQuery, history.outlooks, answers.OutlookHistory),
        Endpoint("/v1/regions/{region}/maps", "Its maps, oldest first.", MapsQuery, history.maps, answers.MapHistory),
        Endpoint("/v1/regions/{region}/outcomes", "Its forecasts' outcomes.", OutcomesQuery, verification.outcomes, answers.Outcomes),
        Endpoint("/v1/regions/{region}/explanation", "Its forecast explained.", RegionQuery, verification.explanation, Explanation),
        Endpoint("/v1/forecasts", "The latest forecast of each region.", NoQuery, api.forecasts, answers.Forecasts),
        Endpoint("/v1/forecasts.geojson", "The same, as GeoJSON.", NoQuery, exports.forecasts_geojson, None, GEOJSON_MEDIA_TYPE),
        Endpoint("/v1/outlooks", "The latest outlook of each region.", NoQuery, api.outlooks, answers.Outlooks),
        Endpoint("/v1/maps/{region}", "A region's latest map: expected numbers by cell.", RegionQuery, maps.latest, answers.OneMap),
        Endpoint("/v1/maps/{region}/geojson", "The same, as GeoJSON.", MapQuery, maps.geojson, None, GEOJSON_MEDIA_TYPE),
        Endpoint("/v1/events", "Events in their current version, newest first.", EventsQuery, api.events, answers.Events),
        Endpoint("/v1/events.geojson", "The same, as GeoJSON.", EventsQuery, exports.events_geojson, None, GEOJSON_MEDIA_TYPE),
        Endpoint("/v1/events.quakeml", "The same, as QuakeML 1.2.", EventsQuery, exports.events_quakeml, None, QUAKEML_MEDIA_TYPE),
        Endpoint("/v1/alerts", "The latest revision of each alert, newest first.", AlertsQuery, api.alerts, answers.Alerts),
        Endpoint("/v1/alerts/{id}", "All revisions of an alert.", AlertQuery, api.alert, answers.Revisions),
        Endpoint("/v1/alerts/{id}/cap", "A revision of an alert, as CAP 1.2.", RevisionQuery, exports.alert_cap, None, CAP_MEDIA_TYPE),
        Endpoint("/v1/scores", "Scores of the forecasts, by region and overall.", NoQuery, verification.scores, answers.Scores),
        Endpoint("/v1/models", "The model in force and the promotions so far.", NoQuery, verification.models, answers.Models),
        *_monitoring_endpoints(HealthEndpoints(api)),
    ]


def _monitoring_endpoints(health: HealthEndpoints) -> list[Endpoint]:
    return [
        Endpoint("/healthz", "Whether the program runs.", NoQuery, health.healthz, Alive, is_open=True),
        Endpoint("/readyz", "Whether each dependency is healthy.", NoQuery, health.readyz, Readiness, body_of_503=Readiness),
        Endpoint("/metrics", "Metrics for Prometheus.", NoQuery, health.metrics, None, CONTENT_TYPE),
        Endpoint("/forecasts.json", "The latest forecasts by region.", NoQuery, health.forecasts, ForecastsByRegion),
    ]


def application(api: Api, log_reader: LogReader, *, secured: bool = False) -> Starlette:
    """Return the application.

    Args:
        api: the state that all endpoints use.
        log_reader: reads past records.
        secured: whether requests need a token; the OpenAPI document declares it.
    """

    def check(path: str) -> None:
        if path.startswith("/v1/") and not api.hub.caught_up:
            raise unavailable("the log is still being read", "try again in a moment")

    table = endpoints(api, log_reader)
    documents = DocumentEndpoints(table, [region.id for region in api.sources.table], secured)
    routes = [endpoint.route(check, lambda: api.view.why_not_live) for endpoint in [*table, *documents.endpoints]]
    served = Starlette(
        routes=[*routes, StreamEndpoint(api, log_reader).route(), *file_routes()],
        exception_handlers={ApiError: error_response, HTTPException: _http_error, Exception: _internal_error},
    )
    served.router.redirect_slashes = False  # a redirect would lead to the host that the request names
    return served


async def _internal_error(_: Request, __: Exception) -> Response:
    """Return the response for an unexpected error; the server's log has the traceback."""
    body = Refusal("this server failed to answer", "report it to its operator; the server's log has the details")
    return Response(encode(body), 500, media_type=JSON)


async def _http_error(_: Request, error: Exception) -> Response:
    """Return the response for an unknown path, or for a method other than GET."""
    assert isinstance(error, HTTPException)
    body = Refusal("there is nothing at this path", "see /openapi.json")
    if error.status_code == 405:
        body = Refusal("only GET is answered", "send a GET request")
    return Response(encode(body), error.status_code, dict(error.headers or {}), media_type=JSON)
