"""The OpenAPI 3.1 document, generated from the table of endpoints: parameters from the query types, bodies from the answer types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from stream.records import DISCLAIMER, schema_hook
from stream.serve.endpoint import JSON, Endpoint
from stream.serve.errors import Refusal
from stream.serve.queries import StreamQuery

REFERENCE = "#/components/schemas/{name}"
ERROR_DESCRIPTIONS = {
    "400": "A parameter, or the Host header, cannot be used.",
    "401": "A bearer token is needed.",
    "404": "There is nothing of that id or name.",
    "413": "The request has a body.",
    "429": "Too many requests from this address; see Retry-After.",
    "503": "Not ready yet, or a dependency does not answer; see Retry-After.",
}
STREAM = "/v1/stream"
_OBJECT_BY_MEDIA_TYPE: dict[str, dict[str, Any]] = {"application/json": {"schema": {"type": "object"}}}
"""The schema of JSON bodies that have no struct."""
Schema = dict[str, Any]


def openapi(endpoints: Sequence[Endpoint], regions: Iterable[str], secured: bool) -> Schema:
    """Return the document.

    Args:
        endpoints: all endpoints except the stream.
        regions: the region ids that parameters accept.
        secured: whether requests need a token.
    """
    bodies = tuple({endpoint.body for endpoint in endpoints if endpoint.body is not None} | {Refusal})
    ordered = sorted(bodies, key=lambda body: str(body.__name__))
    _, components = msgspec.json.schema_components(ordered, schema_hook=schema_hook, ref_template=REFERENCE)
    region_ids = list(regions)
    paths = {endpoint.path: {"get": _operation(endpoint, region_ids, secured)} for endpoint in endpoints}
    document: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "quakecast", "version": version("quakecast"), "description": DISCLAIMER},
        "paths": paths | {STREAM: {"get": _stream(region_ids, secured)}},
        "components": {"schemas": components},
    }
    if secured:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def parameters(query: type[msgspec.Struct], path: str, regions: list[str]) -> list[Schema]:
    """Return the parameters of a query, those in the path first."""
    (reference,), definitions = msgspec.json.schema_components((query,), schema_hook=schema_hook, ref_template="{name}")
    schema = definitions[reference["$ref"]]
    in_path = re.findall(r"\{(\w+)\}", path)
    described = [_parameter(name, schema, name in in_path, regions) for name in schema["properties"]]
    return sorted(described, key=lambda one: one["in"] != "path")


def _parameter(name: str, of: Schema, in_path: bool, regions: list[str]) -> Schema:
    schema = dict(of["properties"][name])
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    schema |= choices[0] if choices else {}
    if schema.get("default", 0) is None:
        del schema["default"]
    if schema.pop("x-region", False):
        schema["enum"] = regions
    examples = schema.pop("examples", [])
    parameter: Schema = {"name": name, "in": "path" if in_path else "query", "required": in_path or name in of.get("required", ())}
    if description := schema.pop("description", ""):
        parameter["description"] = description
    if examples:
        parameter["examples"] = {example: {"value": example} for example in examples}
    return parameter | {"schema": schema}


def _operation(endpoint: Endpoint, regions: list[str], secured: bool) -> Schema:
    content: Schema = (
        _OBJECT_BY_MEDIA_TYPE.get(endpoint.media_type, {})
        if endpoint.body is None
        else {"schema": {"$ref": REFERENCE.format(name=endpoint.body.__name__)}}
    )
    errors = dict(ERROR_DESCRIPTIONS)
    if "{" not in endpoint.path:
        del errors["404"]
    responses = {"200": {"description": endpoint.summary, "content": {endpoint.media_type: content}}}
    operation: Schema = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", endpoint.path).strip("_"),
        "parameters": parameters(endpoint.query, endpoint.path, regions),
        "responses": responses | _error_responses(errors, secured and not endpoint.is_open),
    }
    if endpoint.body_of_503 is not None:
        either = [_body(body)["schema"] for body in (endpoint.body_of_503, Refusal)]
        operation["responses"]["503"] = {"description": "Not ready.", "content": {JSON: {"schema": {"anyOf": either}}}}
    return operation | ({"security": []} if secured and endpoint.is_open else {})


def _body(kind: type[Any]) -> Schema:
    return {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}


def _error_responses(descriptions: dict[str, str], secured: bool) -> Schema:
    content = {JSON: _body(Refusal)}
    return {status: {"description": text, "content": content} for status, text in descriptions.items() if secured or status != "401"}


def _stream(regions: list[str], secured: bool) -> Schema:
    header = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    header["description"] = "The last `id` that was received: the stream continues after it."
    text = "Server-sent events: `event` names the topic, `data` is its record, `id` is a cursor. See /asyncapi.json."
    answer = {"description": text, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {
        "summary": "Records as they are written, as server-sent events.",
        "operationId": "v1_stream",
        "parameters": [*parameters(StreamQuery, STREAM, regions), header],
        "responses": {"200": answer} | _error_responses(ERROR_DESCRIPTIONS, secured),
    }
