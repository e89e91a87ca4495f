"""Bodies of the USGS's feeds and of the EMSC's service: each feature is an event, a dead letter, or the id of a deleted event."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from ingest.instant import Instant
from ingest.sources import parse_geojson
from tests.fuzz.driver import Taken
from tests.fuzz.mutation import json_bytes, mutated, sometimes_damaged
from tests.fuzz.surfaces.records import require_writable

CLOCK = Instant.parse("2023-02-06T01:30:00Z")
NOT_GEOJSON = frozenset({"empty", "html", "truncated", "not_json", "not_geojson"})


def generate(rng: Random) -> bytes:
    feature = _emsc_feature if rng.random() < 0.2 else _usgs_feature
    features = [feature(rng, number) for number in range(rng.randrange(4))]
    body: Any = {"type": "FeatureCollection", "metadata": {"generated": int(CLOCK), "status": 200}, "features": features}
    if rng.random() < 0.1:
        body = feature(rng, 0)
    return sometimes_damaged(rng, json_bytes(rng, mutated(rng, body, rng.choice((0.0, 0.02, 0.1)))), 0.3)


def take(body: bytes) -> Taken:
    payload = parse_geojson(body, "all_day", CLOCK)
    require_writable(payload.events, payload.dead_letters)
    rows = _features_in(body)
    if [letter.reason for letter in payload.dead_letters] in [[reason] for reason in NOT_GEOJSON]:
        assert rows is None, f"{rows} features were refused together"
        return Taken(refused=True)
    left_out = sum(not letter.used for letter in payload.dead_letters) + len(payload.deleted_ids)
    kept = len(payload.events)
    return Taken(kept + left_out if rows is None else rows, kept, left_out)


def _features_in(body: bytes) -> int | None:
    """Count the features as Python's own reader finds them; None if it finds none to count."""
    try:
        whole = json.loads(body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(whole, dict):
        return None
    if whole.get("type") == "FeatureCollection" and isinstance(whole.get("features"), list):
        return len(whole["features"])
    return 1 if whole.get("type") == "Feature" and whole.get("properties") is not None else None


def _usgs_feature(rng: Random, number: int) -> Any:
    identifier = f"us{rng.choice(('6000jllz', '7000', number))}"
    properties = {
        "mag": round(rng.uniform(-1.0, 8.0), 1), "place": "27 km E of Nurdağı, Turkey", "time": int(CLOCK) - rng.randrange(10**9),
        "updated": int(CLOCK) - rng.randrange(10**6), "status": rng.choice(("automatic", "reviewed", "REVIEWED", "deleted")), "net": "us",
        "type": rng.choice(("earthquake", "quarry blast", "Quarry_Blast")), "magType": "mww", "ids": f",{identifier},at00rpnr,", "tz": None,
    }  # fmt: skip
    coordinates = [round(rng.uniform(-200.0, 200.0), 3), round(rng.uniform(-95.0, 95.0), 3), round(rng.uniform(-5.0, 700.0), 2)]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": coordinates}, "id": identifier}


def _emsc_feature(rng: Random, number: int) -> Any:
    properties = {
        "lastupdate": "2023-02-06T01:25:00.0Z", "magtype": "mw", "evtype": rng.choice(("ke", "se", "km", "uk")), "lon": 37.0, "lat": 37.2,
        "depth": 20.0, "mag": 7.8, "time": "2023-02-06T01:17:36.1Z", "flynn_region": "CENTRAL TURKEY", "unid": f"20230206_{number:07d}",
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": [37.0, 37.2, -20.0]}
    return {"type": "Feature", "geometry": geometry, "id": properties["unid"], "properties": properties}
