"""The poller against a real HTTP server that says what a test has written down, over the embedded log."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.bus import open_log
from ingest.bus.log import DEAD_LETTERS, EVENTS, TOPICS, Log, Outgoing
from ingest.event import Change, DeadLetter, Event, Heartbeat, InputRecord, Promotion, decode, decode_dead_letter
from ingest.instant import Instant
from ingest.metrics import Exposition, IngestMetrics
from ingest.poller import LONGEST_RETRY_AFTER_SECONDS, Poller
from ingest.publish import Publisher
from ingest.sources import UsgsSource
from ingest.sources.usgs import CHANNELS
from ingest.sources.usgs_http import LARGEST_BODY_BYTES, detail_path, summary_path
from tests.support.simulated import at, event, table

TABLE = table()
QUERY_PATH = "/fdsnws/event/1/query"
DAY, WEEK, MONTH = summary_path("all_day"), summary_path("all_week"), summary_path("2.5_month")


class Reply(NamedTuple):
    """What the server says to a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never written to
    repeat: int = 1
    """The body is sent so many times, never held as a whole."""
    announced: int | None = None
    """`Content-Length`, when it is not the truth."""
    reset: bool = False
    """The connection is reset instead of an answer."""


class Server(ThreadingHTTPServer):
    """Answers by path, with one reply or with a row of them, of which the last stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def say(self, path: str, *replies: Reply) -> None:
        self.replies[path] = list(replies)

    def times(self, path: str) -> int:
        """How often that path was asked for."""
        return sum(urlsplit(asked).path == path for asked in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up on a huge body is what the test wants."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
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
        """Nobody reads it."""


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
    """Empty feeds everywhere, of hour 1."""
    server = serving
    server.asked.clear()
    server.replies.clear()
    for path in (DAY, WEEK, MONTH, QUERY_PATH):
        server.say(path, feed(1))
    return server


def feature(of: Event, **properties: Any) -> dict[str, Any]:
    said = {
        "mag": of.magnitude, "place": of.place, "time": int(of.time), "updated": int(of.updated), "status": of.status, "net": of.network,
        "ids": "".join(f",{one}" for one in (of.id, *of.other_ids)) + ",", "magType": of.magnitude_type, "type": of.type,
    }  # fmt: skip
    geometry = {"type": "Point", "coordinates": [of.longitude, of.latitude, of.depth_km]}
    return {"type": "Feature", "id": of.id, "properties": said | properties, "geometry": geometry}


def feed(hours: float, *events: Event, deleted: Sequence[Event] = (), **headers: str) -> Reply:
    features = [feature(one) for one in events] + [feature(one, status="deleted") for one in deleted]
    body = {"type": "FeatureCollection", "metadata": {"generated": int(at(hours)), "status": 200}, "features": features}
    return Reply(200, json.dumps(body).encode(), headers)


def detail(of: Event) -> Reply:
    return Reply(200, json.dumps(feature(of)).encode())


class Follower:
    """A poller over one file, started anew as often as a test likes. `turn` asks for every source again, without waiting."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.log: Log = open_log(f"sqlite:///{folder}/log.db")
        self.restart()

    def restart(self, poll_seconds: float = 0.001) -> None:
        self.publisher = Publisher(self.log, TABLE)
        self.source = UsgsSource(self.server.url)
        self.poller = Poller(self.source, self.publisher, poll_seconds)

    def turn(self, *sources: str) -> None:
        """Ask the named sources, or all."""
        for name in self.poller._next:
            self.poller._next[name] = 0.0 if not sources or name in sources else float("inf")
        self.poller.turn()

    def records(self, partition: int) -> list[InputRecord]:
        read = self.log.read(EVENTS, partition, 0, self.log.ends(EVENTS)[partition])
        return [known for record in read if not isinstance(known := decode(record.value), Promotion)]

    def changes(self) -> list[Change]:
        return [record for partition in range(TOPICS[EVENTS]) for record in self.records(partition) if isinstance(record, Change)]

    def said(self) -> list[tuple[str, str]]:
        return [(change.kind, change.id) for change in self.changes()]

    def dead_letters(self) -> list[DeadLetter]:
        return [decode_dead_letter(record.value) for record in self.log.read(DEAD_LETTERS, 0, 0, self.log.ends(DEAD_LETTERS)[0])]

    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.dead_letters()]


