"""The stream under many clients, slow ones, and servers that come and go."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from ingest.bus.log import EVENTS, Outgoing
from ingest.event import Heartbeat, encode
from stream.serve.gate import Access
from tests.support.api_server import Ground, Reader, in_the_log, served
from tests.support.simulated import at, turns
from tests.support.stream_clients import measured
from tests.support.waiting import wait_until


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    url = f"sqlite:///{tmp_path}/log.db"
    return Ground(url, url)


def test_five_hundred_clients_lose_nothing_and_get_nothing_twice(tmp_path: Path) -> None:
    """A hundred of them go away in the middle and come back."""
    found = measured(f"sqlite:///{tmp_path}/log.db", tmp_path, clients=500, leaving=100, records=200, per_second=25.0)
    assert (found.missing, found.repeated) == (0, 0)
    assert len(found.seconds) == 400 * 200


def test_a_few_clients_have_a_record_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    found = measured(f"sqlite:///{tmp_path}/log.db", tmp_path, clients=5, leaving=0, records=100, per_second=25.0)
    assert sorted(found.seconds)[len(found.seconds) // 2] < 0.1


def test_a_client_goes_on_at_the_exact_record_after_the_server_was_started_anew(ground: Ground) -> None:
    made = turns(7, 30, 2.0)[:40]
    ground.tell(made[:20])
    with served(ground) as running:
        reader = Reader(running, "?topics=events&from=beginning")
        got = reader.take(40)
    ground.tell(made[20:])
    with served(ground) as running:
        got += Reader(running, "?topics=events", last_event_id=got[-1].id).take(len(in_the_log(ground, [EVENTS])) - 40)
        reader = Reader(running, "?topics=events", last_event_id=got[-1].id)
        ground.write(Outgoing(EVENTS, 0, b"all_day", encode(Heartbeat(10_000, at(500.0), "all_day")), at(500.0)))
        got += reader.take(1)
    assert sorted(message.data for message in got) == sorted(in_the_log(ground, [EVENTS]))


def test_a_client_that_does_not_read_is_cut_off_and_loses_nothing(ground: Ground) -> None:
    ground.write(Outgoing(EVENTS, 0, b"", encode(Heartbeat(0, at(0.0), "first")), at(0.0)))
    with served(ground, Access(requests_per_second=0.0, slow_after_seconds=1.0)) as running:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect(("127.0.0.1", running.port))
            client.sendall(b"GET /v1/stream?topics=events&from=beginning HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until(lambda: streams(running.get("/metrics")[2]) == 1, "the stream")
            for first in range(1, 400, 20):
                numbers = range(first, first + 20)
                ground.write(*(Outgoing(EVENTS, 0, b"", encode(Heartbeat(n, at(n), "x" * 20_000)), at(n)) for n in numbers))
            wait_until(lambda: streams(running.get("/metrics")[2]) == 0, "cutting it off")
            seen = b""
            client.settimeout(10.0)
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


def streams(metrics: bytes) -> int:
    """How many streams are open."""
    line = next(line for line in metrics.decode().splitlines() if line.startswith("quakecast_stream_clients"))
    return int(float(line.split()[1]))


def test_a_cursor_of_a_log_that_was_made_anew_is_refused(ground: Ground, tmp_path: Path) -> None:
    ground.tell(turns(7, 30, 2.0)[:40])
    with served(ground) as running:
        last = Reader(running, "?from=beginning").take(200)[-1].id
    (tmp_path / "new").mkdir()
    url = f"sqlite:///{tmp_path}/new/log.db"
    other = Ground(url, url)
    other.tell(turns(7, 30, 2.0)[:2])
    with served(other) as running:
        refused = Reader(running, last_event_id=last)
        assert refused.status == 400
        assert refused.refusal()["remedy"] == "begin without it"
        began = time.monotonic()
        assert Reader(running, "?from=beginning").take(5)
        assert time.monotonic() - began < 5.0
