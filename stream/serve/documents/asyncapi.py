"""The AsyncAPI 3.0 document: the topics of the log as Kafka has them, and the stream of the HTTP API."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import msgspec

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MODELS, OUTLOOKS, TOPICS
from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, encode
from stream.records import DISCLAIMER, RECORDS, Activation, Alert, Forecast, RegionOutlook, example_of, schema_hook
from stream.serve.sse import STREAMED

HOLDS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    EVENTS: (Change, Heartbeat, Outage, Promotion),
    FORECASTS: (Forecast,),
    OUTLOOKS: (RegionOutlook,),
    ALERTS: (Alert,),
    DEAD_LETTERS: (DeadLetter,),
    MODELS: (Promotion, Activation),
}
"""By topic, its records."""
KEYS = {
    EVENTS: "event id, or the source", FORECASTS: "region id", OUTLOOKS: "region id", ALERTS: "alert id", DEAD_LETTERS: "source",
    MODELS: "kind",
}  # fmt: skip
SAYS = {
    EVENTS: "What became known of earthquakes, heartbeats of the feed, and marks of promotions.",
    FORECASTS: "A forecast of a region after each change, and when silence has changed it.",
    OUTLOOKS: "Numbers of earthquakes in the next day, week, month and year.",
    ALERTS: "Revisions of alerts: initial, update, retraction.",
    DEAD_LETTERS: "What could not be used, or only in part, and why.",
    MODELS: "Which models came into force, from which record on.",
}
Schema = dict[str, Any]


def asyncapi() -> Schema:
    """The document."""
    _, schemas = msgspec.json.schema_components(RECORDS, schema_hook=schema_hook, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "quakecast", "version": version("quakecast"), "description": DISCLAIMER},
        "defaultContentType": "application/json",
        "servers": {
            "log": {
                "host": "broker:9092",
                "protocol": "kafka",
                "description": "The log, where it is on Kafka; read committed records only.",
            },
            "http": {"host": "127.0.0.1:8080", "protocol": "http", "description": "quakecast serve, or quakecast up."},
        },
        "channels": {_short(topic): _topic(topic) for topic in TOPICS} | {"stream": _stream()},
        "operations": {f"send_{name}": _sends(name) for name in [*map(_short, TOPICS), "stream"]},
        "components": {"messages": {record.__name__: _message(record) for record in RECORDS}, "schemas": schemas},
    }


def _short(topic: str) -> str:
    return topic.partition(".")[2]


def _sends(channel: str) -> Schema:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": f"Records of {channel} as they come."}


def _topic(topic: str) -> Schema:
    return {
        "address": topic,
        "title": topic,
        "description": f"{SAYS[topic]} Key: {KEYS[topic]}.",
        "servers": [{"$ref": "#/servers/log"}],
        "messages": {record.__name__: {"$ref": f"#/components/messages/{record.__name__}"} for record in HOLDS[topic]},
        "bindings": {"kafka": {"topic": topic, "partitions": TOPICS[topic], "bindingVersion": "0.5.0"}},
    }


def _stream() -> Schema:
    records = dict.fromkeys(record for topic in STREAMED.values() for record in HOLDS[topic])
    names = {topic: name for name, topic in STREAMED.items()}
    told = ", ".join(f"`{names[topic]}` for {topic}" for topic in STREAMED.values())
    text = (
        "Server-sent events (WHATWG HTML, 9.2). `event` is the topic's short name, `data` the record as in the topic, `id` a cursor; the "
    )
    text += f"header Last-Event-ID, or `after`, goes on after it. {told}. Parameters: see /openapi.json."
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
