"""The HTTP application: all endpoints in one table, the stream, and what stands around them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ingest.event import encode
from ingest.metrics import CONTENT_TYPE
from stream.export import cap, geojson, quakeml
from stream.records import Explanation
from stream.records import api_answers as answers
from stream.serve.api import Api
from stream.serve.documents import Documents
from stream.serve.endpoint import JSON, Endpoint, refused
from stream.serve.errors import ApiError, Refusal, unavailable
from stream.serve.export_endpoints import Exports
from stream.serve.health_endpoints import Alive, ForecastsByRegion, Readiness, Wellness
from stream.serve.history_endpoints import History
from stream.serve.page_files import file_routes
from stream.serve.queries import Nothing, OfAlert, OfAlerts, OfEvents, OfOutcomes, OfRegion, OfRevision, OfSpan
from stream.serve.sse import Reading
from stream.serve.stream_endpoint import Subscription
from stream.serve.verification_endpoints import Judgement


def endpoints(api: Api, reading: Reading) -> list[Endpoint]:
    """All that answer JSON or a file, without the stream."""
    past, judgement, exports, wellness = History(api, reading), Judgement(api), Exports(api), Wellness(api)
    return [
        Endpoint("/v1/status", "How the feed, the forecasts and their delay are.", Nothing, api.status, answers.Status),
        Endpoint("/v1/regions", "All regions, each with its latest forecast.", Nothing, api.regions, answers.Regions),
        Endpoint("/v1/regions/{region}", "A region, its forecast, outlook and alerts.", OfRegion, api.one_region, answers.OneRegion),
        Endpoint("/v1/regions/{region}/forecasts", "A region's forecasts, oldest first.", OfSpan, past.forecasts, answers.History),
        Endpoint("/v1/regions/{region}/outlooks", "A region's outlooks, oldest first.", OfSpan, past.outlooks, answers.OutlookHistory),
        Endpoint("/v1/regions/{region}/outcomes", "Forecasts against what then came.", OfOutcomes, judgement.outcomes, answers.Outcomes),
        Endpoint("/v1/regions/{region}/explanation", "Why its forecast is what it is.", OfRegion, judgement.explanation, Explanation),
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
        Endpoint("/healthz", "Whether the program lives.", Nothing, wellness.healthz, Alive, is_open=True),
        Endpoint("/readyz", "Whether each thing this rests on is well.", Nothing, wellness.readyz, Readiness, body_of_503=Readiness),
        Endpoint("/metrics", "For Prometheus.", Nothing, wellness.metrics, None, CONTENT_TYPE),
        Endpoint("/forecasts.json", "The latest forecasts by region.", Nothing, wellness.forecasts, ForecastsByRegion),
    ]


def application(api: Api, reading: Reading, *, secured: bool = False) -> Starlette:
    """The application over an API.

    Args:
        secured: whether the gate before it asks for a token; its documents say so.
    """

    def check(path: str) -> None:
        if path.startswith("/v1/") and not api.hub.caught_up:
            raise unavailable("the log is still being read", "try again in a moment")

    own = endpoints(api, reading)
    documents = Documents(own, [region.id for region in api.sources.table], secured)
    routes = [endpoint.route(check) for endpoint in [*own, *documents.endpoints]]
    return Starlette(
        routes=[*routes, Subscription(api, reading).route(), *file_routes()],
        exception_handlers={ApiError: refused, HTTPException: _not_answered, Exception: _failed},
    )


async def _failed(_: Request, __: Exception) -> Response:
    """Ours: the log has the traceback."""
    said = Refusal("this server failed to answer", "tell whoever runs it; its log says more")
    return Response(encode(said), 500, media_type=JSON)


async def _not_answered(_: Request, error: Exception) -> Response:
    """No such path, or a method other than GET."""
    assert isinstance(error, HTTPException)
    said = Refusal("there is nothing at this path", "see /openapi.json")
    if error.status_code == 405:
        said = Refusal("only GET is answered", "ask with GET")
    return Response(encode(said), error.status_code, dict(error.headers or {}), media_type=JSON)
