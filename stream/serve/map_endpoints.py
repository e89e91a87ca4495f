"""Endpoints of the maps: a region's latest one, as JSON and as GeoJSON. Past ones are with the histories."""

from __future__ import annotations

import asyncio

import msgspec

from stream.export import GEOJSON_MEDIA_TYPE, map_geojson
from stream.records import DISCLAIMER, GriddedForecast, decode_map
from stream.records import api_answers as answers
from stream.serve.api import Api
from stream.serve.endpoint import Content
from stream.serve.errors import not_found
from stream.serve.queries import MapQuery, RegionQuery


class MapEndpoints:
    """Handlers that decode a map when it is asked for."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def latest(self, query: RegionQuery) -> answers.OneMap:
        return answers.OneMap(DISCLAIMER, self._latest(query.region))

    async def geojson(self, query: MapQuery) -> Content:
        forecast = self._latest(query.region)
        if forecast is None:
            raise not_found("map of that region yet", "maps are issued with the outlooks: see /v1/outlooks")
        magnitude = forecast.magnitudes[0] if query.magnitude is None else query.magnitude
        try:
            return Content(await asyncio.to_thread(map_geojson, forecast, magnitude), GEOJSON_MEDIA_TYPE)
        except ValueError as error:
            raise not_found(f"such magnitude: {error}", "choose one of them, or leave the parameter out") from None

    def _latest(self, region_id: str) -> GriddedForecast | None:
        """Return a region's latest map; None if there is none that this version can read."""
        body = self._api.view.maps.get(self._api.region(region_id).id)
        try:
            return None if body is None else decode_map(body)
        except msgspec.DecodeError:
            return None
