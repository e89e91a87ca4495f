"""The endpoints that speak other formats: GeoJSON, QuakeML, CAP."""

from __future__ import annotations

import asyncio

from ingest.event import Event
from ingest.problem import Problem
from stream.export import cap, geojson, quakeml
from stream.records import KnownEvent
from stream.serve.api import Api, wall_clock
from stream.serve.endpoint import Content
from stream.serve.errors import not_found, unavailable
from stream.serve.queries import Nothing, OfEvents, OfRevision


class Exports:
    """Whole documents."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def forecasts_geojson(self, _: Nothing) -> Content:
        view, table = self._api.view, self._api.sources.table
        latest = [view.forecasts[region][-1] for region in sorted(view.forecasts)]
        return Content(await asyncio.to_thread(geojson.forecasts_geojson, latest, table), geojson.MEDIA_TYPE)

    async def events_geojson(self, question: OfEvents) -> Content:
        known = [(event.region, _event(event)) for event in self._api.events_of(question) if not event.deleted]
        return Content(geojson.events_geojson(known, self._api.view.stream_time or wall_clock()), geojson.MEDIA_TYPE)

    async def events_quakeml(self, question: OfEvents) -> Content:
        known = [_event(event) for event in self._api.events_of(question) if not event.deleted]
        return Content(await asyncio.to_thread(quakeml.events_quakeml, known), quakeml.MEDIA_TYPE)

    async def alert_cap(self, question: OfRevision) -> Content:
        revisions = self._api.revisions(question.id)
        wanted = revisions[-1].revision if question.revision is None else question.revision
        alert = next((one for one in revisions if one.revision == wanted), None)
        if alert is None:
            raise not_found("revision of that number", "choose one of /v1/alerts/{id}, or none for the latest")
        known = {one: _event(event) for one in alert.events if (event := self._api.view.events.get(one)) is not None}
        earlier = [one for one in revisions if one.revision < wanted]
        try:
            sources = self._api.sources
            return Content(cap.cap(alert, earlier, sources.table, known, sender=sources.cap_sender), cap.MEDIA_TYPE)
        except Problem as problem:
            raise unavailable(problem.what, problem.remedy) from None


def _event(known: KnownEvent) -> Event:
    return Event(**{name: getattr(known, name) for name in Event.__struct_fields__})
