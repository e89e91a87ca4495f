"""`/openapi.json`, `/asyncapi.json` and `/schemas/…`: made once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.records import schemas
from stream.serve.documents.asyncapi import asyncapi
from stream.serve.documents.openapi import openapi
from stream.serve.endpoint import JSON, Content, Endpoint
from stream.serve.errors import not_found
from stream.serve.queries import Nothing, OfSchema

SCHEMA_MEDIA_TYPE = "application/schema+json"


class Documents:
    """Says what the API is; itself included.

    Args:
        endpoints: all others.
        regions: ids of the table.
        secured: whether a token is asked for.
    """

    def __init__(self, endpoints: Sequence[Endpoint], regions: Sequence[str], secured: bool) -> None:
        self.endpoints = [
            Endpoint("/openapi.json", "This API, by OpenAPI 3.1.", Nothing, self._openapi, None),
            Endpoint("/asyncapi.json", "The topics and the stream, by AsyncAPI 3.0.", Nothing, self._asyncapi, None),
            Endpoint("/schemas/{name}", "A record's JSON Schema, such as change.1.json.", OfSchema, self._schema, None, SCHEMA_MEDIA_TYPE),
        ]
        self._openapi_body = msgspec.json.encode(openapi([*endpoints, *self.endpoints], regions, secured))
        self._asyncapi_body = msgspec.json.encode(asyncapi())
        self._schemas = {name: text.encode() for name, text in schemas().items()}

    async def _openapi(self, _: Nothing) -> Content:
        return Content(self._openapi_body, JSON)

    async def _asyncapi(self, _: Nothing) -> Content:
        return Content(self._asyncapi_body, JSON)

    async def _schema(self, question: OfSchema) -> Content:
        name = question.name if question.name.endswith(".json") else f"{question.name}.json"
        if name not in self._schemas:
            raise not_found("schema of that name", f"choose from {', '.join(self._schemas)}")
        return Content(self._schemas[name], SCHEMA_MEDIA_TYPE)
