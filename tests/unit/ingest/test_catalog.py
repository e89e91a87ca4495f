"""Catalogue files are known by what is in them; bad ones are a problem with a remedy."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.catalog import kind_of, read_catalog, read_changes
from ingest.event import DeadLetter, Event
from ingest.problem import Problem
from ingest.table import Observation
from tests.unit.ingest.test_table import HEADER, ROW
from tests.unit.ingest.test_usgs import collection, feature

TABLE = f"{HEADER}\n{ROW}\n".encode()
CHANGES = f"observed_at,prev_snapshot_at,op,{HEADER}\n2023-02-06T02:05:00Z,2023-02-06T02:02:30Z,new,{ROW}\n".encode()
QUAKEML = b"""<?xml version="1.0" encoding="UTF-8"?>
<q:quakeml xmlns="http://quakeml.org/xmlns/bed/1.2" xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"
  xmlns:catalog="http://anss.org/xmlns/catalog/0.1"><eventParameters publicID="quakeml:earthquake.usgs.gov/x">
<event publicID="quakeml:earthquake.usgs.gov/fdsnws/event/1/query?eventid=us10007ggp&amp;format=quakeml" ATTRIBUTES>
<preferredOriginID>quakeml:us/second</preferredOriginID><preferredMagnitudeID>quakeml:us/second#magnitude</preferredMagnitudeID>
<type>earthquake</type><description><text>24 km SW of Scarborough</text><type>earthquake name</type></description>
<creationInfo><agencyID>us</agencyID><creationTime>2022-05-03T18:04:05.669000Z</creationTime></creationInfo>
<origin publicID="quakeml:us/first"><time><value>2016-12-06T21:42:00Z</value></time><latitude><value>1</value></latitude>
<longitude><value>2</value></longitude></origin>
<origin publicID="quakeml:us/second"><time><value>2016-12-06T21:42:20.760000Z</value></time><latitude><value>10.9</value></latitude>
<longitude><value>-60.9</value></longitude><depth><value>31750.0</value></depth><evaluationMode>manual</evaluationMode></origin>
<magnitude publicID="quakeml:us/first#magnitude"><mag><value>5.1</value></mag><type>mb</type></magnitude>
<magnitude publicID="quakeml:us/second#magnitude"><mag><value>5.9</value></mag><type>Mww</type></magnitude>
</event></eventParameters></q:quakeml>"""


def events_of(path: Path) -> list[Event]:
    return [item for item in read_catalog(path) if isinstance(item, Event)]


@pytest.mark.parametrize("pack", [bytes, lzma.compress, gzip.compress, bz2.compress])
def test_tables_are_read_compressed_or_not_whatever_their_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "download"
    path.write_bytes(pack(TABLE))
    assert kind_of(path) == "catalogue"
    assert [event.id for event in events_of(path)] == ["us6000jllz"]


def test_a_change_log_is_distinguished_from_a_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "changes.csv.xz"
    path.write_bytes(lzma.compress(CHANGES))
    assert kind_of(path) == "changelog"
    assert [item.op for item in read_changes(path) if isinstance(item, Observation)] == ["new"]
    with pytest.raises(Problem, match="a change log"):
        list(read_catalog(path))


def test_geojson_files_give_events_and_dead_letters(tmp_path: Path) -> None:
    path = tmp_path / "all_day.txt"
    path.write_bytes(collection(feature(), feature("us2", mag=None)))
    items = list(read_catalog(path))
    assert [item.id for item in items if isinstance(item, Event)] == ["ak0235h2o6lp", "us2"]
    assert [item.reason for item in items if isinstance(item, DeadLetter)] == ["magnitude_missing"]


@pytest.mark.parametrize("attributes", [b"", b'catalog:eventsource="us" catalog:eventid="10007ggp"'])
def test_quakeml_gives_the_preferred_origin_and_magnitude_under_the_plain_id(tmp_path: Path, attributes: bytes) -> None:
    path = tmp_path / "events.xml"
    path.write_bytes(QUAKEML.replace(b"ATTRIBUTES", attributes))
    (event,) = events_of(path)
    assert (event.id, event.network, event.status, event.place) == ("us10007ggp", "us", "reviewed", "24 km SW of Scarborough")
    assert (str(event.time), str(event.updated)) == ("2016-12-06T21:42:20.760Z", "2022-05-03T18:04:05.669Z")
    assert (event.latitude, event.longitude, event.depth_km, event.magnitude, event.magnitude_type) == (10.9, -60.9, 31.75, 5.9, "mww")


def test_an_event_that_obspy_leaves_out_is_counted_as_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.xml"
    second = QUAKEML.partition(b"</event>")[0].partition(b"<event ")[2].replace(b"us10007ggp", b"us2").replace(b">earthquake<", b">rumble<")
    both = QUAKEML.replace(b"</eventParameters>", b"<event " + second + b"</event></eventParameters>")
    path.write_bytes(both.replace(b"ATTRIBUTES", b""))
    items = list(read_catalog(path))
    assert [item.id for item in items if isinstance(item, Event)] == ["us10007ggp"]
    assert [(item.reason, item.used) for item in items if isinstance(item, DeadLetter)] == [("event_damaged", False)]


def test_events_without_ids_get_the_same_at_every_reading(tmp_path: Path) -> None:
    path = tmp_path / "zmap.dat"
    path.write_text("-116.66\t33.61\t2008.5\t7\t2\t1.23\t8.5\t5\t19\t47.9\n")
    assert [event.id for event in events_of(path)] == [event.id for event in events_of(path)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (ROW.encode(), "no header line"),
        (collection(feature())[:-40], "not GeoJSON"),
        (lzma.compress(TABLE * 50)[:-30], "cut off or damaged"),
        (gzip.compress(TABLE * 50)[:-30], "cut off or damaged"),
        (b"minutes of the meeting\n", "not a catalogue in a known form"),
        (b"\x93NUMPY\x00\x01", "not a catalogue in a known form"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(Problem, match=message):
        list(read_catalog(path))


def test_a_missing_file_and_a_folder_are_problems(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not exist"):
        kind_of(tmp_path / "nothing")
    with pytest.raises(Problem, match="is a folder"):
        kind_of(tmp_path)


@pytest.mark.parametrize(
    ("beginning", "kind"), [(b"SQLite format 3\x00....", "sqlite"), (b'{"$schema":"quakecast.heartbeat/1","sequence":0}\n', "records")]
)
def test_recorded_logs_are_recognised(tmp_path: Path, beginning: bytes, kind: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(beginning)
    assert kind_of(path) == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_table_is_read_in_the_encodings_that_spreadsheets_write(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "catalogue.csv"
    path.write_bytes(f"{HEADER}\r\n{ROW.replace('Nurdağı', 'Nurdagi, Provence-Côte')}\r\n".encode(encoding))
    (event,) = events_of(path)
    assert (event.id, event.place) == ("us6000jllz", "Nurdagi, Provence-Côte, Turkey")


def test_a_pipe_is_refused_in_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("-")):
        with pytest.raises(Problem, match="cannot be read twice; save its content to a file"):
            list(read_catalog(path))


@pytest.mark.parametrize(
    ("damage", "events", "reasons"), [(b"NaN", 2, ["magnitude_missing"]), (b"1e400", 1, ["event_damaged"]), (b"5.8", 2, [])]
)
def test_a_damaged_event_of_quakeml_costs_itself_and_not_the_file(tmp_path: Path, damage: bytes, events: int, reasons: list[str]) -> None:
    whole = QUAKEML.replace(b"ATTRIBUTES", b"")
    start, end = whole.index(b"<event "), whole.index(b"</eventParameters>")
    other = (
        whole[start:end]
        .replace(b"us10007ggp", b"us7")
        .replace(b"<value>5.9<", b"<value>" + damage + b"<")
        .replace(b"quakeml:us/", b"quakeml:at/")
    )
    path = tmp_path / "events.xml"
    path.write_bytes(whole[:end] + other + whole[end:])
    items = list(read_catalog(path))
    assert len([item for item in items if isinstance(item, Event)]) == events
    assert [item.reason for item in items if isinstance(item, DeadLetter)] == reasons


def test_the_geojson_of_the_emsc_is_read_by_its_own_names(tmp_path: Path) -> None:
    properties = {
        "time": "2014-01-01T20:13:05.203Z", "lastupdate": "2014-01-01T21:00:00Z", "flynn_region": "CENTRAL CALIFORNIA", "depth": 7.2,
        "evtype": "km", "auth": "EMSC", "mag": 2.5, "magtype": "ml", "unid": "20140101_0000001",
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": [-119.3, 35.9, -7.2]}
    one = {"type": "Feature", "id": "20140101_0000001", "geometry": geometry, "properties": properties}
    path = tmp_path / "seismicportal.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [one]}))
    (event,) = events_of(path)
    assert (event.depth_km, event.type, event.magnitude_type, event.place) == (7.2, "mining explosion", "ml", "CENTRAL CALIFORNIA")
    assert str(event.updated) == "2014-01-01T21:00:00.000Z"


def test_entities_of_an_xml_file_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the content of another file")
    declaration = f'<!DOCTYPE q [<!ENTITY secret SYSTEM "{(tmp_path / "secret").as_uri()}">]>'.encode()
    path = tmp_path / "events.xml"
    path.write_bytes(
        QUAKEML.replace(b"ATTRIBUTES", b"").replace(b"?>", b"?>" + declaration, 1).replace(b"24 km SW of Scarborough", b"&secret;")
    )
    try:
        items = list(read_catalog(path))
    except Problem:
        return
    assert "another file" not in str(items)
