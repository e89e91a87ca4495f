"""The client against the real server: typed answers, and a stream that survives the server's end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from ingest.bus import open_log
from ingest.bus.log import ALERTS, EVENTS, FORECASTS, TOPICS, Log, Outgoing
from ingest.event import Change, InputRecord, encode
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import partition_of
from stream.client import Client
from stream.partition import Partition
from stream.records.alert import Alert
from stream.records.forecast import Forecast, decode_forecast
from tests.support.api_thread import serve_log
from tests.support.servers import free_port
from tests.support.simulated import REGION, SumForecaster, at, records_by_partition, simulated_polls, table
from tests.support.waiting import PATIENCE_SECONDS
from tests.unit.stream.test_selection import alert


def outgoing() -> list[Outgoing]:
    """Return eight days of a sequence with forecasts, an alert with its retraction, and one unreadable record in each topic."""
    records_out: list[Outgoing] = []
    for number, records in records_by_partition(simulated_polls(1, 40, 2.0)).items():
        partition = Partition(number, table(), SumForecaster())
        for record in records:
            records_out.append(Outgoing(EVENTS, number, b"key", encode(record), record.observed_at))
            records_out += [
                Outgoing(FORECASTS, number, b"key", body, issued.issued_at) for issued, body in partition.take(record, record.sequence)
            ]
    alerts = [alert(), alert(revision=1, alert_type="retraction", supersedes="one.0", active=False, issued_at=at(0.5))]
    records_out += [Outgoing(ALERTS, partition_of(REGION.id, TOPICS[ALERTS]), b"one", encode(one), one.issued_at) for one in alerts]
    records_out += [Outgoing(topic, 0, b"key", b"poison \xff\n", at(3.0)) for topic in (EVENTS, FORECASTS, ALERTS)]
    return sorted(records_out, key=lambda one: one.time)


ALL = outgoing()


def write(log: Log, part: list[Outgoing]) -> None:
    producer = log.producer("somebody")
    for begin in range(0, len(part), 50):
        producer.commit(part[begin : begin + 50])
    producer.close()


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('client')}/log.db"
    log = open_log(url)
    log.create_topics()
    write(log, ALL)
    log.close()
    return url


@pytest.fixture(scope="module")
def client(bus: str) -> Iterator[Client]:
    with serve_log(bus, table(), cap_sender="quakes.example") as address, Client(address) as one:
        yield one


def readable_records(topic: str) -> list[bytes]:
    """Return the records of a topic that can be read."""
    return sorted(one.value for one in ALL if one.topic == topic and b"poison" not in one.value)


def test_answers_are_typed_records(client: Client) -> None:
    regions = {region.id: region for region in client.regions()}
    assert regions[REGION.id].geometry is not None
    assert client.forecast(REGION.id) == regions[REGION.id].forecast
    assert {forecast.region for forecast in client.forecasts()} == {"test", "neighbour"}
    assert all(isinstance(forecast, Forecast) for forecast in client.forecasts())
    status = client.status()
    assert isinstance(status.stream_time, Instant)
    assert status.replay is False
    assert client.get("/v1/events", limit=1)["events"]


def test_events_are_selected_by_magnitude_time_and_region(client: Client) -> None:
    large = client.events(min_magnitude=4.0, limit=1000)
    assert large
    assert all(event.magnitude is not None and event.magnitude >= 4.0 for event in large)
    assert [event.time for event in large] == sorted((event.time for event in large), reverse=True)
    some = client.events(region=REGION.id, start=at(1.0), end=str(at(20.0)), limit=1000)
    assert some
    assert all(event.region == REGION.id and at(1.0) <= event.time < at(20.0) for event in some)


def test_alerts_come_with_their_revisions(client: Client) -> None:
    (last,) = client.alerts(rule="m6")
    assert last.alert_type == "retraction"
    assert [one.revision for one in client.alert("one")] == [0, 1]
    with pytest.raises(Problem, match="there is no alert of that id"):
        client.alert("an id that? is #not there")
    with pytest.raises(Problem, match="there is no region of that id"):
        client.region("st%2Fatus?")


def test_the_stream_gives_each_record_once_with_the_bytes_of_its_topic(client: Client) -> None:
    with client.stream(["events", "forecasts", "alerts"], start="beginning", until_end=True, include_heartbeats=True) as stream:
        received = [(type(record), stream.json.encode()) for record in stream]
        assert stream.unreadable == 3
    assert sorted(body for kind, body in received if issubclass(kind, Forecast)) == readable_records(FORECASTS)
    assert sorted(body for kind, body in received if issubclass(kind, Alert)) == readable_records(ALERTS)
    assert sorted(body for kind, body in received if issubclass(kind, InputRecord)) == readable_records(EVENTS)


def test_a_stream_begins_at_a_time(client: Client) -> None:
    with client.stream(["forecasts"], start=at(100.0), until_end=True) as stream:
        received = [msgspec.structs.asdict(record) for record in stream]
    assert received
    assert all(one["issued_at"] >= at(100.0) for one in received)
    assert len(received) == sum(one.topic == FORECASTS and one.time >= at(100.0) for one in ALL)


def test_a_server_that_ends_and_comes_back_loses_no_record_and_repeats_none(tmp_path: Path) -> None:
    """Three servers run one after another on one address while the log grows; the program restarts in between, too."""
    url, port = f"sqlite:///{tmp_path}/log.db", free_port()
    log = open_log(url)
    log.create_topics()
    third = len(ALL) // 3
    forecasts = [one.value for one in ALL if one.topic == FORECASTS and b"poison" not in one.value]
    received: list[bytes] = []
    down = threading.Event()

    def servers() -> None:
        for number in range(3):
            down.clear()
            write(log, ALL[number * third : None if number == 2 else (number + 1) * third])
            with serve_log(url, table(), port):
                down.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=servers)
    thread.start()
    with Client(f"http://127.0.0.1:{port}") as client:
        for share in (0.2, 0.5, 0.7, 1.0):  # the share that each run of the program has read at its end
            with client.stream(["forecasts"], start="beginning", cursor_file=tmp_path / "cursor") as stream:
                for _ in islice(stream, round(share * len(forecasts)) - len(received)):
                    received.append(stream.json.encode())
                    if len(received) in (len(forecasts) // 4, len(forecasts) // 2):
                        down.set()
                stream.save()
    down.set()
    thread.join(PATIENCE_SECONDS)
    log.close()
    assert sorted(received) == sorted(forecasts)


def test_a_history_of_forecasts_is_complete_and_in_order(client: Client) -> None:
    all_forecasts = [decode_forecast(body) for body in readable_records(FORECASTS)]
    mine = sorted((one for one in all_forecasts if one.region == REGION.id), key=lambda one: one.input_sequence)
    assert list(client.forecast_history(REGION.id)) == mine
    some = [one for one in mine if at(20.0) <= one.issued_at < at(100.0)]
    assert some
    assert list(client.forecast_history(REGION.id, at(20.0), str(at(100.0)))) == some


def test_the_client_decodes_the_answer_of_every_endpoint(client: Client) -> None:
    assert client.outlooks() == list(client.outlook_history(REGION.id)) == []
    assert client.map(REGION.id) is None
    assert list(client.map_history(REGION.id)) == []
    assert {one.region for one in client.scores().regions} <= {"test", "neighbour"}
    assert client.models().records == []
    assert all(one.forecast_id.startswith(REGION.id) for one in client.outcomes(REGION.id, limit=5))
    assert json.loads(client.forecasts_geojson())["type"] == "FeatureCollection"
    large = [event for event in client.events(min_magnitude=4.0, limit=5) if not event.deleted]
    assert len(json.loads(client.events_geojson(min_magnitude=4.0, limit=5))["features"]) == len(large)
    assert client.events_quakeml(min_magnitude=4.0, limit=5).count(b"</event>") == len(large)
    assert b"<msgType>Cancel</msgType>" in client.cap("one")
    assert b"<msgType>Alert</msgType>" in client.cap("one", revision=0)
    assert b"<sender>quakes.example</sender>" in client.cap("one")


def test_a_stream_of_one_region_has_only_its_changes(client: Client) -> None:
    with client.stream(["events"], [REGION.id], start="beginning", until_end=True) as stream:
        received = list(stream)
    assert received
    assert all(isinstance(record, Change) and record.region == REGION.id for record in received)
