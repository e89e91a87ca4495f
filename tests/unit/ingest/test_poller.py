"""The poller against a real HTTP server with prepared replies, over the embedded log."""

from __future__ import annotations

import gzip
import json
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.bus import open_log
from ingest.bus.log import DEAD_LETTERS, EVENTS, TOPICS, Log, Outgoing
from ingest.event import Change, DeadLetter, Event, Heartbeat, InputRecord, Promotion, WhyNotLive, decode, decode_dead_letter
from ingest.instant import Instant
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import LONGEST_RETRY_AFTER_SECONDS, Poller
from ingest.problem import Problem
from ingest.publish import Publisher
from ingest.sources import UsgsSource
from ingest.sources.usgs import CHANNELS
from ingest.sources.usgs_http import LARGEST_BODY_BYTES, detail_path, summary_path
from tests.support.simulated import at, event, table
from tests.support.waiting import PATIENCE_SECONDS

TABLE = table()
QUERY_PATH = "/fdsnws/event/1/query"
DAY, WEEK, MONTH = summary_path("all_day"), summary_path("all_week"), summary_path("2.5_month")


class Reply(NamedTuple):
    """The reply of the server to a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never written to
    repeat: int = 1
    """The body is sent so many times in a row."""
    announced: int | None = None
    """A false `Content-Length`."""
    reset: bool = False
    """The connection is reset without an answer."""


class Server(ThreadingHTTPServer):
    """Answers by path with the prepared replies in their order; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def set_replies(self, path: str, *replies: Reply) -> None:
        self.replies[path] = list(replies)

    def times(self, path: str) -> int:
        """Return the number of requests for a path."""
        return sum(urlsplit(request).path == path for request in self.requests)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a client closes the connection while a huge body is sent, as a test expects."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        row = self.server.replies.get(urlsplit(self.path).path) or [Reply(404)]
        reply = row.pop(0) if len(row) > 1 else row[0]
        if reply.reset:
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response_only(reply.status)
        length = len(reply.body) * reply.repeat if reply.announced is None else reply.announced
        for name, value in (reply.headers | {"Content-Length": str(length)}).items():
            self.send_header(name, value)
        self.end_headers()
        for _ in range(reply.repeat):
            self.wfile.write(reply.body)

    def finish(self) -> None:
        if not self.wfile.closed and self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(serving: Server) -> Server:
    """Serve empty feeds with the time of hour 1."""
    server = serving
    server.requests.clear()
    server.replies.clear()
    for path in (DAY, WEEK, MONTH, QUERY_PATH):
        server.set_replies(path, feed(1))
    return server