@pytest.fixture
def following(server: Server, tmp_path: Path) -> Iterator[Follower]:
    follower = Follower(server, tmp_path)
    yield follower
    follower.log.close()


def test_events_are_added_updated_and_never_repeated(following: Follower) -> None:
    a, b, revised = event("a"), event("b"), event("b", magnitude=4.2)
    following.server.say(DAY, feed(1, a, b), feed(2, a, revised), feed(3, a, revised))
    for _ in range(4):
        following.turn()
    assert following.said() == [("added", "a"), ("added", "b"), ("updated", "b")]


def test_a_version_appears_once_though_day_week_month_and_service_show_it(following: Follower) -> None:
    a, revised = event("a"), event("a", magnitude=4.9)
    for hour, path in enumerate((DAY, WEEK, MONTH, QUERY_PATH)):
        following.server.say(path, feed(1 + hour / 10, a), feed(2 + hour / 10, revised), feed(3 + hour / 10, revised))
    for _ in range(3):
        following.turn()
    assert following.said() == [("added", "a"), ("updated", "a")]


def test_an_event_moved_across_a_border_is_deleted_there_and_added_here(following: Follower) -> None:
    following.server.say(DAY, feed(1, event("a")), feed(2, event("a", longitude=44.0)))
    following.turn()
    following.turn()
    assert sorted((change.kind, change.region) for change in following.changes()) == [
        ("added", "neighbour"), ("added", "test"), ("deleted", "test"),
    ]  # fmt: skip


def vanish(following: Follower, *answers: Reply, turns: int = 1, then: Sequence[Event] = ()) -> list[tuple[str, str]]:
    """What is said when `a` leaves the day feed and its detail address gives these answers."""
    following.server.say(DAY, feed(1, event("a"), event("b")), *(feed(2 + number, event("b"), *then) for number in range(turns)))
    following.server.say(detail_path("a"), *(answers or (Reply(404),)))
    for _ in range(1 + turns):
        following.turn("all_day")
    return following.said()[2:]


def test_an_id_that_vanished_and_was_deleted_says_its_detail_address(following: Follower) -> None:
    assert vanish(following, Reply(409)) == [("deleted", "a")]


def test_an_id_that_vanished_and_is_another_event_now_was_merged(following: Follower) -> None:
    assert vanish(following, detail(event("c"))) == [("merged", "a"), ("added", "c")]
    assert following.changes()[2].merged_into == "c"


def test_an_id_that_vanished_but_is_still_there_only_left_this_feed(following: Follower) -> None:
    assert vanish(following, detail(event("a")), turns=5) == []
    assert following.server.times(detail_path("a")) == 1


def test_an_id_that_vanished_and_was_revised_is_updated(following: Follower) -> None:
    assert vanish(following, detail(event("a", magnitude=3.0))) == [("updated", "a")]


def test_an_id_that_cannot_be_found_three_times_is_deleted(following: Follower) -> None:
    assert vanish(following, Reply(404), turns=2) == []
    following.server.say(DAY, feed(9, event("b")))
    following.turn("all_day")
    assert following.said()[2:] == [("deleted", "a")]


def test_an_id_that_was_missing_and_then_found_starts_its_count_again(following: Follower) -> None:
    assert vanish(following, Reply(404), Reply(404), detail(event("a")), turns=3) == []
    following.server.say(DAY, feed(7, event("a"), event("b")), feed(8, event("b")), feed(9, event("b")))
    following.server.say(detail_path("a"), Reply(404))
    for _ in range(3):
        following.turn("all_day")
    assert following.said()[2:] == []


@pytest.mark.parametrize(
    "answer", [Reply(503), Reply(200, b"<html>"), Reply(200, b'{"type":'), Reply(reset=True)], ids=["503", "HTML", "cut off", "reset"]
)
def test_nothing_is_said_of_an_id_while_its_detail_address_gives_no_answer(following: Follower, answer: Reply) -> None:
    assert vanish(following, answer, turns=5) == []
    following.server.say(detail_path("a"), Reply(409))
    following.server.say(DAY, feed(9, event("b")))
    following.turn("all_day")
    assert following.said()[2:] == [("deleted", "a")]


