"""JSON Schemas of the records, made from their types: `python -m stream.schema` writes the folder `schemas/` anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion
from ingest.instant import Instant
from stream.alert import Alert
from stream.forecast import Forecast
from stream.outlook import RegionOutlook
from stream.partition import Activation

FOLDER = Path(__file__).resolve().parents[1] / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
RECORDS: tuple[type[msgspec.Struct], ...] = (Change, Heartbeat, Outage, Promotion, Activation, DeadLetter, Forecast, RegionOutlook, Alert)


def schemas() -> dict[str, str]:
    """By file name, such as `change.1.json`, the schema as JSON text."""
    return {_file_name(record): msgspec.json.format(msgspec.json.encode(_schema(record))).decode() + "\n" for record in RECORDS}


def write(folder: Path = FOLDER) -> list[Path]:
    """Write every schema; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in schemas()]


def _schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components((record,), schema_hook=_hook, ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "$id": f"urn:{_tag(record).replace('/', ':')}", **schema, "$defs": definitions}


def _hook(kind: type) -> dict[str, Any]:
    if kind is Instant:
        return {"type": "string", "format": "date-time", "description": "ISO 8601, UTC, with milliseconds"}
    raise NotImplementedError(f"no schema for {kind.__name__}")


def _tag(record: type[msgspec.Struct]) -> str:
    return str(record.__struct_config__.tag)


def _file_name(record: type[msgspec.Struct]) -> str:
    name, _, version = _tag(record).removeprefix("quakecast.").partition("/")
    return f"{name}.{version}.json"


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write())