def feature(of: Event, **properties: Any) -> dict[str, Any]:
    described = {
        "mag": of.magnitude, "place": of.place, "time": int(of.time), "updated": int(of.updated), "status": of.status, "net": of.network,
        "ids": "".join(f",{one}" for one in (of.id, *of.other_ids)) + ",", "magType": of.magnitude_type, "type": of.type,
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": [of.longitude, of.latitude, of.depth_km]}
    return {"type": "Feature", "id": of.id, "properties": described | properties, "geometry": geometry}


def feed(hours: float, *events: Event, deleted: Sequence[Event] = (), **headers: str) -> Reply:
    features = [feature(one) for one in events] + [feature(one, status="deleted") for one in deleted]
    body = {"type": "FeatureCollection", "metadata": {"generated": int(at(hours)), "status": 200}, "features": features}
    return Reply(200, json.dumps(body).encode(), headers)


def detail(of: Event) -> Reply:
    return Reply(200, json.dumps(feature(of)).encode())


class PollingSystem:
    """A poller on a log in a file. `restart` starts it again on the same log; `turn` polls channels without waiting for their periods."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.log: Log = open_log(f"sqlite:///{folder}/log.db")
        self.restart()

    def restart(self, poll_seconds: float = 0.001, why_not_live: WhyNotLive | None = None) -> None:
        self.publisher = Publisher(self.log, TABLE, why_not_live=why_not_live)
        self.source = UsgsSource(self.server.url)
        self.poller = Poller(self.source, self.publisher, poll_seconds)

    def turn(self, *sources: str) -> None:
        """Poll the named channels, or all of them."""
        for name in self.poller._next:
            self.poller._next[name] = 0.0 if not sources or name in sources else float("inf")
        self.poller.turn()

    def records(self, partition: int) -> list[InputRecord]:
        read = self.log.read(EVENTS, partition, 0, self.log.ends(EVENTS)[partition])
        return [decoded for record in read if not isinstance(decoded := decode(record.value), Promotion)]

    def changes(self) -> list[Change]:
        return [record for partition in range(TOPICS[EVENTS]) for record in self.records(partition) if isinstance(record, Change)]

    def changed_ids(self) -> list[tuple[str, str]]:
        return [(change.kind, change.id) for change in self.changes()]

    def dead_letters(self) -> list[DeadLetter]:
        return [decode_dead_letter(record.value) for record in self.log.read(DEAD_LETTERS, 0, 0, self.log.ends(DEAD_LETTERS)[0])]

    def dead_letter_reasons(self) -> list[str]:
        return [letter.reason for letter in self.dead_letters()]


@pytest.fixture
def system(server: Server, tmp_path: Path) -> Iterator[PollingSystem]:
    system = PollingSystem(server, tmp_path)
    yield system
    system.log.close()


def test_events_are_added_updated_and_never_repeated(system: PollingSystem) -> None:
    a, b, revised = event("a"), event("b"), event("b", magnitude=4.2)
    system.server.set_replies(DAY, feed(1, a, b), feed(2, a, revised), feed(3, a, revised))
    for _ in range(4):
        system.turn()
    assert system.changed_ids() == [("added", "a"), ("added", "b"), ("updated", "b")]


def test_a_version_that_several_channels_report_is_published_once(system: PollingSystem) -> None:
    a, revised = event("a"), event("a", magnitude=4.9)
    for hour, path in enumerate((DAY, WEEK, MONTH, QUERY_PATH)):
        system.server.set_replies(path, feed(1 + hour / 10, a), feed(2 + hour / 10, revised), feed(3 + hour / 10, revised))
    for _ in range(3):
        system.turn()
    assert system.changed_ids() == [("added", "a"), ("updated", "a")]


def test_an_event_that_moves_to_another_region_is_deleted_from_one_and_added_to_the_other(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(1, event("a")), feed(2, event("a", longitude=44.0)))
    system.turn()
    system.turn()
    assert sorted((change.kind, change.region) for change in system.changes()) == [
        ("added", "neighbour"), ("added", "test"), ("deleted", "test"),
    ]  # fmt: skip


def changes_after_disappearance(
    system: PollingSystem, *answers: Reply, turns: int = 1, then: Sequence[Event] = ()
) -> list[tuple[str, str]]:
    """Return the changes that follow when `a` disappears from the day feed and its detail address gives these answers."""
    other = event("b", 0.5)
    system.server.set_replies(DAY, feed(1, event("a"), other), *(feed(2 + number, other, *then) for number in range(turns)))
    system.server.set_replies(detail_path("a"), *(answers or (Reply(404),)))
    for _ in range(1 + turns):
        system.turn("all_day")
    return system.changed_ids()[2:]


def test_an_absent_id_whose_detail_answers_409_is_deleted(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, Reply(409)) == [("deleted", "a")]


def test_an_earthquake_whose_absent_id_s_detail_is_another_event_goes_on_under_its_own_id(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, detail(event("c"))) == [("updated", "a")]
    successor = system.changes()[2].event
    assert successor is not None
    assert (successor.source_id, successor.other_ids) == ("c", ("c",))


def test_an_absent_id_whose_detail_is_unchanged_has_only_left_the_feed(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, detail(event("a")), turns=5) == []
    assert system.server.times(detail_path("a")) == 1


def test_an_absent_id_whose_detail_is_revised_is_updated(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, detail(event("a", magnitude=3.0))) == [("updated", "a")]


def test_an_absent_id_whose_detail_answers_404_three_times_is_deleted(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, Reply(404), turns=2) == []
    system.server.set_replies(DAY, feed(9, event("b", 0.5)))
    system.turn("all_day")
    assert system.changed_ids()[2:] == [("deleted", "a")]


def test_the_count_of_404s_starts_again_after_a_detail_was_found(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, Reply(404), Reply(404), detail(event("a")), turns=3) == []
    system.server.set_replies(DAY, feed(7, event("a"), event("b", 0.5)), feed(8, event("b", 0.5)), feed(9, event("b", 0.5)))
    system.server.set_replies(detail_path("a"), Reply(404))
    for _ in range(3):
        system.turn("all_day")
    assert system.changed_ids()[2:] == []


@pytest.mark.parametrize(
    "answer", [Reply(503), Reply(200, b"<html>"), Reply(200, b'{"type":'), Reply(reset=True)], ids=["503", "HTML", "cut off", "reset"]
)
def test_an_absent_id_is_looked_up_again_while_its_detail_gives_no_usable_answer(system: PollingSystem, answer: Reply) -> None:
    assert changes_after_disappearance(system, answer, turns=5) == []
    system.server.set_replies(detail_path("a"), Reply(409))
    system.server.set_replies(DAY, feed(9, event("b", 0.5)))
    system.turn("all_day")
    assert system.changed_ids()[2:] == [("deleted", "a")]


def test_an_earthquake_whose_absent_id_another_event_lists_goes_on_without_a_lookup(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, Reply(409), then=[event("c", other_ids=("a",))]) == [("updated", "a")]
    assert system.server.times(detail_path("a")) == 0


def test_an_absent_id_whose_detail_has_the_status_deleted_is_deleted(system: PollingSystem) -> None:
    assert changes_after_disappearance(system, Reply(200, json.dumps(feature(event("a"), status="deleted")).encode())) == [("deleted", "a")]


def test_a_lookup_counts_as_newer_than_the_reports_before_it(system: PollingSystem) -> None:
    """The service reports the event a minute after the feed does; when it is looked up it has been deleted."""
    system.server.set_replies(DAY, feed(1, event("a")), feed(2.0))
    system.server.set_replies(QUERY_PATH, feed(1.0), feed(2.1, event("a")))
    system.turn("all_day")
    system.server.set_replies(detail_path("a"), Reply(409))
    system.turn("fdsn_updates")
    system.turn("fdsn_updates")
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a"), ("deleted", "a")]


def test_an_event_too_old_for_the_feed_is_not_looked_up(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(23, event("a"), event("b", 20)), feed(25, event("b", 20)))
    system.turn("all_day")
    system.turn("all_day")
    assert system.server.times(detail_path("a")) == 0


def test_no_more_than_twenty_ids_are_looked_up_in_one_poll(system: PollingSystem) -> None:
    many = [event(f"e{number:02d}", number / 100) for number in range(50)]
    system.server.set_replies(DAY, feed(1, *many), feed(2), feed(3), feed(4))
    for one in many:
        system.server.set_replies(detail_path(one.id), Reply(409))
    counts = []
    for _ in range(4):
        system.turn("all_day")
        counts.append(len(system.changed_ids()))
    assert counts == [50, 70, 90, 100]


def test_the_event_service_reports_deletions_that_no_feed_shows(system: PollingSystem) -> None:
    system.server.set_replies(QUERY_PATH, feed(1, event("old", -500)), feed(2, deleted=[event("old", -500)]))
    system.turn()
    system.turn()
    assert system.changed_ids() == [("added", "old"), ("deleted", "old")]


def test_the_event_service_is_asked_for_revisions_since_the_last_answer(system: PollingSystem) -> None:
    system.server.set_replies(QUERY_PATH, feed(50))
    system.turn()
    system.turn()
    system.restart()
    system.turn()
    queries = [parse_qs(urlsplit(path).query) for path in system.server.requests if path.startswith(QUERY_PATH)]
    assert [query["includedeleted"] for query in queries] == [["true"]] * 3
    after = [Instant.parse(query["updatedafter"][0]) for query in queries]
    assert after[1] == at(50 - 1 / 6)
    assert after[2] <= at(50 - 24)  # a restart does not know when the service last answered


FROM_THE_FUTURE = {"type": "FeatureCollection", "metadata": {"generated": int(Instant.parse("3000-01-01"))}, "features": []}
BAD: dict[str, tuple[Reply, str | None]] = {
    "429 with Retry-After": (Reply(429, b"slow down", {"Retry-After": "7"}), None),
    "503": (Reply(503, b"try again later"), None),
    "204": (Reply(204), None),
    "connection reset": (Reply(reset=True), None),
    "less than announced": (Reply(200, b"{", announced=500), None),
    "HTML": (Reply(200, b"<html><body>Service temporarily unavailable</body></html>"), "html"),
    "truncated JSON": (Reply(200, feed(2, event("a")).body[:150]), "truncated"),
    "another JSON": (Reply(200, b'{"error": "try again"}'), "not_geojson"),
    "nothing": (Reply(200), "empty"),
    "without a time": (Reply(200, b'{"type":"FeatureCollection","features":[]}'), "feed_time_damaged"),
    "from the future": (Reply(200, json.dumps(FROM_THE_FUTURE).encode()), "feed_time_damaged"),
    "not gzip": (Reply(200, b"not gzip", {"Content-Encoding": "gzip"}), None),
    "100 MB": (Reply(200, b" " * 1_000_000, repeat=100), "body_too_large"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_is_counted_and_the_next_good_one_is_used(system: PollingSystem, bad: Reply, reason: str | None) -> None:
    system.server.set_replies(DAY, feed(1, event("a")), bad, feed(3, event("a"), event("b")))
    system.turn()
    system.turn()
    status = system.poller.status
    assert (status.failures, status.feed_time) == (1, at(1))
    assert status.trouble
    assert system.changed_ids() == [("added", "a")]
    assert system.dead_letter_reasons() == ([] if reason is None else [reason])
    assert system.publisher.dead_letters == ({} if reason is None else {reason: 1})
    system.turn()
    assert (system.poller.status.failures, system.poller.status.trouble) == (0, None)
    assert system.changed_ids() == [("added", "a"), ("added", "b")]


def test_a_body_that_is_too_large_is_not_read_to_its_end(system: PollingSystem) -> None:
    system.server.set_replies(DAY, Reply(200, b" " * 1_000_000, repeat=10_000))
    system.turn("all_day")
    assert system.dead_letter_reasons() == ["body_too_large"]
    assert system.dead_letters()[0].detail == f"the body is larger than {LARGEST_BODY_BYTES // 2**20} MiB"


def test_a_small_packed_body_that_is_huge_unpacked_is_refused_without_taking_its_memory(system: PollingSystem) -> None:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(500)] + [packer.flush()])
    assert len(bomb) < 2**20
    system.server.set_replies(DAY, Reply(200, bomb, {"Content-Encoding": "gzip"}))
    tracemalloc.start()
    system.turn("all_day")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert system.dead_letter_reasons() == ["body_too_large"]
    assert peak < 2.5 * LARGEST_BODY_BYTES


def test_a_packed_body_is_unpacked(system: PollingSystem) -> None:
    whole = feed(1, event("a"))
    system.server.set_replies(DAY, Reply(200, gzip.compress(whole.body), {"Content-Encoding": "gzip"}))
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a")]


@pytest.mark.parametrize(("retry_after", "seconds"), [("7", 7.0), ("99999999999", LONGEST_RETRY_AFTER_SECONDS), ("soon", 0.0)])
def test_retry_after_is_obeyed_up_to_an_hour(system: PollingSystem, retry_after: str, seconds: float) -> None:
    system.server.set_replies(DAY, Reply(429, headers={"Retry-After": retry_after}))
    before = time.monotonic()
    system.turn("all_day")
    due = system.poller._next["all_day"]
    assert due - before > seconds - 0.01
    assert due - time.monotonic() <= seconds + 0.01


def test_pauses_grow_with_failures_up_to_a_bound(server: Server, tmp_path: Path) -> None:
    server.set_replies(DAY, Reply(503))
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource(server.url), Publisher(log, TABLE))
    pauses = []
    for _ in range(30):
        poller._next = dict.fromkeys(poller._next, float("inf")) | {"all_day": 0.0}
        before = time.monotonic()
        due = poller.turn()
        assert due - before > 0.9
        pauses.append(due - time.monotonic())
    assert max(pauses) <= 900.0
    assert max(pauses[6:]) > 120
    assert poller.status.failures == 30
    log.close()


def test_an_address_without_a_server_is_a_failed_poll(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource("http://127.0.0.1:9"), Publisher(log, TABLE), poll_seconds=0.001)
    poller.turn()
    assert poller.status.failures == 1
    assert "unreachable" in (poller.status.trouble or "")
    log.close()


def test_an_event_that_cannot_be_used_is_one_dead_letter_and_no_deletion(system: PollingSystem) -> None:
    damaged = feature(event("a"), time="1970-01-01T00:00:02.-2147483648Z")
    bodies = [{"type": "FeatureCollection", "metadata": {"generated": int(at(hour))}, "features": [damaged]} for hour in (2, 3)]
    system.server.set_replies(DAY, feed(1, event("a")), *(Reply(200, json.dumps(body).encode()) for body in bodies))
    for _ in range(3):
        system.turn("all_day")
    assert system.dead_letter_reasons() == ["time_damaged"]
    assert system.changed_ids() == [("added", "a")]
    system.restart()
    system.turn("all_day")
    assert system.dead_letter_reasons() == ["time_damaged"]


def test_a_restart_over_the_same_log_repeats_nothing(system: PollingSystem) -> None:
    a, b, moved = event("a"), event("b", magnitude=None), event("m", longitude=44.0)
    system.server.set_replies(DAY, feed(1, a, b, event("m"), event("gone")), feed(2, a, b, moved))
    system.server.set_replies(detail_path("gone"), Reply(409))
    for path in (WEEK, MONTH, QUERY_PATH):
        system.server.set_replies(path, feed(1.9, a, moved))
    system.turn()
    system.turn()
    before = [system.records(partition) for partition in range(6)]
    letters = system.dead_letters()
    for _ in range(3):
        system.restart()
        system.turn()
    assert [system.records(partition) for partition in range(6)] == before
    assert system.dead_letters() == letters


def test_the_first_poll_after_a_restart_looks_up_events_that_the_feed_should_list(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(1, event("a"), event("b", 0.5)), feed(2, event("b", 0.5)))
    system.server.set_replies(detail_path("a"), Reply(409))
    system.turn("all_day")
    system.restart()
    system.turn("all_day")
    assert system.changed_ids()[2:] == [("deleted", "a")]


def test_sequences_have_no_gaps_and_continue_after_a_restart(system: PollingSystem) -> None:
    for hour in range(1, 7):
        system.server.set_replies(DAY, feed(hour, *(event(f"e{n}", longitude=36.0 + n) for n in range(hour))))
        system.turn("all_day")
        if hour % 2:
            system.restart()
    for partition in range(6):
        assert [record.sequence for record in system.records(partition)] == list(range(len(system.records(partition))))
    assert len(system.changes()) == 6


def test_a_record_of_another_schema_does_not_prevent_a_start(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(1, event("a")))
    system.turn("all_day")
    foreign = system.log.producer("somebody")
    foreign.commit([Outgoing(EVENTS, partition, b"?", b"not a record", at(2)) for partition in range(6)])
    system.restart()
    system.server.set_replies(DAY, feed(2, event("a")))
    system.turn("all_day")
    for partition in range(6):
        values = [record.value for record in system.log.read(EVENTS, partition, 0, system.log.ends(EVENTS)[partition])]
        records = [decoded for value in values if value != b"not a record" and not isinstance(decoded := decode(value), Promotion)]
        assert [record.sequence for record in records] == list(range(len(records)))
        assert [record for record in records if isinstance(record, Change)] in ([], [records[0]])


def test_every_partition_gets_a_heartbeat_for_every_new_feed_time(system: PollingSystem) -> None:
    for hour in (1, 1, 2):
        system.server.set_replies(DAY, feed(hour))
        system.turn("all_day")
    for partition in range(6):
        beats = [record for record in system.records(partition) if isinstance(record, Heartbeat)]
        assert [beat.observed_at for beat in beats] == [at(1), at(2)]


def hours_from_now(hours: float) -> float:
    """Return a time from now in hours since the start of the tests' events."""
    return time.time() / 3_600.0 - int(at(0)) / 3_600_000.0 + hours


def heartbeats(system: PollingSystem) -> list[Instant]:
    return [record.observed_at for record in system.records(0) if isinstance(record, Heartbeat)]


def test_one_answer_from_23_hours_ahead_is_refused_and_the_clock_stays(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    a, b = event("a", now - 1.0), event("b", now - 1.0)
    system.server.set_replies(DAY, feed(now, a), feed(now + 23.0, a, b), feed(now + 0.02, a, b))
    system.turn("all_day")
    system.turn("all_day")
    assert heartbeats(system) == [at(now)]
    assert (system.poller.status.failures, system.dead_letter_reasons()) == (1, ["feed_time_damaged"])
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a"), ("added", "b")]
    assert heartbeats(system) == [at(now), at(now + 0.02)]


def test_the_reports_of_the_first_polls_and_those_after_a_gap_say_that_they_are_of_the_past(system: PollingSystem) -> None:
    a, b, c, d, e = (event(name, hours) for name, hours in zip("abcde", (0.5, 0.6, 1.1, 1.2, 5.0), strict=True))
    system.server.set_replies(DAY, feed(1, a), feed(1.2, a, c), feed(5, a, c, d), feed(5.1, a, c, d, e))
    system.server.set_replies(WEEK, feed(1, a, b))
    system.server.set_replies(MONTH, feed(1, a, b))
    system.turn("all_day", "all_week", "2.5_month")
    for _ in range(3):
        system.turn("all_day")
    assert {change.id: change.catching_up for change in system.changes()} == {"a": True, "b": True, "c": False, "d": True, "e": False}
    beats = [record for record in system.records(0) if isinstance(record, Heartbeat)]
    assert [beat.catching_up for beat in beats] == [
        True,
        False,
        False,
        False,
    ]  # after a gap the day feed's own heartbeat comes when all is in


def marks(system: PollingSystem) -> set[tuple[bool, str | None]]:
    """Return the marks of all records in the input log and of all dead letters."""
    records = [record for partition in range(TOPICS[EVENTS]) for record in system.records(partition)]
    return {(record.test, record.why_not_live) for record in (*records, *system.dead_letters())}


def test_a_source_with_our_clock_is_live_and_one_with_a_clock_of_its_own_is_not(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    system.server.set_replies(DAY, feed(now - 0.9, event("a", now - 2.0)))
    system.turn("all_day")
    assert marks(system) == {(False, None)}


@pytest.mark.parametrize("hours", [-9_000.0, -1.1])
def test_every_record_of_a_source_whose_clock_is_not_ours_says_so_also_when_it_has_caught_up(system: PollingSystem, hours: float) -> None:
    now = hours_from_now(0.0)
    first = feed(now + hours, event("a", now + hours - 1.0), event("odd", now + hours - 1.0, magnitude=99.0))
    system.server.set_replies(DAY, first, feed(now + hours + 0.01, event("a", now + hours - 1.0)), feed(now + 1.2), feed(now + 1.21))
    for _ in range(2):
        system.turn("all_day")
    assert marks(system) == {(True, "clock")}
    system.restart()
    for _ in range(2):
        system.turn("all_day")
    assert marks(system) == {(True, "clock")}


def test_a_live_log_takes_no_reports_of_a_source_with_another_clock(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    system.server.set_replies(DAY, feed(now, event("a", now - 1.0)), feed(now - 9_000.0, event("b", now - 9_001.0)))
    system.turn("all_day")
    system.restart()
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a")]
    assert system.poller.status.trouble is not None
    assert "this log is live" in system.poller.status.trouble


def test_a_drill_marks_every_record_and_needs_a_log_of_its_own(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    system.server.set_replies(DAY, feed(now, event("a", now - 1.0)), feed(now + 0.01, event("a", now - 1.0), event("b", now)))
    system.restart(why_not_live="exercise")
    system.turn("all_day")
    system.restart()
    system.turn("all_day")
    assert len(system.changes()) == 2
    assert marks(system) == {(True, "exercise")}
    with pytest.raises(Problem, match="not live: exercise"):
        system.restart(why_not_live="simulation")


def test_a_drill_is_not_written_to_a_live_log(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    system.server.set_replies(DAY, feed(now, event("a", now - 1.0)))
    system.turn("all_day")
    with pytest.raises(Problem, match="records that are live"):
        system.restart(why_not_live="exercise")


def test_a_month_feed_whose_clock_is_ahead_changes_nothing_and_hides_no_revision(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    versions = [event("a", now - 1.0, magnitude=4.0 + turn / 10, updated=at(now - 0.5 + turn / 60)) for turn in range(6)]
    system.server.set_replies(DAY, *(feed(now + turn / 60, version) for turn, version in enumerate(versions)))
    system.server.set_replies(MONTH, *(feed(now + 1.0 + turn / 60, versions[0]) for turn in range(6)))
    for _ in versions:
        system.turn("all_day", "2.5_month")
    assert [change.event for change in system.changes()] == versions
    assert heartbeats(system) == [at(now + turn / 60) for turn in range(6)]
    assert system.dead_letter_reasons() == ["feed_time_damaged"]


def test_a_month_feed_with_a_clock_ahead_of_a_late_day_feed_does_not_undo_its_revisions(system: PollingSystem) -> None:
    """Both clocks are behind this machine's, so neither can be refused."""
    versions = [event("a", magnitude=4.0 + turn / 10, updated=at(0.5 + turn / 60)) for turn in range(6)]
    system.server.set_replies(DAY, *(feed(1.0 + turn / 60, version) for turn, version in enumerate(versions)))
    system.server.set_replies(MONTH, *(feed(3.0 + turn / 60, versions[0]) for turn in range(6)))
    for _ in versions:
        system.turn("all_day", "2.5_month")
    assert [change.event for change in system.changes()] == versions


def test_a_source_that_is_ahead_of_a_wrong_clock_of_this_machine_is_believed_at_its_second_answer(system: PollingSystem) -> None:
    ahead = hours_from_now(20.0)
    a = event("a", ahead - 1.0)
    system.server.set_replies(DAY, feed(ahead, a), feed(ahead + 0.02, a), feed(ahead + 0.04, a))
    system.server.set_replies(QUERY_PATH, feed(ahead, a))
    system.turn("all_day", "fdsn_updates")
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a")]
    assert heartbeats(system) == [at(ahead), at(ahead + 0.02)]


def test_after_two_false_answers_were_believed_a_restart_takes_the_revisions_of_the_right_clock(system: PollingSystem) -> None:
    now = hours_from_now(0.0)
    before, after = (event("a", now - 1.0, magnitude, updated=at(now - hours)) for magnitude, hours in ((4.0, 0.5), (4.4, 0.2)))
    system.server.set_replies(DAY, feed(now + 20.0, before), feed(now + 20.02, before), feed(now, after))
    for _ in range(3):
        system.turn("all_day")
    assert system.changed_ids() == [("added", "a")]
    system.restart()
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a"), ("updated", "a")]


def test_a_feed_older_than_the_last_is_ignored(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(5, event("a", 0, 4.5), event("b")), feed(4, event("a"), event("c")))
    system.turn("all_day")
    system.turn("all_day")
    assert system.changed_ids() == [("added", "a"), ("added", "b")]
    assert system.poller.status.feed_time == at(5)


def test_the_publisher_s_clock_is_the_latest_source_time(system: PollingSystem) -> None:
    system.server.set_replies(DAY, feed(5))
    system.server.set_replies(WEEK, feed(4, event("a")))
    system.turn("all_day", "all_week")
    assert system.publisher.clock == at(5)
    system.restart()
    assert system.publisher.clock == at(5)


def test_each_channel_is_polled_in_its_period(system: PollingSystem) -> None:
    assert {source.name: source.periods for source in CHANNELS} == {"all_day": 1, "fdsn_updates": 15, "all_week": 15, "2.5_month": 60}
    system.restart(poll_seconds=1_000.0)
    system.turn()
    system.poller._next["all_day"] = 0.0
    system.poller.turn()
    assert [system.server.times(path) for path in (DAY, WEEK, MONTH, QUERY_PATH)] == [2, 1, 1, 1]


def test_the_next_poll_comes_when_the_feed_expires(server: Server, tmp_path: Path) -> None:
    server.set_replies(DAY, feed(1, Date="Mon, 06 Feb 2023 02:00:00 GMT", Expires="Mon, 06 Feb 2023 02:00:37 GMT"))
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource(server.url), Publisher(log, TABLE))
    before = time.monotonic()
    poller.turn()
    due = poller._next["all_day"]
    assert due - before > 36.0
    assert due - time.monotonic() <= 42.0
    log.close()


def test_the_loop_polls_until_it_is_stopped(system: PollingSystem) -> None:
    system.server.set_replies(DAY, *(feed(hour, event("a", magnitude=hour)) for hour in range(3, 8)))
    deadline = time.monotonic() + PATIENCE_SECONDS
    system.poller.run(lambda: system.server.times(DAY) >= 5 or time.monotonic() > deadline)
    assert [kind for kind, _ in system.changed_ids()] == ["added", "updated", "updated", "updated", "updated"]


def test_metrics_count_the_results_of_polls_and_export_the_state_of_the_feed(system: PollingSystem) -> None:
    exposition = Exposition()
    system.poller = Poller(system.source, system.publisher, 0.001, IngestMetrics(exposition))
    a, late = event("a"), event("late", 1.4)
    system.server.set_replies(
        DAY, feed(1, a), feed(1, a), feed(0.5), feed(2, a, late), Reply(503), Reply(200, b"<html>"), Reply(reset=True)
    )
    for _ in range(7):
        system.turn("all_day")
    text = exposition.text().decode()
    for result in ("unchanged", "older", "status_503", "damaged", "unreachable"):
        assert f'quakecast_feed_polls_total{{result="{result}",source="all_day"}} 1.0' in text, result
    assert 'quakecast_feed_polls_total{result="changed",source="all_day"} 2.0' in text
    assert "quakecast_feed_failures 3.0" in text
    assert f"quakecast_feed_timestamp_seconds {int(at(2)) / 1e12}e+09" in text
    assert "quakecast_feed_known_events 2.0" in text
    assert "quakecast_origin_to_log_latency_seconds_sum 2160.0" in text
    assert f'quakecast_dead_letters_total{{reason="{system.dead_letter_reasons()[0]}"}} 1.0' in text
    assert 0.0 < system.poller.unheard_seconds() < 100.0


def test_any_channel_with_a_new_source_time_ends_the_silence(system: PollingSystem) -> None:
    """`/readyz`, the page and the alert all use this number: they must agree."""
    system.server.set_replies(DAY, feed(1), Reply(503))
    system.server.set_replies(WEEK, feed(1), feed(2))
    system.turn("all_day", "all_week")
    system.poller.status = system.poller.status._replace(heard_at=time.monotonic() - 1_000.0)
    system.turn("all_day")
    assert system.poller.unheard_seconds() > 999.0
    system.turn("all_week")
    assert system.poller.unheard_seconds() < 100.0
