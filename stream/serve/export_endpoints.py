"""Endpoints in exchange formats: GeoJSON, QuakeML, CAP."""

from __future__ import annotations

import asyncio

from ingest.event import Event
from ingest.problem import Problem
from stream.export import (
    CAP_MEDIA_TYPE,
    GEOJSON_MEDIA_TYPE,
    QUAKEML_MEDIA_TYPE,
    cap_message,
    events_geojson,
    events_quakeml,
    forecasts_geojson,
)
from stream.records import NOT_LIVE, KnownEvent
from stream.serve.api import Api, wall_clock
from stream.serve.endpoint import Content
from stream.serve.errors import not_found, unavailable
from stream.serve.queries import EventsQuery, NoQuery, RevisionQuery


class ExportEndpoints:
    """Handlers that return whole documents."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def forecasts_geojson(self, _: NoQuery) -> Content:
        view, table = self._api.view, self._api.sources.table
        latest = [view.forecasts[region][-1] for region in sorted(view.forecasts)]
        return Content(await asyncio.to_thread(forecasts_geojson, latest, table), GEOJSON_MEDIA_TYPE)

    async def events_geojson(self, query: EventsQuery) -> Content:
        view = self._api.view
        events = [(event.region, _event(event)) for event in self._api.events_of(query) if not event.deleted]
        return Content(events_geojson(events, view.stream_time or wall_clock(), test=view.why_not_live is not None), GEOJSON_MEDIA_TYPE)

    async def events_quakeml(self, query: EventsQuery) -> Content:
        events = [_event(event) for event in self._api.events_of(query) if not event.deleted]
        why = self._api.view.why_not_live
        return Content(await asyncio.to_thread(events_quakeml, events, None if why is None else NOT_LIVE[why]), QUAKEML_MEDIA_TYPE)

    async def alert_cap(self, query: RevisionQuery) -> Content:
        revisions = self._api.revisions(query.id)
        number = revisions[-1].revision if query.revision is None else query.revision
        alert = next((one for one in revisions if one.revision == number), None)
        if alert is None:
            raise not_found("revision of that number", "choose one that /v1/alerts/{id} lists, or leave the parameter out for the latest")
        events = {one: _event(event) for one in alert.events if (event := self._api.view.events.get(one)) is not None}
        earlier = [one for one in revisions if one.revision < number]
        try:
            sources = self._api.sources
            message = cap_message(alert, earlier, sources.table, events, sender=sources.cap_sender, web=sources.cap_web)
            return Content(message, CAP_MEDIA_TYPE)
        except Problem as problem:
            raise unavailable(problem.what, problem.remedy) from None


def _event(known_event: KnownEvent) -> Event:
    return Event(**{name: getattr(known_event, name) for name in Event.__struct_fields__})
