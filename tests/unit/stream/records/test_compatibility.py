"""Within a version of a record, fields may be added and nothing else may change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ingest.event import encode
from ingest.problem import Problem
from stream.records.compatibility import incompatibilities
from stream.records.schema import RELEASED, incompatible_with_released, release, schemas
from tests.support.simulated import change, event

NOW: dict[str, Any] = {name: json.loads(text) for name, text in schemas().items()}
CHANGE = NOW["change.1.json"]
FORECAST = NOW["forecast.1.json"]
Edit = Callable[[dict[str, Any]], Any]


def fields(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][name]["properties"]
    return found


def edited(schema: dict[str, Any], edit: Edit) -> dict[str, Any]:
    after = copy.deepcopy(schema)
    edit(after)
    return after


def test_no_released_schema_is_broken() -> None:
    """If it fails: undo the change, or give the record a new version, as docs/consumers.md describes."""
    assert incompatible_with_released() == []


def test_every_record_has_been_released() -> None:
    """A new kind of record can be developed before its release; then run `python -m stream.records --release`."""
    names = {"activation", "alert", "change", "deadletter", "forecast", "heartbeat", "outage", "outlook", "promotion"}
    assert names <= {path.name.partition(".")[0] for path in RELEASED.glob("*.json")}


BREAKING: dict[str, tuple[dict[str, Any], Edit, str]] = {
    "a field removed": (CHANGE, lambda s: fields(s, "Event").pop("place"), ".event.place was removed"),
    "a field renamed": (
        CHANGE,
        lambda s: fields(s, "Change").update(at=fields(s, "Change").pop("observed_at")),
        ".observed_at was removed",
    ),
    "a field retyped": (CHANGE, lambda s: fields(s, "Change")["sequence"].update(type="string"), ".sequence: type was 'integer'"),
    "a text's form": (CHANGE, lambda s: fields(s, "Event")["time"].pop("format"), ".event.time: format was 'date-time'"),
    "none allowed": (
        CHANGE,
        lambda s: fields(s, "Event").update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ".event.id: type was 'string'",
    ),
    "none no longer allowed": (CHANGE, lambda s: fields(s, "Event")["depth_km"]["anyOf"].pop(), "it could be null and no longer can"),
    "another choice": (
        CHANGE,
        lambda s: fields(s, "Event")["depth_km"]["anyOf"].append({"type": "string"}),
        ".event.depth_km: it can be string and could not",
    ),
    "a value more": (CHANGE, lambda s: fields(s, "Change")["kind"]["enum"].append("split"), ".kind: its values were"),
    "another version's tag": (CHANGE, lambda s: fields(s, "Change")["$schema"].update(enum=["quakecast.change/2"]), ".$schema: its values"),
    "a new field required": (
        CHANGE,
        lambda s: (fields(s, "Change").update(more={"type": "string"}), s["$defs"]["Change"]["required"].append("more")),
        ".more is required and was not",
    ),
    "an old field no longer written": (
        CHANGE,
        lambda s: s["$defs"]["Change"]["required"].remove("region"),
        ".region was required and is optional",
    ),
    "a map's values": (
        FORECAST,
        lambda s: fields(s, "Wait")["quantiles_hours"]["additionalProperties"].update(type="string"),
        ".wait.quantiles_hours[]: type was 'number'",
    ),
    "a list's items": (FORECAST, lambda s: fields(s, "Spot")["latitude"].update(type="string"), ".where.spots[].latitude: type was"),
    "closed to more fields": (CHANGE, lambda s: s["$defs"]["Event"].update(additionalProperties=False), "additionalProperties was None"),
}


@pytest.mark.parametrize(("schema", "edit", "message"), BREAKING.values(), ids=BREAKING.keys())
def test_a_change_that_breaks_readers_is_refused(schema: dict[str, Any], edit: Edit, message: str) -> None:
    found = incompatibilities(schema, edited(schema, edit))
    assert found, "no incompatibility was found"
    assert any(message in line for line in found), found


def optional(schema: dict[str, Any]) -> None:
    fields(schema, "Event")["strength"] = {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None}


HARMLESS: dict[str, Edit] = {
    "an optional field": optional,
    "words": lambda s: (fields(s, "Event")["place"].update(description="where", examples=["here"]), s.update(title="x")),
    "another name of a type": lambda s: (
        s["$defs"].update(Quake=s["$defs"].pop("Event")),
        fields(s, "Change")["event"].update(anyOf=[{"type": "null"}, {"$ref": "#/$defs/Quake"}]),
    ),
    "another order": lambda s: s["$defs"]["Change"]["required"].reverse(),
}


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_harmless_change_is_accepted(edit: Edit) -> None:
    assert edited(CHANGE, edit) != CHANGE
    assert incompatibilities(CHANGE, edited(CHANGE, edit)) == []


def test_records_of_compatible_versions_are_valid_by_both_schemas() -> None:
    """An old record is valid by the new schema, and a new record by the old schema."""
    old = json.loads(encode(change(event("a"))))
    new = copy.deepcopy(old)
    new["event"]["strength"] = 5.0
    later = edited(CHANGE, optional)
    for record, schema in ((old, CHANGE), (old, later), (new, CHANGE), (new, later)):
        assert jsonschema.Draft202012Validator(schema).is_valid(record)


def test_a_released_record_may_only_be_replaced_by_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "change.0.json").write_text(json.dumps(CHANGE))
    assert incompatible_with_released(tmp_path) == []
    (tmp_path / "forgotten.1.json").write_text(json.dumps(CHANGE))
    assert incompatible_with_released(tmp_path) == ["forgotten.1.json was removed"]


def test_a_release_keeps_released_schemas(tmp_path: Path) -> None:
    released = edited(CHANGE, lambda s: fields(s, "Change").update(colour={"type": "string"}))
    (tmp_path / "change.1.json").write_text(json.dumps(released))
    with pytest.raises(Problem, match=r"change\.1\.json \.colour was removed; undo it"):
        release(tmp_path)
    (tmp_path / "change.1.json").unlink()
    assert {path.name for path in release(tmp_path)} == set(NOW)
    assert incompatible_with_released(tmp_path) == []
