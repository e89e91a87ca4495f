"""Endpoints of `/openapi.json`, `/asyncapi.json` and `/schemas/…`. The documents are built once, at the start."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.records import schemas
from stream.serve.documents.asyncapi import asyncapi
from stream.serve.documents.openapi import openapi
from stream.serve.endpoint import JSON, Content, Endpoint
from stream.serve.errors import not_found
from stream.serve.queries import NoQuery, SchemaQuery

SCHEMA_MEDIA_TYPE = "application/schema+json"


class DocumentEndpoints:
    """Serves the descriptions of all endpoints, its own included.

    Args:
        endpoints: all other endpoints.
        regions: the ids of all regions.
        secured: whether requests need a token.
    """

    def __init__(self, endpoints: Sequence[Endpoint], regions: Sequence[str], secured: bool) -> None:
        self.endpoints = [
            Endpoint("/openapi.json", "This API, as an OpenAPI 3.1 document.", NoQuery, self._openapi, None),
            Endpoint("/asyncapi.json", "The topics and the stream, as an AsyncAPI 3.0 document.", NoQuery, self._asyncapi, None),
            Endpoint(
                "/schemas/{name}", "A record's JSON Schema, such as change.1.json.", SchemaQuery, self._schema, None, SCHEMA_MEDIA_TYPE
            ),
        ]
        self._openapi_body = msgspec.json.encode(openapi([*endpoints, *self.endpoints], regions, secured))
        self._asyncapi_body = msgspec.json.encode(asyncapi())
        self._schemas = {name: text.encode() for name, text in schemas().items()}

    async def _openapi(self, _: NoQuery) -> Content:
        return Content(self._openapi_body, JSON)

    async def _asyncapi(self, _: NoQuery) -> Content:
        return Content(self._asyncapi_body, JSON)

    async def _schema(self, query: SchemaQuery) -> Content:
        name = query.name if query.name.endswith(".json") else f"{query.name}.json"
        if name not in self._schemas:
            raise not_found("schema of that name", f"choose from {', '.join(self._schemas)}")
        return Content(self._schemas[name], SCHEMA_MEDIA_TYPE)
