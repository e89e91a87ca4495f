"""The AsyncAPI 3.0 document: the topics of the log as they are on Kafka, and the live stream of the HTTP API."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import msgspec

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MAPS, MODELS, OUTLOOKS, TOPICS
from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, encode
from stream.records import DISCLAIMER, RECORDS, Activation, Alert, Forecast, GriddedForecast, RegionOutlook, example_of, schema_hook
from stream.serve.sse import STREAMED

RECORDS_BY_TOPIC: dict[str, tuple[type[msgspec.Struct], ...]] = {
    EVENTS: (Change, Heartbeat, Outage, Promotion),
    FORECASTS: (Forecast,),
    OUTLOOKS: (RegionOutlook,),
    MAPS: (GriddedForecast,),
    ALERTS: (Alert,),
    DEAD_LETTERS: (DeadLetter,),
    MODELS: (Promotion, Activation),
}
"""By topic, the types of its records."""
KEY_BY_TOPIC = {
    EVENTS: "event id, or the source", FORECASTS: "region id", OUTLOOKS: "region id", MAPS: "region id", ALERTS: "alert id",
    DEAD_LETTERS: "source", MODELS: "kind",
}  # fmt: skip
DESCRIPTION_BY_TOPIC = {
    EVENTS: "Changes of events in the feed, heartbeats and outages of the feed, and marks of promotions.",
    FORECASTS: "A forecast of a region after each change, and again when time without events has changed it.",
    OUTLOOKS: "Outlooks: expected numbers of earthquakes in the next day, week, month and year.",
    MAPS: "Maps, issued with the outlooks: expected numbers of earthquakes by cell for the next day, week, month and year.",
    ALERTS: "Revisions of alerts: initial, update, retraction.",
    DEAD_LETTERS: "Input that could not be used, or only in part, and why.",
    MODELS: "Promotions of models, and from which record on they are in force.",
}
Schema = dict[str, Any]


def asyncapi() -> Schema:
    """Return the document."""
    _, schemas = msgspec.json.schema_components(RECORDS, schema_hook=schema_hook, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "quakecast", "version": version("quakecast"), "description": DISCLAIMER},
        "defaultContentType": "application/json",
        "servers": {
            "log": {
                "host": "broker:9092",
                "protocol": "kafka",
                "description": "The log, if it is on Kafka. Read committed records only (isolation.level=read_committed).",
            },
            "http": {"host": "127.0.0.1:8080", "protocol": "http", "description": "The HTTP server: quakecast serve, or quakecast up."},
        },
        "channels": {_short(topic): _topic(topic) for topic in TOPICS} | {"stream": _stream()},
        "operations": {f"send_{name}": _send_operation(name) for name in [*map(_short, TOPICS), "stream"]},
        "components": {"messages": {record.__name__: _message(record) for record in RECORDS}, "schemas": schemas},
    }


def _short(topic: str) -> str:
    return topic.partition(".")[2]


def _send_operation(channel: str) -> Schema:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": f"Records of {channel}, as they are written."}


def _topic(topic: str) -> Schema:
    return {
        "address": topic,
        "title": topic,
        "description": f"{DESCRIPTION_BY_TOPIC[topic]} Key: {KEY_BY_TOPIC[topic]}.",
        "servers": [{"$ref": "#/servers/log"}],
        "messages": {record.__name__: {"$ref": f"#/components/messages/{record.__name__}"} for record in RECORDS_BY_TOPIC[topic]},
        "bindings": {"kafka": {"topic": topic, "partitions": TOPICS[topic], "bindingVersion": "0.5.0"}},
    }


def _stream() -> Schema:
    records = dict.fromkeys(record for topic in STREAMED.values() for record in RECORDS_BY_TOPIC[topic])
    names = {topic: name for name, topic in STREAMED.items()}
    topics = ", ".join(f"`{names[topic]}` for {topic}" for topic in STREAMED.values())
    text = (
        "Server-sent events (WHATWG HTML, 9.2). `event` is the topic's short name, `data` is the record as in the topic, `id` is a cursor: "
    )
    text += (
        f"send it in the header Last-Event-ID, or as `after`, to get the records after it. Topics: {topics}. Parameters: see /openapi.json."
    )
    return {
        "address": "/v1/stream",
        "title": "The stream",
        "description": text,
        "servers": [{"$ref": "#/servers/http"}],
        "messages": {record.__name__: {"$ref": f"#/components/messages/{record.__name__}"} for record in records},
        "bindings": {"http": {}},
    }


def _message(record: type[msgspec.Struct]) -> Schema:
    return {
        "name": str(record.__struct_config__.tag),
        "contentType": "application/json",
        "summary": (record.__doc__ or "").split(". ")[0].split("\n")[0].strip(),
        "payload": {"$ref": f"#/components/schemas/{record.__name__}"},
        "examples": [{"payload": json.loads(encode(example_of(record)))}],
    }
