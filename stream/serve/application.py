"""`/healthz` and `/forecasts.json`."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.poller import Status
from stream.disclaimer import DISCLAIMER
from stream.store.protocol import Store

STALE_AFTER_SECONDS = 300.0


def application(store: Store, status: Callable[[], Status], dead_letters: Callable[[], dict[str, int]]) -> Starlette:
    """The endpoints over a store and a poller's status."""

    async def healthz(_: Request) -> Response:
        feed = status()
        age = None if feed.heard_at is None else round(time.monotonic() - feed.heard_at, 1)
        stale = age is None or age > STALE_AFTER_SECONDS
        body = {
            "status": "feed stale" if stale else "ok",
            "feed_time": None if feed.feed_time is None else str(feed.feed_time),
            "feed_heard_seconds_ago": age,
            "feed_failures_in_a_row": feed.failures,
            "feed_trouble": feed.trouble,
            "dead_letters_by_reason": dead_letters(),
            "partitions": {str(partition): position.sequence for partition, position in store.positions().items()},
        }
        return JSONResponse(body)

    async def forecasts(_: Request) -> Response:
        body = {"disclaimer": DISCLAIMER, "forecasts": {region: msgspec.Raw(record) for region, record in store.forecasts().items()}}
        return Response(msgspec.json.encode(body), media_type="application/json")

    return Starlette(routes=[Route("/healthz", healthz), Route("/forecasts.json", forecasts)])
