"""The HTTP API: a real server over an embedded log and over Kafka, tested with curl, Schemathesis, JSON Schema and sockets."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from ingest.bus.log import EVENTS, FORECASTS, MAPS, Outgoing
from ingest.event import Heartbeat, encode
from ingest.problem import Problem
from stream.client import Client
from stream.records.disclaimer import DISCLAIMER
from stream.records.examples import ALERT, MAP
from stream.records.explanation import Contribution, Explanation, Influence
from stream.records.map import decode_map
from stream.serve.documents.asyncapi import asyncapi
from stream.serve.gate import Access
from tests.support.api_server import ApiServer, Deployment, Reader, outgoing_alert, read_values, retraction_of, serve_deployment
from tests.support.paths import ROOT
from tests.support.servers import MissingPart
from tests.support.simulated import REGION, at, simulated_polls
from tests.support.stand_ins import program
from tests.support.waiting import PATIENCE_SECONDS

TOKEN = "a-token-that-nobody-guesses"
ASYNCAPI_SCHEMA = ROOT / "stream/serve/page/node_modules/@asyncapi/specs/schemas/3.0.0.json"
_counter = itertools.count(1)


def explain(region: str) -> Explanation:
    event = Contribution(at(1.0), 35.0, -117.0, 4.2, 0.75)
    return Explanation(region, at(2.0), 0.5, 0.25, 0.0, [event], [Influence("average", 0.1)], [])


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    url = f"sqlite:///{tmp_path_factory.mktemp('api')}/log.db"
    filled = Deployment(url, url)
    filled.fill()
    return filled


@pytest.fixture(scope="module")
def server(deployment: Deployment) -> Iterator[ApiServer]:
    with serve_deployment(deployment, explain=explain) as running:
        yield running


@pytest.fixture(params=["sqlite", "kafka"])
def any_deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    """Return an empty log of either kind, with a store."""
    store = f"sqlite:///{tmp_path}/log.db"
    if request.param == "sqlite":
        return Deployment(store, store)
    return Deployment(f"kafka://{request.getfixturevalue('kafka')}/api{next(_counter)}", store)


def test_every_endpoint_answers_with_a_media_type_of_its_document(server: ApiServer) -> None:
    document = server.json("/openapi.json")
    for path in document["paths"]:
        if path == "/v1/stream":
            continue
        named = path.replace("{region}", REGION.id).replace("{id}", "m6-observed:california:0-4711").replace("{name}", "alert.1.json")
        status, headers, body = server.get(named)
        responses = document["paths"][path]["get"]["responses"]
        assert status == 200, (named, body[:200])
        assert headers["content-type"].partition(";")[0] in {kind.partition(";")[0] for kind in responses["200"]["content"]}, named


def test_a_path_with_a_slash_too_many_is_not_found_and_leads_nowhere(server: ApiServer) -> None:
    status, headers, body = server.get("/v1/regions/", host="localhost:1")
    assert status == 404
    assert "location" not in headers
    assert b"localhost:1" not in body


def test_every_answer_with_forecasts_has_the_disclaimer(server: ApiServer) -> None:
    for path in (
        "status",
        "regions",
        f"regions/{REGION.id}",
        "forecasts",
        f"regions/{REGION.id}/forecasts",
        "outlooks",
        f"maps/{REGION.id}",
        f"regions/{REGION.id}/maps",
        "alerts",
        "scores",
    ):
        assert server.json(f"/v1/{path}")["disclaimer"] == DISCLAIMER, path
    assert server.json("/v1/forecasts.geojson")["disclaimer"] == DISCLAIMER


def test_status_shows_lag_model_counts_and_feed(server: ApiServer, deployment: Deployment) -> None:
    status = server.json("/v1/status")
    assert status["lag_records"] == 0
    assert status["model"]["name"] == "sum-1"
    assert status["dead_letters"] == {"time_damaged": 1}
    assert status["counts"]["forecasts"] == len(read_values(deployment, [FORECASTS]))
    assert status["counts"]["alerts_active"] == 1
    assert status["stream_time"] == status["feed"]["time"]
    assert status["feed"]["stale"], "the newest heartbeat is years old"


def test_regions_come_with_their_shapes_and_forecasts(server: ApiServer) -> None:
    regions = {region["id"]: region for region in server.json("/v1/regions")["regions"]}
    assert len(regions) == 52
    here = regions[REGION.id]
    assert here["geometry"]["type"] == "Polygon"
    assert here["forecast"]["region"] == REGION.id
    one = server.json(f"/v1/regions/{REGION.id}")
    assert one["forecast"] == here["forecast"]
    assert one["outlook"]["region"] == REGION.id
    assert [span["label"] for span in one["came_since"]] == ["1 Day"]
    assert [alert["test"] for alert in one["alerts"]] == [True]


def test_the_latest_map_of_a_region_is_that_of_the_log(server: ApiServer, deployment: Deployment) -> None:
    (body,) = (json.loads(value) for value in read_values(deployment, [MAPS]))
    assert server.json(f"/v1/maps/{REGION.id}")["map"] == body
    history = server.json(f"/v1/regions/{REGION.id}/maps?from=2023-02-01T00:00:00Z")
    assert (history["maps"], history["more"]) == ([body], False)
    assert server.json("/v1/maps/neighbour")["map"] is None
    with Client(server.address) as client:
        assert client.map(REGION.id) == decode_map(json.dumps(body).encode())
        assert [one.id for one in client.map_history(REGION.id)] == [body["id"]]


def test_a_map_as_geojson_is_of_one_of_its_magnitudes(server: ApiServer) -> None:
    path = f"/v1/maps/{REGION.id}/geojson"
    _, headers, body = server.get(path)
    assert headers["content-type"] == "application/geo+json"
    everything = json.loads(body)
    assert [feature["properties"]["expected_1d"] for feature in everything["features"]] == MAP.expected[0]
    large = server.json(f"{path}?magnitude=4")
    assert large["metadata"]["magnitude"] == 4.0
    assert large["features"][0]["properties"]["expected_1d"] < everything["features"][0]["properties"]["expected_1d"]
    status, _, body = server.get(f"{path}?magnitude=4.2")
    assert status == 404
    assert b"the map has no magnitude 4.2: it has 2.5, 4, 5" in body
    status, _, body = server.get("/v1/maps/neighbour/geojson")
    assert status == 404
    assert b"maps are issued with the outlooks" in body


def test_maps_are_streamed_only_to_those_who_ask_for_them(server: ApiServer) -> None:
    reader = Reader(server, "?topics=maps&from=beginning&until=end")
    assert [message.topic for message in reader.messages()] == ["maps", "end"]
    reader = Reader(server, "?from=beginning&until=end")
    assert "maps" not in {message.topic for message in reader.messages()}


def test_a_region_s_history_is_that_of_the_log(server: ApiServer, deployment: Deployment) -> None:
    bodies = [json.loads(body) for body in read_values(deployment, [FORECASTS])]
    own = [body for body in bodies if body["region"] == REGION.id]
    assert len(own) > 50
    path = f"/v1/regions/{REGION.id}/forecasts"
    first = server.json(f"{path}?from=2023-02-01T00:00:00Z&limit=20")
    assert (first["forecasts"], first["more"]) == (own[:20], True)
    assert server.json(f"{path}?limit=5")["forecasts"] == own[-5:]
    since, until = own[10]["issued_at"], own[30]["issued_at"]
    between = server.json(f"{path}?from={since}&to={until}&limit=1000")
    assert (between["forecasts"], between["more"]) == ([body for body in own if since <= body["issued_at"] < until], False)
    assert server.json(f"{path}?from={until}&to={since}")["forecasts"] == []
    paged, start = [], "2023-02-01T00:00:00Z"
    while True:
        answer = server.json(f"{path}?from={start}&limit=50")
        paged += [body for body in answer["forecasts"] if body not in paged]
        if not answer["more"]:
            break
        start = answer["forecasts"][-1]["issued_at"]
    assert paged == own


def test_events_are_filtered_and_come_newest_first(server: ApiServer) -> None:
    events = server.json("/v1/events?limit=1000")["events"]
    assert [event["time"] for event in events] == sorted((event["time"] for event in events), reverse=True)
    assert {True, False} == {event["deleted"] for event in events}
    assert max(event["versions"] for event in events) > 1
    large = server.json(f"/v1/events?min_magnitude=4&region={REGION.id}&limit=3")["events"]
    assert large == [event for event in events if (event["magnitude"] or 0) >= 4 and event["region"] == REGION.id][:3]


def test_alerts_are_listed_by_their_last_revision_and_one_alert_has_them_all(server: ApiServer) -> None:
    alerts = server.json("/v1/alerts")["alerts"]
    assert [(alert["alert_type"], alert["test"]) for alert in alerts] == [("initial", True), ("retraction", False)]
    assert server.json("/v1/alerts?active=true")["alerts"] == alerts[:1]
    assert server.json("/v1/alerts?active=false&test=false&kind=magnitude&rule=m6-observed")["alerts"] == alerts[1:]
    assert server.json("/v1/alerts?kind=feed")["alerts"] == []
    revisions = server.json(f"/v1/alerts/{ALERT.id}")["revisions"]
    assert [one["revision"] for one in revisions] == [0, 1]


def test_exports_have_their_media_type_and_content(server: ApiServer) -> None:
    status, headers, body = server.get("/v1/events.quakeml?limit=5")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/xml")
    assert body.count(b"<event ") <= 5
    status, headers, body = server.get(f"/v1/alerts/{ALERT.id}/cap")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/cap+xml")
    assert b"<msgType>Cancel</msgType>" in body
    assert b"<msgType>Alert</msgType>" in server.get(f"/v1/alerts/{ALERT.id}/cap?revision=0")[2]
    assert server.get(f"/v1/alerts/{ALERT.id}/cap?revision=7")[0] == 404


def test_outcomes_and_scores_cover_the_events_of_the_sequence(server: ApiServer) -> None:
    outcomes = server.json(f"/v1/regions/{REGION.id}/outcomes")["outcomes"]
    assert 0 < len(outcomes) <= 24
    assert all(0.0 <= one["wait_pit"] <= 1.0 and one["wait_hours"] > 0 for one in outcomes)
    scores = server.json("/v1/scores")
    assert scores["pit"]["edges"] == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert sum(scores["pit"]["wait"]) == sum(scores["pit"]["magnitude"]) > 3
    assert scores["world"]["events"] == sum(region["score"]["events"] for region in scores["regions"]) > 0


def test_an_explanation_is_answered_or_the_error_has_a_remedy(deployment: Deployment, server: ApiServer) -> None:
    assert server.json(f"/v1/regions/{REGION.id}/explanation") == json.loads(encode(explain(REGION.id)))
    with Client(server.address) as client:
        assert client.explanation(REGION.id) == explain(REGION.id)
    assert server.get("/v1/regions/fe-40/explanation")[0] == 404

    def unreachable(_: str) -> Explanation:
        raise Problem("no Redis answers", "start it")

    with serve_deployment(deployment, explain=unreachable) as other:
        status, headers, body = other.get(f"/v1/regions/{REGION.id}/explanation")
    assert (status, json.loads(body)) == (503, {"error": "no Redis answers", "remedy": "start it"})
    assert int(headers["retry-after"]) > 0


WRONG = (
    ("/v1/events?limit=0", 400), ("/v1/events?limit=1001", 400), ("/v1/events?limit=many", 400), ("/v1/events?min_magnitude=nan", 400),
    ("/v1/events?from=yesterday", 400), ("/v1/events?from=0001-01-01T00:00:00%2B14:00", 400), ("/v1/events?limit=1&limit=2", 400),
    ("/v1/events?token=secret", 400), ("/v1/events?min_magnitude=null", 400), ("/v1/alerts?active=1", 400), ("/v1/alerts?kind=null", 400),
    ("/v1/regions/atlantis", 404), ("/v1/regions/..%2f..%2fetc%2fpasswd", 404), ("/v1/regions/%00", 404), ("/v1/alerts/none", 404),
    ("/v1/regions/test'%20OR%201=1--/forecasts", 404), ("/schemas/..%2fpyproject.toml", 404), ("/schemas/pyproject.toml", 404),
    ("/assets/../application.py", 404), ("/assets/%2e%2e/application.py", 404), ("/nothing", 404), ("/v1", 404),
    ("/v1/stream?topics=deadletters", 400), ("/v1/stream?topics=", 400), ("/v1/stream?regions=atlantis", 400),
    ("/v1/events?region=atlantis", 400), ("/v1/alerts?region=atlantis", 400),
    ("/v1/stream?from=never", 400), ("/v1/stream?after=x", 400), ("/v1/stream?test=maybe", 400),
)  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), WRONG)
def test_a_wrong_request_gets_an_error_and_a_remedy_in_one_line_each(path: str, expected: int, server: ApiServer) -> None:
    status, _, body = server.get(path)
    assert status == expected
    if status != 200 and not path.startswith("/assets"):
        refusal = json.loads(body)
        assert refusal.keys() == {"error", "remedy"}
        assert all("\n" not in line and len(line) < 1_500 for line in refusal.values())
        assert b"secret" not in body


def test_values_of_a_request_come_back_as_json_text_only(server: ApiServer) -> None:
    status, headers, body = server.get("/v1/events?%3Cscript%3E=1")
    assert (status, headers["content-type"]) == (400, "application/json")
    assert headers["x-content-type-options"] == "nosniff"
    assert b"<script>" in body, "it is text in JSON, which no browser runs"


def test_only_get_is_answered(server: ApiServer) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        ran = curl("-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, f"{server.address}/v1/status")
        assert ran == b"405", method


def test_a_request_with_a_body_is_refused(server: ApiServer) -> None:
    assert curl("-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "GET", "-d", "x" * 20_000, f"{server.address}/v1/status") == b"413"


def test_a_page_of_another_origin_cannot_read_an_answer(server: ApiServer) -> None:
    _, headers, _ = server.get("/v1/status", origin="https://evil.example")
    assert not any(name.startswith("access-control") for name in headers)
    assert server.get("/v1/status", host="evil.example")[0] == 400


def test_where_a_token_is_required_only_health_and_the_page_are_answered_without_one(deployment: Deployment) -> None:
    with serve_deployment(deployment, Access(TOKEN, 0.0)) as guarded:
        assert guarded.get("/v1/status")[0] == 401
        assert guarded.get(f"/v1/status?token={TOKEN}")[0] == 401
        assert guarded.get("/healthz")[0] == 200
        assert guarded.get("/")[0] in (200, 404)
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert guarded.get("/v1/status", **bearer)[0] == 200
        assert guarded.get("/metrics")[0] == 401
        document = guarded.json("/openapi.json", **bearer)
        assert document["security"] == [{"token": []}]
        assert "security" not in document["paths"]["/v1/status"]["get"]
        assert document["paths"]["/healthz"]["get"]["security"] == []
        assert Reader(guarded).status == 401
        assert Reader(guarded, "?from=beginning", **bearer).take(3)


def test_the_rate_of_an_address_is_limited(deployment: Deployment) -> None:
    with serve_deployment(deployment, Access(requests_per_second=0.2)) as slow:
        answers = [slow.get("/healthz") for _ in range(10)]
        statuses = [status for status, _, _ in answers]
        assert 429 in statuses
        _, headers, body = answers[statuses.index(429)]
        assert int(headers["retry-after"]) >= 1
        assert "fewer requests" in json.loads(body)["remedy"]


def test_a_client_that_sends_half_a_request_is_disconnected(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.serve.connection.REQUEST_SECONDS", 0.5)
    with serve_deployment(deployment) as running, socket.create_connection(("127.0.0.1", running.port), PATIENCE_SECONDS) as client:
        client.sendall(b"GET /v1/status HTTP/1.1\r\nHost: local")
        assert client.recv(1) == b"", "the connection is closed without an answer"


def test_half_of_a_second_request_ends_a_connection_before_an_idle_one_ends(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.serve.connection.REQUEST_SECONDS", 0.5)
    with (
        serve_deployment(deployment) as running,
        socket.create_connection(("127.0.0.1", running.port), PATIENCE_SECONDS) as client,
        closing(HTTPConnection("127.0.0.1", running.port, PATIENCE_SECONDS)) as idle,
    ):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        client.sendall(b"GET /v1/status HTTP/1.1\r\n")
        while client.recv(65_536):
            pass
        idle.request("GET", "/healthz")
        assert idle.getresponse().status == 200, "the idle connection is still open"


def test_a_head_request_of_the_stream_ends(server: ApiServer) -> None:
    assert curl("-sI", "-m", "10", "-o", "/dev/null", "-w", "%{http_code} %{content_type}", f"{server.address}/v1/stream").startswith(
        b"200 text/event-stream"
    )


def test_asyncapi_is_valid_by_asyncapi_s_own_schema(server: ApiServer) -> None:
    document = server.json("/asyncapi.json")
    assert document == json.loads(json.dumps(asyncapi()))
    if not ASYNCAPI_SCHEMA.is_file():
        pytest.skip("AsyncAPI's JSON Schema is not here: make page installs it")
    schema = json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)] == []
    del document["asyncapi"]
    assert not jsonschema.Draft7Validator(schema).is_valid(document)


def test_every_reference_in_asyncapi_leads_to_a_definition(server: ApiServer) -> None:
    document = server.json("/asyncapi.json")
    references = list(_references(document))
    assert len(references) > 40
    for reference in references:
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    for message in document["components"]["messages"].values():
        schema = document["components"] | {"$ref": f"#/components/schemas/{message['payload']['$ref'].rpartition('/')[2]}"}
        jsonschema.Draft202012Validator({"components": document["components"], **schema}).validate(message["examples"][0]["payload"])


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for one in part.values():
            yield from _references(one)
    elif isinstance(part, list):
        for one in part:
            yield from _references(one)


def test_schemas_are_served_with_their_examples(server: ApiServer) -> None:
    for name in ("change.1.json", "forecast.1", "alert.1.json", "outlook.1"):
        schema = server.json(f"/schemas/{name}")
        (example,) = schema["examples"]
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example)


def test_schemathesis_finds_no_issue(server: ApiServer, tmp_path: Path) -> None:
    """Run all its checks and phases on every endpoint except the stream, which does not end."""
    more = ("--exclude-path", "/v1/stream", "--max-examples", "2", "--seed", "6", "--no-color", "--generation-database", "none")
    command = [program("schemathesis"), "run", f"{server.address}/openapi.json", *more]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout
    tested = len(server.json("/openapi.json")["paths"].keys() - {"/v1/stream", "/openapi.json"})  # the document does not test itself
    assert f"Tested: {tested}\n" in ran.stdout, ran.stdout
    assert "No issues found" in ran.stdout, ran.stdout


def curl(*arguments: str) -> bytes:
    return subprocess.run([curl_program(), *arguments], capture_output=True, timeout=PATIENCE_SECONDS, check=False).stdout


def curl_program() -> str:
    found = shutil.which("curl")
    if found is None:
        raise MissingPart("curl is missing: apt-get install curl")
    return found


def test_curl_killed_and_resumed_misses_no_record_and_repeats_none(any_deployment: Deployment) -> None:
    """`curl -N` reads while records are written, is killed several times, and resumes after the last id that it has read."""
    any_deployment.publish(simulated_polls(5, 40, 2.0)[:5])
    beats = [Outgoing(EVENTS, n % 6, b"all_day", encode(Heartbeat(n, at(20.0 + n), f"beat {n}")), at(20.0 + n)) for n in range(120)]

    def write() -> None:
        for first in range(0, len(beats), 15):
            any_deployment.write(*beats[first : first + 15])

    received: list[bytes] = []
    with serve_deployment(any_deployment) as running:
        writing = threading.Thread(target=write)
        writing.start()
        last_id = ""
        for reads in (25, 1, 60):
            last_id = read_with_curl(running, last_id, received, len(received) + reads)
        writing.join()
        read_with_curl(running, last_id, received, len(read_values(any_deployment, [EVENTS])))
    assert sorted(received) == sorted(read_values(any_deployment, [EVENTS]))


def read_with_curl(server: ApiServer, last_id: str, received: list[bytes], until: int) -> str:
    """Read with `curl -N` after an id until so many records are received, kill it, and return the id after the last of them."""
    headers = ["-H", f"Last-Event-ID: {last_id}"] if last_id else []
    command = [curl_program(), "-sN", f"{server.address}/v1/stream?topics=events&from=beginning", *headers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        new_id, data = last_id, b""
        for line in process.stdout:
            if line.startswith("id: "):
                new_id = line[4:].strip()
            elif line.startswith("data: "):
                data = line[6:].strip().encode()
            elif data:
                received.append(data)
                last_id, data = new_id, b""
            if len(received) >= until:
                process.send_signal(signal.SIGKILL)
                break
    return last_id


def test_a_stream_of_either_log_gives_an_alert_and_its_retraction_once_each(any_deployment: Deployment) -> None:
    any_deployment.publish(simulated_polls(5, 40, 2.0)[:3])
    with serve_deployment(any_deployment) as running:
        reader = Reader(running, "?topics=alerts")
        initial = msgspec.structs.replace(ALERT, issued_at=at(1.0))
        any_deployment.write(outgoing_alert(initial))
        (first,) = reader.take(1)
        reader.close()
        any_deployment.write(outgoing_alert(retraction_of(initial, at(2.0))))
        (second,) = Reader(running, "?topics=alerts", last_event_id=first.id).take(1)
        assert [first.data, second.data] == [encode(initial), encode(retraction_of(initial, at(2.0)))]
        assert [one["revision"] for one in running.json(f"/v1/alerts/{ALERT.id}")["revisions"]] == [0, 1]
