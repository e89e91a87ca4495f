"""Region tables, alert rules and lists of catalogues (TOML), and polygons (.npy): loaded and usable, or a `Problem`."""

from __future__ import annotations

import io
import json
import tomllib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import shapely

from ingest.event import Outage, encode
from ingest.problem import Problem
from ingest.region import RegionTable, partition_of
from models.catalog import read_datasets, read_polygon
from stream.alerts import (
    Origin,
    Situation,
    after_change,
    after_forecast,
    after_heartbeat,
    after_outage,
    keep_last_revisions,
    load_rules,
    rules_of,
)
from stream.core import Scoring, Window
from stream.records import decode_alerts, encode_alerts
from stream.records.examples import CHANGE, EVENT, FORECAST, OBSERVED_AT
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import Written, mutated, odd_number, sometimes_damaged
from tests.fuzz.surfaces.files import write

SQUARE = [[30.0, 30.0], [30.0, 40.0], [45.0, 40.0], [45.0, 30.0]]
REGION: dict[str, Any] = {"id": "test", "name": "Test", "magnitude_of_completeness": 2.5, "window_days": 90, "polygon": SQUARE}
RULES: tuple[dict[str, Any], ...] = (
    {"name": "m6", "kind": "magnitude", "at_least": 6.0, "release": 5.8, "expires_hours": 24, "minimum_interval_minutes": 10},
    {"name": "day", "kind": "probability", "magnitude": 6.0, "within": "1d", "at_least": 0.01, "release": 0.006, "change": 1.5},
    {"name": "gain", "kind": "gain", "magnitude": 5.0, "within": "1d", "at_least": 5.0, "least_probability": 0.05},
    {"name": "busy", "kind": "busy", "at_most": 1e-5, "release": 1e-3, "weeks": 4, "regions": ["california"]},
    {"name": "stale", "kind": "feed", "at_least": 300.0, "enabled": True},
)
CATALOGUE: dict[str, Any] = {
    "name": "here",
    "files": ["none.csv"],
    "validation_start": Written("2015-01-01"),
    "end": Written("2020-01-01"),
    "lowest_magnitude": 2.5,
}


def generate(rng: Random) -> bytes:
    rate, kind = rng.choice((0.01, 0.05, 0.2)), rng.randrange(8)
    if kind == 0:
        return b"polygon\n" + _corners(rng, rate)
    if kind == 1:
        rows, name = [CATALOGUE], "catalogue"
    elif kind < 5:
        rows, name = [REGION | {"id": f"region-{number}"} for number in range(rng.randrange(1, 4))], "region"
    else:
        rows, name = [rng.choice(RULES) for _ in range(rng.randrange(1, 3))], "rule"
    text = "\n".join(f"[[{name}]]\n{_toml(mutated(rng, row, rate))}" for row in rows)
    return name.encode() + b"\n" + sometimes_damaged(rng, text.encode("utf-8", "surrogatepass"), 0.1)


def take(body: bytes) -> Taken:
    kind, _, content = body.partition(b"\n")
    path = write("given.toml", content)
    try:
        if kind == b"region":
            return _take_regions(RegionTable.load(path), path)
        if kind == b"rule":
            return _take_rules(path)
        if kind == b"polygon":
            assert shapely.is_valid(read_polygon(path))
        else:
            read_datasets(path, _built_in().region_of)
    except Problem:
        return Taken(refused=True)
    return Taken()


@cache
def _built_in() -> RegionTable:
    return RegionTable.load()


def _take_regions(table: RegionTable, path: Path) -> Taken:
    named = [region for region in table if not region.id.startswith("fe-")]
    for region in named:
        assert OBSERVED_AT.plus(days=-region.window_days) <= OBSERVED_AT
        assert shapely.is_valid(table.shape(region.id))
        assert 0 <= partition_of(region.id, 6) < 6
    for latitude, longitude in ((37.0, 37.0), (-90.0, 180.0), (90.0, -180.0), (0.0, 0.0)):
        assert table.region_of(latitude, longitude).id in table
    assert msgspec.json.decode(encode(next(iter(table))))
    assert table.fingerprint
    return Taken(len(tomllib.loads(path.read_text(encoding="utf-8"))["region"]), len(named), 0)


def _take_rules(path: Path) -> Taken:
    everywhere, rules = (rules_of(region, load_rules(path)) for region in (None, "california"))
    origin = Origin(0, 4_711, OBSERVED_AT, "california", "California", False)
    situation = Situation("california", FORECAST, Window.of([EVENT]), Scoring())
    outage = Outage(1, OBSERVED_AT, "all_day", 400.0, "no answer")
    last: Any = ()
    for hours in (0.0, 1.0, 30.0):
        now = origin._replace(at=OBSERVED_AT.plus(hours=hours), sequence=4_711 + int(hours))
        issued = [*after_change(last, rules, CHANGE, now), *after_outage(last, everywhere, outage, now)]
        last = keep_last_revisions(last, issued, now.at)
        issued = [*after_forecast(last, rules, situation, CHANGE, now), *after_heartbeat(last, everywhere, now)]
        last = keep_last_revisions(last, issued, now.at)
        assert decode_alerts(encode_alerts(last)) == last
    return Taken()


def _toml(row: Any) -> str:
    if not isinstance(row, dict):
        return f"id = {_value(row)}"
    return "\n".join(f"{json.dumps(name)} = {_value(value)}" for name, value in row.items())


def _value(value: Any) -> str:
    if isinstance(value, Written):
        return str(value).replace("NaN", "nan").replace("Infinity", "inf")
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(one)}" for name, one in value.items()) + "}"
    return '""' if value is None else json.dumps(value, ensure_ascii=False)


def _corners(rng: Random, rate: float) -> bytes:
    """Return an .npy file of corners, some of them odd."""
    corners = [[float(odd_number(rng)) if rng.random() < rate else value for value in corner] for corner in SQUARE]
    array: Any = np.array(corners[: rng.choice((4, 4, 4, 2, 0))])
    if rng.random() < rate:
        array = rng.choice((array.T, array.astype(">f8"), array.astype(str), array[0] if len(array) else array))
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return sometimes_damaged(rng, buffer.getvalue(), 0.3)
