"""The stream with many clients, slow clients and restarted servers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ingest.bus.log import EVENTS, Outgoing
from ingest.event import Heartbeat, encode
from stream.serve.gate import Access
from tests.support.api_server import Deployment, Reader, read_values, serve_deployment
from tests.support.simulated import at, simulated_polls
from tests.support.stream_clients import measure_clients
from tests.support.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    url = f"sqlite:///{tmp_path}/log.db"
    return Deployment(url, url)


def test_five_hundred_clients_get_every_record_once(tmp_path: Path) -> None:
    """A hundred of them leave in the middle and return."""
    report = measure_clients(f"sqlite:///{tmp_path}/log.db", tmp_path, clients=500, leaving=100, records=200, per_second=25.0)
    assert (report.missing, report.repeated) == (0, 0)
    assert len(report.seconds) == 400 * 200


def test_a_few_clients_have_a_record_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    report = measure_clients(f"sqlite:///{tmp_path}/log.db", tmp_path, clients=5, leaving=0, records=100, per_second=25.0)
    assert sorted(report.seconds)[len(report.seconds) // 2] < 0.1


def test_a_client_continues_at_the_next_record_after_a_restart_of_the_server(deployment: Deployment) -> None:
    polls = simulated_polls(7, 30, 2.0)[:40]
    deployment.publish(polls[:20])
    with serve_deployment(deployment) as running:
        reader = Reader(running, "?topics=events&from=beginning")
        received = reader.take(40)
    deployment.publish(polls[20:])
    with serve_deployment(deployment) as running:
        received += Reader(running, "?topics=events", last_event_id=received[-1].id).take(len(read_values(deployment, [EVENTS])) - 40)
        reader = Reader(running, "?topics=events", last_event_id=received[-1].id)
        deployment.write(Outgoing(EVENTS, 0, b"all_day", encode(Heartbeat(10_000, at(500.0), "all_day")), at(500.0)))
        received += reader.take(1)
    assert sorted(message.data for message in received) == sorted(read_values(deployment, [EVENTS]))


def test_a_client_that_does_not_read_is_disconnected_and_can_resume_without_loss(deployment: Deployment) -> None:
    deployment.write(Outgoing(EVENTS, 0, b"", encode(Heartbeat(0, at(0.0), "first")), at(0.0)))
    with serve_deployment(deployment, Access(requests_per_second=0.0, slow_after_seconds=1.0)) as running:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(("127.0.0.1", running.port))
            client.sendall(b"GET /v1/stream?topics=events&from=beginning HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: open_streams(running.get("/metrics")[2]) == 1, "the stream")
            for first in range(1, 400, 20):
                numbers = range(first, first + 20)
                deployment.write(*(Outgoing(EVENTS, 0, b"", encode(Heartbeat(n, at(n), "x" * 20_000)), at(n)) for n in numbers))
            wait_until(lambda: open_streams(running.get("/metrics")[2]) == 0, "disconnecting it")
            seen = b""
            client.settimeout(PATIENCE_SECONDS)
            try:
                while piece := client.recv(65_536):
                    seen += piece
            except ConnectionResetError:
                pass
        whole = seen[: seen.rfind(b"\n\n")].decode(errors="replace")
        last_id = [line[4:].strip() for line in whole.splitlines() if line.startswith("id: ")][-1]
        received = sum(1 for line in whole.splitlines() if line.startswith("data: "))
        rest = Reader(running, "?topics=events", last_event_id=last_id).take(401 - received)
    assert received < 401
    assert [json.loads(message.data)["sequence"] for message in rest] == list(range(received, 401))


def open_streams(metrics: bytes) -> int:
    """Return how many streams are open."""
    line = next(line for line in metrics.decode().splitlines() if line.startswith("quakecast_stream_clients"))
    return int(float(line.split()[1]))


def test_a_cursor_of_a_former_log_is_refused(deployment: Deployment, tmp_path: Path) -> None:
    deployment.publish(simulated_polls(7, 30, 2.0)[:40])
    with serve_deployment(deployment) as running:
        last = Reader(running, "?from=beginning").take(200)[-1].id
    (tmp_path / "new").mkdir()
    url = f"sqlite:///{tmp_path}/new/log.db"
    other = Deployment(url, url)
    other.publish(simulated_polls(7, 30, 2.0)[:2])
    with serve_deployment(other) as running:
        refused = Reader(running, last_event_id=last)
        assert refused.status == 400
        assert refused.refusal()["remedy"] == "begin without it"
        assert len(Reader(running, "?from=beginning").take(5)) == 5
