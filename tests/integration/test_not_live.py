"""What is not live says so: a feed with another clock, a drill and a simulation, followed by `quakecast up`, in every record and answer."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec
import pytest

from ingest.bus import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MAPS, OUTLOOKS, open_log
from stream.client import Client
from stream.export.cap import NAMESPACE
from tests.support.changing_feed import ChangingFeed, changing_feed
from tests.support.servers import free_port
from tests.support.stand_ins import environment, small_sequence
from tests.support.waiting import stop_process, wait_until

DRILLS = {"clock": (400.0, "Test", ()), "exercise": (0.0, "Exercise", ("--exercise",)), "simulation": (0.0, "Test", ("--simulated",))}
"""By why a feed is not live: the days that its clock is behind, the status of its CAP messages, the options of `up`."""


class Drill(NamedTuple):
    why: str
    address: str
    log: str

    def get(self, path: str) -> tuple[bytes, str | None]:
        """Return the body of an answer and why its header says that it is not live."""
        with urllib.request.urlopen(self.address + path) as answer:
            return answer.read(), answer.headers["quakecast-why-not-live"]

    def json(self, path: str) -> Any:
        return json.loads(self.get(path)[0])


@pytest.fixture(scope="module", params=DRILLS)
def drill(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Run `up` on a feed that shows a large earthquake after the start, until its alert and an outlook are out."""
    folder, days_behind = tmp_path_factory.mktemp("drill"), DRILLS[request.param][0]
    port, log = free_port(), f"sqlite:///{folder}/drill.db"
    with changing_feed([], days_behind) as feed:
        events = small_sequence(feed.now().plus(days=-1.0))
        for event in events:
            feed.show(event)
        command = [sys.executable, "-m", "stream.cli", "up", "--bus", log, "--usgs", feed.address, "--port", str(port)]
        words = ["--poll-seconds", "0.2", *DRILLS[request.param][2]]
        with (folder / "up.err").open("wb") as errors:
            process = subprocess.Popen([*command, *words], env=environment(), stderr=errors, cwd=folder)
        try:
            drill = Drill(request.param, f"http://127.0.0.1:{port}", log)
            wait_until(lambda: is_following(drill), "the past is read")
            show_large(feed)
            wait_until(lambda: drill.json("/v1/alerts?kind=magnitude")["alerts"] and drill.json("/v1/outlooks")["outlooks"], "an alert")
            yield drill
        finally:
            stop_process(process)


def is_following(drill: Drill) -> bool:
    try:
        status = drill.json("/v1/status")
    except OSError:
        return False
    return status["stream_time"] is not None and not status["feed"]["catching_up"]


def show_large(feed: ChangingFeed) -> None:
    (event, *_) = small_sequence(feed.now().plus(days=-1.0), seed=5)
    time = feed.now().plus(seconds=-60)
    feed.show(msgspec.structs.replace(event, id="drill1", time=time, updated=time.plus(seconds=1), magnitude=7.1))


def test_every_record_of_every_topic_is_marked(drill: Drill) -> None:
    event_log = open_log(drill.log)
    for topic in (EVENTS, FORECASTS, OUTLOOKS, MAPS, ALERTS, DEAD_LETTERS):
        ends = event_log.ends(topic)
        records = [json.loads(record.value) for partition, end in ends.items() for record in event_log.read(topic, partition, 0, end)]
        assert {record["test"] for record in records} <= {True}
        assert {record["why_not_live"] for record in records if topic in (EVENTS, ALERTS)} <= {drill.why}
        assert records or topic == DEAD_LETTERS
    event_log.close()


@pytest.mark.parametrize(
    "path",
    ["status", "regions", "regions/REGION", "regions/REGION/forecasts", "regions/REGION/outlooks", "regions/REGION/maps", "maps/REGION",
     "regions/REGION/outcomes", "forecasts",
     "regions/REGION/explanation", "outlooks", "events", "alerts", "alerts/ALERT", "scores", "models"],
)  # fmt: skip
def test_every_answer_is_marked(drill: Drill, path: str) -> None:
    (alert,) = drill.json("/v1/alerts?kind=magnitude")["alerts"]
    body, why = drill.get(f"/v1/{path}".replace("REGION", alert["region"]).replace("ALERT", alert["id"]))
    assert why == drill.why
    assert json.loads(body)["test"] is True
    assert b'"test":false' not in body


@pytest.mark.parametrize("path", ["/v1/forecasts.geojson", "/v1/events.geojson", "/v1/events.quakeml", "/forecasts.json"])
def test_every_document_is_marked(drill: Drill, path: str) -> None:
    body, why = drill.get(path)
    assert why == drill.why
    assert b'"test":true' in body or b"not live" in body
    assert b'"test":false' not in body


def test_the_status_says_why(drill: Drill) -> None:
    status = drill.json("/v1/status")
    assert (status["live"], status["why_not_live"]) == (False, drill.why)


def test_an_alert_as_cap_is_no_actual_one(drill: Drill) -> None:
    (alert,) = drill.json("/v1/alerts?kind=magnitude")["alerts"]
    message = ElementTree.fromstring(drill.get(f"/v1/alerts/{alert['id']}/cap")[0])
    assert message.findtext(f"{{{NAMESPACE}}}status") == DRILLS[drill.why][1]
    headline = next(message.iter(f"{{{NAMESPACE}}}headline")).text
    assert headline is not None
    assert "not live. M 7.1 earthquake" in headline


def test_a_client_gets_nothing_of_it_unless_it_asks(drill: Drill) -> None:
    with Client(drill.address) as client:
        assert (client.alerts(), client.events(), client.forecasts(), client.outlooks()) == ([], [], [], [])
        assert client.alerts(include_test=True)
