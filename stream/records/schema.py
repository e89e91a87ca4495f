"""JSON Schemas of the records, generated from their types: `python -m stream.records` writes the folder `schemas/`.

`schemas/released/` holds the schemas that readers rely on. A release copies the present ones there (`python -m stream.records --release`);
a released schema may be extended only (see `stream.records.compatibility`).
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, encode
from ingest.instant import Instant
from ingest.problem import Problem
from stream.records.activation import Activation
from stream.records.alert import Alert
from stream.records.compatibility import incompatibilities
from stream.records.examples import example_of
from stream.records.forecast import Forecast
from stream.records.map import GriddedForecast
from stream.records.outlook import RegionOutlook

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
RELEASED = FOLDER / "released"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
RECORDS: tuple[type[msgspec.Struct], ...] = (
    Change, Heartbeat, Outage, Promotion, Activation, DeadLetter, Forecast, RegionOutlook, GriddedForecast, Alert,
)  # fmt: skip


def schemas() -> dict[str, str]:
    """Return the schemas as JSON text, by file name, such as `change.1.json`."""
    return {_file_name(record): msgspec.json.format(msgspec.json.encode(_schema(record))).decode() + "\n" for record in RECORDS}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every schema. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in schemas()]


def incompatible_with_released(released: Path | None = None) -> list[str]:
    """Return the incompatibilities with the released schemas, one line each. A schema may be missing if a newer version of it exists."""
    now = {name: json.loads(text) for name, text in schemas().items()}
    files = sorted((released or RELEASED).glob("*.json"))
    changes = {
        file.name: incompatibilities(json.loads(file.read_text(encoding="utf-8")), now[file.name]) for file in files if file.name in now
    }
    removed = [file.name for file in files if file.name not in now and not _has_a_newer_version(file.name, now)]
    return [f"{name} {line}" for name, lines in changes.items() for line in lines] + [f"{name} was removed" for name in removed]


def _has_a_newer_version(name: str, now: Collection[str]) -> bool:
    kind, version, _ = name.split(".")
    return any(other.split(".")[0] == kind and int(other.split(".")[1]) > int(version) for other in now)


def release(folder: Path | None = None) -> list[Path]:
    """Copy the present schemas to the released ones.

    Raises:
        Problem: they are incompatible with the released ones.
    """
    folder = folder or RELEASED
    if lines := incompatible_with_released(folder):
        raise Problem("; ".join(lines), "undo it, or give the record a new version: see docs/consumers.md")
    return write(folder)


def _schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components((record,), schema_hook=schema_hook, ref_template="#/$defs/{name}")
    example = json.loads(encode(example_of(record)))
    return {"$schema": DIALECT, "$id": f"urn:{tag_of(record).replace('/', ':')}", **schema, "examples": [example], "$defs": definitions}


def schema_hook(kind: type) -> dict[str, Any]:
    """Return the schema of a type of ours that is no struct."""
    if kind is Instant:
        return {"type": "string", "format": "date-time", "description": "ISO 8601, UTC, with milliseconds"}
    raise NotImplementedError(f"no schema for {kind.__name__}")


def tag_of(record: type[msgspec.Struct]) -> str:
    """Return a record's `$schema`, such as `quakecast.change/1`."""
    return str(record.__struct_config__.tag)


def _file_name(record: type[msgspec.Struct]) -> str:
    name, _, version = tag_of(record).removeprefix("quakecast.").partition("/")
    return f"{name}.{version}.json"
