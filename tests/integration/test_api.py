"""The HTTP API as its clients meet it: a real server over an embedded log and over Kafka, asked by other people's tools."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from ingest.bus.log import EVENTS, FORECASTS, Outgoing
from ingest.event import Heartbeat, encode
from ingest.problem import Problem
from stream.client import Client
from stream.records.disclaimer import DISCLAIMER
from stream.records.examples import ALERT
from stream.records.explanation import Contribution, Explanation, Influence
from stream.serve.documents.asyncapi import asyncapi
from stream.serve.gate import Access
from tests.support.api_server import Ground, Reader, Served, alert_out, in_the_log, retracted, served
from tests.support.paths import ROOT
from tests.support.servers import MissingPart
from tests.support.simulated import REGION, at, turns
from tests.support.stand_ins import program

SECONDS = 300.0
TOKEN = "a-token-that-nobody-guesses"
ASYNCAPI_SCHEMA = ROOT / "stream/serve/page/node_modules/@asyncapi/specs/schemas/3.0.0.json"
_counter = itertools.count(1)


def explain(region: str) -> Explanation:
    event = Contribution(at(1.0), 35.0, -117.0, 4.2, 0.75)
    return Explanation(region, at(2.0), 0.5, 0.25, 0.0, [event], [Influence("average", 0.1)], [])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    url = f"sqlite:///{tmp_path_factory.mktemp('api')}/log.db"
    filled = Ground(url, url)
    filled.fill()
    return filled


@pytest.fixture(scope="module")
def server(ground: Ground) -> Iterator[Served]:
    with served(ground, explain=explain) as running:
        yield running


@pytest.fixture(params=["sqlite", "kafka"])
def any_ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    """An empty log of either kind."""
    store = f"sqlite:///{tmp_path}/log.db"
    if request.param == "sqlite":
        return Ground(store, store)
    return Ground(f"kafka://{request.getfixturevalue('kafka')}/api{next(_counter)}", store)


def test_every_endpoint_answers_what_its_document_says(server: Served) -> None:
    document = server.json("/openapi.json")
    for path in document["paths"]:
        if path == "/v1/stream":
            continue
        named = path.replace("{region}", REGION.id).replace("{id}", "m6-observed:california:0-4711").replace("{name}", "alert.1.json")
        status, headers, body = server.get(named)
        responses = document["paths"][path]["get"]["responses"]
        assert status == 200, (named, body[:200])
        assert headers["content-type"].partition(";")[0] in {kind.partition(";")[0] for kind in responses["200"]["content"]}, named


def test_whoever_reads_forecasts_reads_the_disclaimer(server: Served) -> None:
    for path in (
        "status",
        "regions",
        f"regions/{REGION.id}",
        "forecasts",
        f"regions/{REGION.id}/forecasts",
        "outlooks",
        "alerts",
        "scores",
    ):
        assert server.json(f"/v1/{path}")["disclaimer"] == DISCLAIMER, path
    assert server.json("/v1/forecasts.geojson")["disclaimer"] == DISCLAIMER


def test_status_tells_where_everything_is(server: Served, ground: Ground) -> None:
    told = server.json("/v1/status")
    assert told["lag_records"] == 0
    assert told["model"]["name"] == "sum-1"
    assert told["dead_letters"] == {"time_damaged": 1}
    assert told["counts"]["forecasts"] == len(in_the_log(ground, [FORECASTS]))
    assert told["counts"]["alerts_active"] == 1
    assert told["stream_time"] == told["feed"]["time"]
    assert told["feed"]["stale"], "nothing has been heard for years"


def test_regions_come_with_their_shapes_and_forecasts(server: Served) -> None:
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


def test_a_region_s_history_is_what_the_log_has(server: Served, ground: Ground) -> None:
    bodies = [json.loads(body) for body in in_the_log(ground, [FORECASTS])]
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


def test_events_are_filtered_and_newest_first(server: Served) -> None:
    events = server.json("/v1/events?limit=1000")["events"]
    assert [event["time"] for event in events] == sorted((event["time"] for event in events), reverse=True)
    assert {True, False} == {event["deleted"] for event in events}
    assert max(event["versions"] for event in events) > 1
    large = server.json(f"/v1/events?min_magnitude=4&region={REGION.id}&limit=3")["events"]
    assert large == [event for event in events if (event["magnitude"] or 0) >= 4 and event["region"] == REGION.id][:3]


def test_alerts_are_their_last_revisions_and_one_gives_all(server: Served) -> None:
    alerts = server.json("/v1/alerts")["alerts"]
    assert [(alert["alert_type"], alert["test"]) for alert in alerts] == [("initial", True), ("retraction", False)]
    assert server.json("/v1/alerts?active=true")["alerts"] == alerts[:1]
    assert server.json("/v1/alerts?active=false&test=false&kind=magnitude&rule=m6-observed")["alerts"] == alerts[1:]
    assert server.json("/v1/alerts?kind=feed")["alerts"] == []
    revisions = server.json(f"/v1/alerts/{ALERT.id}")["revisions"]
    assert [one["revision"] for one in revisions] == [0, 1]


def test_exports_are_what_they_say(server: Served) -> None:
    status, headers, body = server.get("/v1/events.quakeml?limit=5")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/xml")
    assert body.count(b"<event ") <= 5
    status, headers, body = server.get(f"/v1/alerts/{ALERT.id}/cap")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/cap+xml")
    assert b"<msgType>Cancel</msgType>" in body
    assert b"<msgType>Alert</msgType>" in server.get(f"/v1/alerts/{ALERT.id}/cap?revision=0")[2]
    assert server.get(f"/v1/alerts/{ALERT.id}/cap?revision=7")[0] == 404


def test_outcomes_and_scores_are_those_of_the_sequence(server: Served) -> None:
    outcomes = server.json(f"/v1/regions/{REGION.id}/outcomes")["outcomes"]
    assert 0 < len(outcomes) <= 24
    assert all(0.0 <= one["wait_pit"] <= 1.0 and one["wait_hours"] > 0 for one in outcomes)
    scores = server.json("/v1/scores")
    assert scores["pit"]["edges"] == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert sum(scores["pit"]["wait"]) == sum(scores["pit"]["magnitude"]) > 3
    assert scores["world"]["events"] == sum(region["score"]["events"] for region in scores["regions"]) > 0


def test_an_explanation_comes_from_the_windows_or_says_why_not(ground: Ground, server: Served) -> None:
    assert server.json(f"/v1/regions/{REGION.id}/explanation") == json.loads(encode(explain(REGION.id)))
    with Client(server.address) as client:
        assert client.explanation(REGION.id) == explain(REGION.id)
    assert server.get("/v1/regions/fe-40/explanation")[0] == 404

    def unreachable(_: str) -> Explanation:
        raise Problem("no Redis answers", "start it")

    with served(ground, explain=unreachable) as other:
        status, headers, body = other.get(f"/v1/regions/{REGION.id}/explanation")
    assert (status, json.loads(body)) == (503, {"error": "no Redis answers", "remedy": "start it"})
    assert int(headers["retry-after"]) > 0


WRONG = (
    ("/v1/events?limit=0", 400), ("/v1/events?limit=1001", 400), ("/v1/events?limit=many", 400), ("/v1/events?min_magnitude=nan", 400),
    ("/v1/events?from=yesterday", 400), ("/v1/events?from=0001-01-01T00:00:00%2B14:00", 200), ("/v1/events?limit=1&limit=2", 400),
    ("/v1/events?token=secret", 400), ("/v1/events?min_magnitude=null", 400), ("/v1/alerts?active=1", 400), ("/v1/alerts?kind=null", 400),
    ("/v1/regions/atlantis", 404), ("/v1/regions/..%2f..%2fetc%2fpasswd", 404), ("/v1/regions/%00", 404), ("/v1/alerts/none", 404),
    ("/v1/regions/test'%20OR%201=1--/forecasts", 404), ("/schemas/..%2fpyproject.toml", 404), ("/schemas/pyproject.toml", 404),
    ("/assets/../application.py", 404), ("/assets/%2e%2e/application.py", 404), ("/nothing", 404), ("/v1", 404),
    ("/v1/stream?topics=deadletters", 400), ("/v1/stream?topics=", 400), ("/v1/stream?regions=atlantis", 400),
    ("/v1/events?region=atlantis", 400), ("/v1/alerts?region=atlantis", 400),
    ("/v1/stream?from=never", 400), ("/v1/stream?after=x", 400), ("/v1/stream?test=maybe", 400),
)  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), WRONG)
def test_what_cannot_be_answered_is_told_in_one_line(path: str, expected: int, server: Served) -> None:
    status, _, body = server.get(path)
    assert status == expected
    if status != 200 and not path.startswith("/assets"):
        told = json.loads(body)
        assert told.keys() == {"error", "remedy"}
        assert all("\n" not in line and len(line) < 1_500 for line in told.values())
        assert b"secret" not in body


def test_values_from_outside_come_back_as_text_only(server: Served) -> None:
    status, headers, body = server.get("/v1/events?%3Cscript%3E=1")
    assert (status, headers["content-type"]) == (400, "application/json")
    assert headers["x-content-type-options"] == "nosniff"
    assert b"<script>" in body, "as JSON it is but text, and no browser takes it for a page"


def test_only_get_is_answered(server: Served) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        ran = curl("-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, f"{server.address}/v1/status")
        assert ran == b"405", method


def test_a_body_is_refused(server: Served) -> None:
    assert curl("-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "GET", "-d", "x" * 20_000, f"{server.address}/v1/status") == b"413"


def test_a_browser_on_another_s_page_reads_nothing(server: Served) -> None:
    _, headers, _ = server.get("/v1/status", origin="https://evil.example")
    assert not any(name.startswith("access-control") for name in headers)
    assert server.get("/v1/status", host="evil.example")[0] == 400


def test_with_a_token_nothing_but_health_and_the_page_is_answered_without(ground: Ground) -> None:
    with served(ground, Access(TOKEN, 0.0)) as guarded:
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


def test_the_rate_of_an_address_is_limited(ground: Ground) -> None:
    with served(ground, Access(requests_per_second=0.2)) as slow:
        found = [slow.get("/healthz") for _ in range(10)]
        statuses = [status for status, _, _ in found]
        assert 429 in statuses
        _, headers, body = found[statuses.index(429)]
        assert int(headers["retry-after"]) >= 1
        assert "fewer requests" in json.loads(body)["remedy"]


def test_a_client_that_sends_half_a_request_is_let_go(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.serve.connection.REQUEST_SECONDS", 0.5)
    with served(ground) as running, socket.create_connection(("127.0.0.1", running.port), 10) as client:
        client.sendall(b"GET /v1/status HTTP/1.1\r\nHost: local")
        began = time.monotonic()
        assert client.recv(1) == b"", "the connection is closed without an answer"
        assert time.monotonic() - began < 5.0


def test_a_client_that_goes_on_with_half_a_request_is_let_go_too(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.serve.connection.REQUEST_SECONDS", 0.5)
    with served(ground) as running, socket.create_connection(("127.0.0.1", running.port), 10) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /v1/status HTTP/1.1\r\n")
        began = time.monotonic()
        while client.recv(65_536):
            pass
        assert time.monotonic() - began < 4.0, "sooner than idle connections are closed"


def test_the_head_of_the_stream_ends(server: Served) -> None:
    assert curl("-sI", "-m", "10", "-o", "/dev/null", "-w", "%{http_code} %{content_type}", f"{server.address}/v1/stream").startswith(
        b"200 text/event-stream"
    )


def test_asyncapi_is_valid_by_asyncapi_s_own_schema(server: Served) -> None:
    document = server.json("/asyncapi.json")
    assert document == json.loads(json.dumps(asyncapi()))
    if not ASYNCAPI_SCHEMA.is_file():
        pytest.skip("AsyncAPI's JSON Schema is not here: make page installs it")
    schema = json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)] == []
    del document["asyncapi"]
    assert not jsonschema.Draft7Validator(schema).is_valid(document)


def test_asyncapi_refers_only_to_what_it_has(server: Served) -> None:
    document = server.json("/asyncapi.json")
    references = list(_references(document))
    assert len(references) > 40
    for reference in references:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
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


def test_schemas_are_served_with_their_examples(server: Served) -> None:
    for name in ("change.1.json", "forecast.1", "alert.1.json", "outlook.1"):
        schema = server.json(f"/schemas/{name}")
        (example,) = schema["examples"]
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(example)


def test_schemathesis_finds_nothing(server: Served, tmp_path: Path) -> None:
    """All its checks and phases on every endpoint but the stream, which does not end."""
    more = ("--exclude-path", "/v1/stream", "--max-examples", "2", "--seed", "6", "--no-color", "--generation-database", "none")
    command = [program("schemathesis"), "run", f"{server.address}/openapi.json", *more]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout
    tested = len(server.json("/openapi.json")["paths"].keys() - {"/v1/stream", "/openapi.json"})  # the document does not test itself
    assert f"Tested: {tested}\n" in ran.stdout, ran.stdout
    assert "No issues found" in ran.stdout, ran.stdout


def curl(*arguments: str) -> bytes:
    return subprocess.run([curl_program(), *arguments], capture_output=True, timeout=60, check=False).stdout


def curl_program() -> str:
    found = shutil.which("curl")
    if found is None:
        raise MissingPart("curl is missing: apt-get install curl")
    return found


def test_curl_killed_and_resumed_misses_nothing_and_repeats_nothing(any_ground: Ground) -> None:
    """`curl -N` reads while records are written, is killed in the middle, and goes on after the last id that it had read."""
    any_ground.tell(turns(5, 40, 2.0)[:5])
    beats = [Outgoing(EVENTS, n % 6, b"all_day", encode(Heartbeat(n, at(20.0 + n), f"beat {n}")), at(20.0 + n)) for n in range(120)]

    def write() -> None:
        for first in range(0, len(beats), 15):
            any_ground.write(*beats[first : first + 15])

    got: list[bytes] = []
    with served(any_ground) as running:
        writing = threading.Thread(target=write)
        writing.start()
        last_id = ""
        for reads in (25, 1, 60):
            last_id = curled(running, last_id, got, len(got) + reads)
        writing.join()
        curled(running, last_id, got, len(in_the_log(any_ground, [EVENTS])))
    assert sorted(got) == sorted(in_the_log(any_ground, [EVENTS]))


def curled(server: Served, last_id: str, got: list[bytes], until: int) -> str:
    """`curl -N` after an id, killed when there are so many records; gives the id after the last of them."""
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
                got.append(data)
                last_id, data = new_id, b""
            if len(got) >= until:
                process.send_signal(signal.SIGKILL)
                break
    return last_id


def test_an_alert_and_its_retraction_come_to_a_stream_once_each_whatever_the_log(any_ground: Ground) -> None:
    any_ground.tell(turns(5, 40, 2.0)[:3])
    with served(any_ground) as running:
        reader = Reader(running, "?topics=alerts")
        initial = msgspec.structs.replace(ALERT, issued_at=at(1.0))
        any_ground.write(alert_out(initial))
        (first,) = reader.take(1)
        reader.close()
        any_ground.write(alert_out(retracted(initial, at(2.0))))
        (second,) = Reader(running, "?topics=alerts", last_event_id=first.id).take(1)
        assert [first.data, second.data] == [encode(initial), encode(retracted(initial, at(2.0)))]
        assert [one["revision"] for one in running.json(f"/v1/alerts/{ALERT.id}")["revisions"]] == [0, 1]