def test_an_id_that_another_event_lists_as_its_own_was_merged_without_asking(following: Follower) -> None:
    assert vanish(following, Reply(409), then=[event("c", other_ids=("a",))]) == [("added", "c"), ("merged", "a")]
    assert following.server.times(detail_path("a")) == 0


def test_a_detail_that_calls_its_event_deleted_is_believed(following: Follower) -> None:
    assert vanish(following, Reply(200, json.dumps(feature(event("a"), status="deleted")).encode())) == [("deleted", "a")]


def test_what_a_detail_says_is_newer_than_the_feed_that_made_us_ask(following: Follower) -> None:
    """The service saw the event a minute after the feed was made; by the time we ask it is deleted."""
    following.server.say(DAY, feed(1, event("a")), feed(2.0))
    following.server.say(QUERY_PATH, feed(1.0), feed(2.1, event("a")))
    following.turn("all_day")
    following.server.say(detail_path("a"), Reply(409))
    following.turn("fdsn_updates")
    following.turn("fdsn_updates")
    following.turn("all_day")
    assert following.said() == [("added", "a"), ("deleted", "a")]


def test_an_event_that_has_grown_too_old_for_the_feed_is_not_asked_after(following: Follower) -> None:
    following.server.say(DAY, feed(23, event("a"), event("b", 20)), feed(25, event("b", 20)))
    following.turn("all_day")
    following.turn("all_day")
    assert following.server.times(detail_path("a")) == 0


def test_no_more_than_twenty_details_are_asked_for_in_one_turn(following: Follower) -> None:
    many = [event(f"e{number:02d}") for number in range(50)]
    following.server.say(DAY, feed(1, *many), feed(2), feed(3), feed(4))
    for one in many:
        following.server.say(detail_path(one.id), Reply(409))
    told = []
    for _ in range(4):
        following.turn("all_day")
        told.append(len(following.said()))
    assert told == [50, 70, 90, 100]


def test_the_service_tells_of_deletions_that_no_feed_shows(following: Follower) -> None:
    following.server.say(QUERY_PATH, feed(1, event("old", -500)), feed(2, deleted=[event("old", -500)]))
    following.turn()
    following.turn()
    assert following.said() == [("added", "old"), ("deleted", "old")]


def test_the_service_is_asked_for_what_was_revised_since_the_last_answer(following: Follower) -> None:
    following.server.say(QUERY_PATH, feed(50))
    following.turn()
    following.turn()
    following.restart()
    following.turn()
    asked = [parse_qs(urlsplit(path).query) for path in following.server.asked if path.startswith(QUERY_PATH)]
    assert [query["includedeleted"] for query in asked] == [["true"]] * 3
    after = [Instant.parse(query["updatedafter"][0]) for query in asked]
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
    "gzip that is none": (Reply(200, b"not gzip", {"Content-Encoding": "gzip"}), None),
    "100 MB": (Reply(200, b" " * 1_000_000, repeat=100), "body_too_large"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_stops_nothing_is_counted_and_the_next_good_one_is_used(following: Follower, bad: Reply, reason: str | None) -> None:
    following.server.say(DAY, feed(1, event("a")), bad, feed(3, event("a"), event("b")))
    following.turn()
    following.turn()
    status = following.poller.status
    assert (status.failures, status.feed_time) == (1, at(1))
    assert status.trouble
    assert following.said() == [("added", "a")]
    assert following.reasons() == ([] if reason is None else [reason])
    assert following.publisher.dead_letters == ({} if reason is None else {reason: 1})
    following.turn()
    assert (following.poller.status.failures, following.poller.status.trouble) == (0, None)
    assert following.said() == [("added", "a"), ("added", "b")]


def test_a_body_beyond_all_bounds_is_not_read_to_its_end(following: Follower) -> None:
    following.server.say(DAY, Reply(200, b" " * 1_000_000, repeat=10_000))
    following.turn("all_day")
    assert following.reasons() == ["body_too_large"]
    assert following.dead_letters()[0].detail == f"the body is larger than {LARGEST_BODY_BYTES // 2**20} MiB"


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("99999999999", LONGEST_RETRY_AFTER_SECONDS), ("soon", 0.0)])
def test_a_server_that_says_when_to_come_back_is_obeyed_within_reason(following: Follower, said: str, seconds: float) -> None:
    following.server.say(DAY, Reply(429, headers={"Retry-After": said}))
    following.turn("all_day")
    pause = following.poller._next["all_day"] - time.monotonic()
    assert seconds - 1 < pause <= seconds + 0.01


