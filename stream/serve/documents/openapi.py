"""The OpenAPI 3.1 document, made from the table of endpoints: parameters from the questions' types, bodies from the answers' types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from stream.records import DISCLAIMER, schema_hook
from stream.serve.endpoint import JSON, Endpoint
from stream.serve.errors import Refusal
from stream.serve.queries import OfStream

REFERENCE = "#/components/schemas/{name}"
WHY_REFUSED = {
    "400": "A parameter, or the Host header, cannot be used.",
    "401": "A bearer token is needed.",
    "404": "There is no such thing.",
    "413": "The request has a body.",
    "429": "Too many requests from this address; see Retry-After.",
    "503": "Not ready yet, or something that this needs is not reachable; see Retry-After.",
}
STREAM = "/v1/stream"
_OTHER: dict[str, dict[str, Any]] = {"application/json": {"schema": {"type": "object"}}}
"""Of bodies that are no struct of ours."""
Schema = dict[str, Any]


def openapi(endpoints: Sequence[Endpoint], regions: Iterable[str], secured: bool) -> Schema:
    """The document.

    Args:
        endpoints: all but the stream.
        regions: the ids that parameters may name.
        secured: whether a token is asked for.
    """
    bodies = tuple({endpoint.body for endpoint in endpoints if endpoint.body is not None} | {Refusal})
    ordered = sorted(bodies, key=lambda body: str(body.__name__))
    _, components = msgspec.json.schema_components(ordered, schema_hook=schema_hook, ref_template=REFERENCE)
    known = list(regions)
    paths = {endpoint.path: {"get": _operation(endpoint, known, secured)} for endpoint in endpoints}
    document: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "quakecast", "version": version("quakecast"), "description": DISCLAIMER},
        "paths": paths | {STREAM: {"get": _stream(known, secured)}},
        "components": {"schemas": components},
    }
    if secured:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def parameters(question: type[msgspec.Struct], path: str, regions: list[str]) -> list[Schema]:
    """Of a question, those in the path first."""
    (reference,), definitions = msgspec.json.schema_components((question,), schema_hook=schema_hook, ref_template="{name}")
    schema = definitions[reference["$ref"]]
    in_path = re.findall(r"\{(\w+)\}", path)
    found = [_parameter(name, schema, name in in_path, regions) for name in schema["properties"]]
    return sorted(found, key=lambda one: one["in"] != "path")


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
        _OTHER.get(endpoint.media_type, {})
        if endpoint.body is None
        else {"schema": {"$ref": REFERENCE.format(name=endpoint.body.__name__)}}
    )
    refused = dict(WHY_REFUSED)
    if "{" not in endpoint.path:
        del refused["404"]
    responses = {"200": {"description": endpoint.summary, "content": {endpoint.media_type: content}}}
    operation: Schema = {
        "summary": endpoint.summary,
        "operationId": re.sub(r"\W+", "_", endpoint.path).strip("_"),
        "parameters": parameters(endpoint.question, endpoint.path, regions),
        "responses": responses | _refusals(refused, secured and not endpoint.is_open),
    }
    if endpoint.body_of_503 is not None:
        either = [_body(body)["schema"] for body in (endpoint.body_of_503, Refusal)]
        operation["responses"]["503"] = {"description": "Not ready.", "content": {JSON: {"schema": {"anyOf": either}}}}
    return operation | ({"security": []} if secured and endpoint.is_open else {})


def _body(kind: type[Any]) -> Schema:
    return {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}


def _refusals(why: dict[str, str], secured: bool) -> Schema:
    content = {JSON: _body(Refusal)}
    return {status: {"description": text, "content": content} for status, text in why.items() if secured or status != "401"}


def _stream(regions: list[str], secured: bool) -> Schema:
    header = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    header["description"] = "The last `id` that was received: go on after it."
    text = "Server-sent events: `event` names the topic, `data` is its record, `id` is a cursor. See /asyncapi.json."
    answer = {"description": text, "content": {"text/event-stream": {"schema": {"type": "string"}}}}
    return {
        "summary": "Records as they come.",
        "operationId": "v1_stream",
        "parameters": [*parameters(OfStream, STREAM, regions), header],
        "responses": {"200": answer} | _refusals(WHY_REFUSED, secured),
    }
