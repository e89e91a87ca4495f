"""What the endpoints can be asked: each query is a struct, from which its reading, its checks and its documentation come."""

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

MOST = 1_000
Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST, description="At most so many.")]
From = Annotated[Instant, msgspec.Meta(description="Not before this time.")]
To = Annotated[Instant, msgspec.Meta(description="Before this time.")]
RegionId = Annotated[str, msgspec.Meta(description="A region's id, as in /v1/regions.", extra_json_schema={"x-region": True})]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
SCHEMA_NAMES = sorted(schemas())
Question = TypeVar("Question", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class OfRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId


class OfSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=100, description="A schema's file name, such as change.1.json.", examples=SCHEMA_NAMES)]


class OfSpan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A region's history. Without `from` it is the latest of the week before `to`."""

    region: RegionId
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class OfOutcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId
    limit: Limit = 24


class OfRevision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    revision: Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="Which; without it the latest.")] | None = None


class OfEvents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId | None = None
    min_magnitude: Annotated[float, msgspec.Meta(ge=-10.0, le=10.0, description="Of at least this magnitude.")] | None = None
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class OfAlerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: RegionId | None = None
    rule: Annotated[str, msgspec.Meta(max_length=200, description="A rule's name.")] | None = None
    kind: Literal["probability", "gain", "magnitude", "busy", "quiet", "calibration", "feed"] | None = None
    active: Annotated[bool, msgspec.Meta(description="Only those that hold on, or only those that do not.")] | None = None
    test: Annotated[bool, msgspec.Meta(description="Only those of replays, or only those that are live.")] | None = None
    start: From | None = msgspec.field(default=None, name="from")
    end: To | None = msgspec.field(default=None, name="to")
    limit: Limit = 100


class OfAlert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id


TopicNames = Annotated[str, msgspec.Meta(description="Which topics, with commas between.")]
RegionNames = Annotated[str, msgspec.Meta(description="Only these regions' records, with commas between, and what concerns none.")]
Past = Annotated[str, msgspec.Meta(description="A time in the past, or `beginning`.")]
After = Annotated[str, msgspec.Meta(description="An `id` of this stream: go on after it. The header Last-Event-ID says the same.")]


Until = Annotated[Literal["end"], msgspec.Meta(description="Close once all that is there has come, by an event `end`.")]


class OfStream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topics: TopicNames = "events,forecasts,outlooks,alerts,models"
    regions: RegionNames | None = None
    test: Annotated[bool, msgspec.Meta(description="Whether records of replays come, too.")] = True
    start: Past | None = msgspec.field(default=None, name="from")
    after: After | None = None
    until: Until | None = None


def asked(kind: type[Question], path: Mapping[str, str], query: list[tuple[str, str]]) -> Question:
    """Read the parameters of a request.

    Args:
        kind: what is asked.
        path: the parameters in the path.
        query: those behind the question mark.

    Raises:
        Refused: one is unknown, given twice, or not what it should be.
    """
    given: dict[str, Any] = {}
    for name, value in query:
        if name in path or name in given:
            raise bad_request(f"{_shown(name)} is given twice", "give each parameter once")
        given[name] = value
    given |= path
    try:
        return msgspec.convert(given | _told_apart(kind, given), kind, strict=False, dec_hook=_hook)
    except (msgspec.ValidationError, OverflowError) as error:
        names = ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) or "none"
        raise bad_request(f"a parameter cannot be used: {_shown(str(error))}", f"the parameters are {names}; see /openapi.json") from None


def _told_apart(kind: type[msgspec.Struct], given: Mapping[str, str]) -> dict[str, Any]:
    """Values that the reading of text as numbers would take for something else: only `true` and `false` are booleans, nothing is null."""
    kinds = _kinds(kind)
    apart: dict[str, Any] = {}
    for name, value in given.items():
        if bool in kinds.get(name, ()):
            apart[name] = {"true": True, "false": False}.get(value, [value])  # a list is no boolean
        elif str not in kinds.get(name, (str,)) and value.lower() == "null":
            apart[name] = [value]
    return apart


@cache
def _kinds(kind: type[msgspec.Struct]) -> dict[str, tuple[type, ...]]:
    """By parameter, whether it may be a boolean or any text."""
    inspected = msgspec.inspect.type_info(kind)
    assert isinstance(inspected, msgspec.inspect.StructType)
    found: dict[str, tuple[type, ...]] = {}
    for field in inspected.fields:
        types = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        plain = [one.type if isinstance(one, msgspec.inspect.Metadata) else one for one in types]
        names = {msgspec.inspect.BoolType: bool, msgspec.inspect.StrType: str}
        found[field.encode_name] = tuple(names[type(one)] for one in plain if type(one) in names)
    return found


def _hook(kind: type, value: Any) -> Any:
    try:
        return decode_hook(kind, value)
    except (OverflowError, AttributeError) as error:  # a year that this machine's calendar has not; no text at all
        raise ValueError(str(error)) from None


def _shown(text: str) -> str:
    """What came from outside, on one line of bounded length."""
    return " ".join(text.split())[:200]