def test_failures_make_the_pauses_longer_up_to_a_bound(server: Server, tmp_path: Path) -> None:
    server.say(DAY, Reply(503))
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource(server.url), Publisher(log, TABLE))
    pauses = []
    for _ in range(30):
        poller._next = dict.fromkeys(poller._next, float("inf")) | {"all_day": 0.0}
        pauses.append(poller.turn() - time.monotonic())
    assert all(0.9 < pause <= 900.0 for pause in pauses)
    assert max(pauses[6:]) > 120
    assert poller.status.failures == 30
    log.close()


def test_nobody_at_the_address_is_a_failure_like_any_other(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource("http://127.0.0.1:9"), Publisher(log, TABLE), poll_seconds=0.001)
    poller.turn()
    assert poller.status.failures == 1
    assert "unreachable" in (poller.status.trouble or "")
    log.close()


def test_an_event_that_cannot_be_used_is_a_dead_letter_once_and_not_a_deletion(following: Follower) -> None:
    damaged = feature(event("a"), time="1970-01-01T00:00:02.-2147483648Z")
    bodies = [{"type": "FeatureCollection", "metadata": {"generated": int(at(hour))}, "features": [damaged]} for hour in (2, 3)]
    following.server.say(DAY, feed(1, event("a")), *(Reply(200, json.dumps(body).encode()) for body in bodies))
    for _ in range(3):
        following.turn("all_day")
    assert following.reasons() == ["time_damaged"]
    assert following.said() == [("added", "a")]
    following.restart()
    following.turn("all_day")
    assert following.reasons() == ["time_damaged"]


def test_a_restart_over_the_same_log_repeats_nothing(following: Follower) -> None:
    a, b, moved = event("a"), event("b", magnitude=None), event("m", longitude=44.0)
    following.server.say(DAY, feed(1, a, b, event("m"), event("gone")), feed(2, a, b, moved))
    following.server.say(detail_path("gone"), Reply(409))
    for path in (WEEK, MONTH, QUERY_PATH):
        following.server.say(path, feed(1.9, a, moved))
    following.turn()
    following.turn()
    before = [following.records(partition) for partition in range(6)]
    letters = following.dead_letters()
    for _ in range(3):
        following.restart()
        following.turn()
    assert [following.records(partition) for partition in range(6)] == before
    assert following.dead_letters() == letters


def test_after_a_restart_the_first_look_asks_after_what_should_be_there(following: Follower) -> None:
    following.server.say(DAY, feed(1, event("a"), event("b")), feed(2, event("b")))
    following.server.say(detail_path("a"), Reply(409))
    following.turn("all_day")
    following.restart()
    following.turn("all_day")
    assert following.said()[2:] == [("deleted", "a")]


def test_sequences_have_no_holes_and_go_on_after_a_restart(following: Follower) -> None:
    for hour in range(1, 7):
        following.server.say(DAY, feed(hour, *(event(f"e{n}", longitude=36.0 + n) for n in range(hour))))
        following.turn("all_day")
        if hour % 2:
            following.restart()
    for partition in range(6):
        assert [record.sequence for record in following.records(partition)] == list(range(len(following.records(partition))))
    assert len(following.changes()) == 6


def test_a_foreign_record_in_the_topic_does_not_keep_the_publisher_from_starting(following: Follower) -> None:
    following.server.say(DAY, feed(1, event("a")))
    following.turn("all_day")
    foreign = following.log.producer("somebody")
    foreign.commit([Outgoing(EVENTS, partition, b"?", b"not a record", at(2)) for partition in range(6)])
    following.restart()
    following.server.say(DAY, feed(2, event("a")))
    following.turn("all_day")
    for partition in range(6):
        values = [record.value for record in following.log.read(EVENTS, partition, 0, following.log.ends(EVENTS)[partition])]
        records = [known for value in values if value != b"not a record" and not isinstance(known := decode(value), Promotion)]
        assert [record.sequence for record in records] == list(range(len(records)))
        assert [record for record in records if isinstance(record, Change)] in ([], [records[0]])


