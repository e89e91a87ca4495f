"""The committed JSON Schemas are those of the types, and written records are valid."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from ingest.event import DeadLetter, encode
from stream.partition import Partition
from stream.records.schema import FOLDER, schemas, write
from tests.support.simulated import SumForecaster, at, beat, change, event, records_by_partition, simulated_polls, table

SCHEMAS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in schemas().items()}


def errors(record: bytes) -> list[str]:
    """Return what is wrong with a record according to the schema that it names."""
    decoded = json.loads(record)
    name = decoded["$schema"].removeprefix("quakecast.").replace("/", ".") + ".json"
    checker = jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=jsonschema.FormatChecker())
    return [error.message for error in checker.iter_errors(decoded)]


def letter(**fields: Any) -> DeadLetter:
    return DeadLetter(at(1), "all_day", "time_damaged", "the origin time cannot be read", used=False, **fields)


def forecasts() -> list[bytes]:
    issued: list[bytes] = []
    for number, records in records_by_partition(simulated_polls(1, 40, 2.0)).items():
        partition = Partition(number, table(), SumForecaster())
        issued += [body for record in records for _, body in partition.take(record, record.sequence)]
    return issued


def test_the_committed_schemas_are_up_to_date() -> None:
    """If it fails: run `python -m stream.records`, and decide whether the record needs a new version."""
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == schemas()


def test_the_folder_is_written_as_it_is_read(tmp_path: Any) -> None:
    assert sorted(path.name for path in write(tmp_path / "schemas")) == [
        "activation.1.json",
        "alert.1.json",
        "change.1.json",
        "deadletter.1.json",
        "forecast.1.json",
        "heartbeat.1.json",
        "map.1.json",
        "outage.1.json",
        "outlook.1.json",
        "promotion.1.json",
    ]
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "schemas").iterdir()} == schemas()


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_schema_is_valid(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith("urn:quakecast.")


RECORDS: dict[str, msgspec.Struct] = {
    "an addition": change(event("a", magnitude=None, depth_km=None, other_ids=("b", "c"))),
    "a deletion": change("a"),
    "a merger": change("a", kind="merged", merged_into="b"),
    "a heartbeat": beat(1),
    "a dead letter": letter(),
    "a dead letter with all fields": letter(id="a", payload="{"),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_records_are_valid(record: msgspec.Struct) -> None:
    assert errors(encode(record)) == []


def test_forecasts_are_valid() -> None:
    issued = forecasts()
    assert len(issued) > 50
    assert [error for one in issued for error in errors(one)] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", "invented"), ("sequence", "7"), ("observed_at", 5), ("id", None), ("event", {"id": "a"}), ("$schema", None)],
)
def test_a_record_with_a_wrong_field_is_not_valid(field: str, value: Any) -> None:
    decoded = json.loads(encode(change(event("a")))) | {field: value}
    checker = jsonschema.Draft202012Validator(SCHEMAS["change.1.json"])
    assert not checker.is_valid(decoded)
    del decoded[field]
    assert checker.is_valid(decoded) == (field == "event")
