"""The parameters of each endpoint as a struct, from which they are read, checked and documented."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import msgspec.inspect

from ingest.event import decode_hook
from ingest.instant import Instant
from stream.records import schemas
from stream.serve.errors import bad_request

MAX_LIMIT = 1_000
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT, description="The largest number of records to return.")]
From = Annotated[Instant, msgspec.Meta(description="Start of the time span (included).")]
To = Annotated[Instant, msgspec.Meta(description="End of the time span (not included).")]
RegionId = Annotated[str, msgspec.Meta(description="A region's id, as in /v1/regions.", extra_json_schema={"x-region": True})]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
SCHEMA_NAMES = sorted(schemas())
Query = TypeVar("Query", bound=msgspec.Struct)


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class RegionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId


class SchemaQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=100, description="A schema's file name, such as change.1.json.", examples=SCHEMA_NAMES)]


class SpanQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A region's history. Without `from`: the latest records of the week before `to`."""

    region: RegionId
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class MapsQuery(SpanQuery, frozen=True, forbid_unknown_fields=True):
    """As of other records, but fewer: a map can have hundreds of kilobytes."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="The largest number of maps to return.")] = 10


class MapQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId
    magnitude: (
        Annotated[
            float,
            msgspec.Meta(ge=-10.0, le=10.0, description="The smallest magnitude: one of the map's `magnitudes`; by default the first."),
        ]
        | None
    ) = None


class OutcomesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId
    limit: Limit = 24


class RevisionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    revision: Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="The revision number; by default the latest.")] | None = None


class EventsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="Any id under which the event was reported.")] | None = None
    region: RegionId | None = None
    min_magnitude: Annotated[float, msgspec.Meta(ge=-10.0, le=10.0, description="The smallest magnitude.")] | None = None
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class AlertsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId | None = None
    rule: Annotated[str, msgspec.Meta(max_length=200, description="A rule's name.")] | None = None
    kind: Literal["probability", "gain", "magnitude", "busy", "quiet", "calibration", "feed"] | None = None
    active: Annotated[bool, msgspec.Meta(description="Only active alerts, or only those that have ended.")] | None = None
    test: Annotated[bool, msgspec.Meta(description="Only alerts that are not live, or only live ones.")] | None = None
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class AlertQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id


TopicNames = Annotated[str, msgspec.Meta(description="Topics, separated by commas.")]
RegionNames = Annotated[
    str, msgspec.Meta(description="Regions, separated by commas. Records that concern no single region are always sent.")
]
StartText = Annotated[str, msgspec.Meta(description="A time in the past to start from, or `beginning`.")]
CursorText = Annotated[
    str, msgspec.Meta(description="An `id` of this stream: send the records after it. The header Last-Event-ID does the same.")
]
Until = Annotated[Literal["end"], msgspec.Meta(description="Close the stream with an event `end` once the newest record has been sent.")]


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topics: TopicNames = "events,forecasts,outlooks,alerts,models"
    regions: RegionNames | None = None
    test: Annotated[bool, msgspec.Meta(description="Whether to send records that are not live, too.")] = True
    start: StartText | None = msgspec.field(default=None, name="from")
    after: CursorText | None = None
    until: Until | None = None


def read_query(kind: type[Query], path: Mapping[str, str], query: list[tuple[str, str]]) -> Query:
    """Read the parameters of a request.

    Args:
        kind: the struct of the parameters.
        path: the parameters in the path.
        query: names and values of the query string.

    Raises:
        ApiError: a parameter is unknown, occurs twice, or has a value that cannot be used.
    """
    values: dict[str, Any] = {}
    for name, value in query:
        if name in path or name in values:
            raise bad_request(f"the parameter {_one_line(name)} occurs twice", "send each parameter once")
        values[name] = value
    values |= path
    try:
        return msgspec.convert(values | _strict_values(kind, values), kind, strict=False, dec_hook=_hook)
    except (msgspec.ValidationError, OverflowError) as error:
        names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) or "none"
        raise bad_request(
            f"a parameter cannot be used: {_one_line(str(error))}", f"the parameters are {names}; see /openapi.json"
        ) from None


def _strict_values(kind: type[msgspec.Struct], values: Mapping[str, str]) -> dict[str, Any]:
    """Return replacements for values that msgspec would convert too generously: only `true` and `false` are booleans, and none is null."""
    types = _text_and_boolean_parameters(kind)
    strict: dict[str, Any] = {}
    for name, value in values.items():
        if bool in types.get(name, ()):
            strict[name] = {"true": True, "false": False}.get(value, [value])  # a list, so that the conversion fails
        elif str not in types.get(name, (str,)) and value.lower() == "null":
            strict[name] = [value]
    return strict


@cache
def _text_and_boolean_parameters(kind: type[msgspec.Struct]) -> dict[str, tuple[type, ...]]:
    """Return, by parameter, which of `bool` and `str` its type allows."""
    inspected = msgspec.inspect.type_info(kind)
    assert isinstance(inspected, msgspec.inspect.StructType)
    allowed: dict[str, tuple[type, ...]] = {}
    for field in inspected.fields:
        types = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        plain = [one.type if isinstance(one, msgspec.inspect.Metadata) else one for one in types]
        names = {msgspec.inspect.BoolType: bool, msgspec.inspect.StrType: str}
        allowed[field.encode_name] = tuple(names[type(one)] for one in plain if type(one) in names)
    return allowed


def _hook(kind: type, value: Any) -> Any:
    try:
        return decode_hook(kind, value)
    except (OverflowError, AttributeError) as error:  # a year outside the calendar, or no text at all
        raise ValueError(str(error)) from None


def _one_line(text: str) -> str:
    """Return text from outside on one line of bounded length."""
    return " ".join(text.split())[:200]