def test_every_partition_gets_a_heartbeat_for_every_new_feed_time(following: Follower) -> None:
    for hour in (1, 1, 2):
        following.server.say(DAY, feed(hour))
        following.turn("all_day")
    for partition in range(6):
        beats = [record for record in following.records(partition) if isinstance(record, Heartbeat)]
        assert [beat.observed_at for beat in beats] == [at(1), at(2)]


def test_a_feed_older_than_the_last_is_ignored(following: Follower) -> None:
    following.server.say(DAY, feed(5, event("a", 0, 4.5), event("b")), feed(4, event("a"), event("c")))
    following.turn("all_day")
    following.turn("all_day")
    assert following.said() == [("added", "a"), ("added", "b")]
    assert following.poller.status.feed_time == at(5)


def test_the_publishers_clock_is_the_latest_time_whatever_comes_later(following: Follower) -> None:
    following.server.say(DAY, feed(5))
    following.server.say(WEEK, feed(4, event("a")))
    following.turn("all_day", "all_week")
    assert following.publisher.clock == at(5)
    following.restart()
    assert following.publisher.clock == at(5)


def test_each_source_is_asked_in_its_rhythm(following: Follower) -> None:
    assert {source.name: source.periods for source in CHANNELS} == {"all_day": 1, "fdsn_updates": 15, "all_week": 15, "2.5_month": 60}
    following.restart(poll_seconds=1_000.0)
    following.turn()
    following.poller._next["all_day"] = 0.0
    following.poller.turn()
    assert [following.server.times(path) for path in (DAY, WEEK, MONTH, QUERY_PATH)] == [2, 1, 1, 1]


def test_the_next_poll_comes_when_the_feed_expires(server: Server, tmp_path: Path) -> None:
    server.say(DAY, feed(1, Date="Mon, 06 Feb 2023 02:00:00 GMT", Expires="Mon, 06 Feb 2023 02:00:37 GMT"))
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    poller = Poller(UsgsSource(server.url), Publisher(log, TABLE))
    poller.turn()
    assert 36.0 < poller._next["all_day"] - time.monotonic() <= 42.0
    log.close()


def test_the_loop_polls_until_it_is_told_to_stop(following: Follower) -> None:
    following.server.say(DAY, *(feed(hour, event("a", magnitude=hour)) for hour in range(3, 8)))
    deadline = time.monotonic() + 120.0
    following.poller.run(lambda: following.server.times(DAY) >= 5 or time.monotonic() > deadline)
    assert [kind for kind, _ in following.said()] == ["added", "updated", "updated", "updated", "updated"]


def test_what_came_of_every_request_is_told_with_how_the_feed_is(following: Follower) -> None:
    exposition = Exposition()
    following.poller = Poller(following.source, following.publisher, 0.001, IngestMetrics(exposition))
    a, late = event("a"), event("late", 1.4)
    following.server.say(DAY, feed(1, a), feed(1, a), feed(0.5), feed(2, a, late), Reply(503), Reply(200, b"<html>"), Reply(reset=True))
    for _ in range(7):
        following.turn("all_day")
    said = exposition.text().decode()
    for result in ("unchanged", "older", "status_503", "damaged", "unreachable"):
        assert f'quakecast_feed_polls_total{{result="{result}",source="all_day"}} 1.0' in said, result
    assert 'quakecast_feed_polls_total{result="changed",source="all_day"} 2.0' in said
    assert "quakecast_feed_failures 3.0" in said
    assert f"quakecast_feed_timestamp_seconds {int(at(2)) / 1e12}e+09" in said
    assert "quakecast_feed_known_events 2.0" in said
    assert "quakecast_origin_to_log_latency_seconds_sum 2160.0" in said
    assert f'quakecast_dead_letters_total{{reason="{following.reasons()[0]}"}} 1.0' in said
    assert 0.0 < following.poller.unheard_seconds() < 10.0


def test_the_feed_is_heard_again_by_any_of_its_answers_that_tells_a_new_time(following: Follower) -> None:
    """`/readyz`, the page and the alert all go by this: they must not differ."""
    following.server.say(DAY, feed(1), Reply(503))
    following.server.say(WEEK, feed(1), feed(2))
    following.turn("all_day", "all_week")
    following.poller.status = following.poller.status._replace(heard_at=time.monotonic() - 1_000.0)
    following.turn("all_day")
    assert following.poller.unheard_seconds() > 999.0
    following.turn("all_week")
    assert following.poller.unheard_seconds() < 100.0
