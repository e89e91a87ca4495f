"""The client's stream: each record once and in order, whatever becomes of the connections and of single messages."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import Change, Heartbeat, encode
from ingest.problem import Problem
from stream.client import Client, Subscription, Unreadable
from tests.support.simulated import beat, change, event
from tests.support.stream_server import Entry, StreamServer, Turn, stream_server


def entries(count: int) -> list[Entry]:
    return [Entry("events", encode(change(event(f"e{number}"), sequence=number))) for number in range(count)]


def ids(stream: Subscription, count: int) -> list[str]:
    return [record.id for record in islice(stream, count) if isinstance(record, Change)]


def named(count: int, start: int = 0) -> list[str]:
    return [f"e{number}" for number in range(start, count)]


def test_records_come_typed_and_in_order() -> None:
    with stream_server(entries(3)) as server, Client(server.address) as client, client.stream(["events"]) as stream:
        first = next(stream)
        assert first == change(event("e0"))
        assert ids(stream, 2) == ["e1", "e2"]
        assert stream.cursor == "3"
    assert server.asked[0].path == "/v1/stream"
    assert server.asked[0].query == {"topics": ["events"], "test": ["true"]}


@pytest.mark.parametrize(
    "turns",
    [
        (Turn(frames=2), Turn(frames=1), Turn(frames=4)),
        (Turn(frames=3, torn=True), Turn(frames=2, torn=True)),
        (Turn(frames=2), Turn(status=503, retry_after="0"), Turn(frames=0), Turn(status=502)),
        (Turn(frames=4), Turn(frames=3, repeats_last=True)),
    ],
    ids=["cut", "torn within a record", "away for a while", "the last one repeated"],
)
def test_a_broken_connection_neither_loses_nor_repeats_a_record(turns: tuple[Turn, ...]) -> None:
    with stream_server(entries(9), *turns) as server, Client(server.address) as client:
        troubles: list[str] = []
        with client.stream(["events"], start="beginning", on_trouble=troubles.append) as stream:
            assert ids(stream, 9) == named(9)
    assert troubles
    assert server.asked[0].last_event_id is None
    assert all(asked.last_event_id is not None for asked in server.asked[1:])
    assert ["from" in asked.query for asked in server.asked] == [True] + [False] * (len(server.asked) - 1)


TURNS = st.tuples(st.integers(1, 4), st.booleans(), st.booleans()).map(lambda drawn: Turn(200, "text/event-stream", *drawn))


@given(st.lists(TURNS, max_size=6))
@settings(max_examples=25, deadline=None)
def test_however_connections_break_each_record_comes_once(turns: list[Turn]) -> None:
    with stream_server(entries(30), *turns) as server, Client(server.address) as client:
        with client.stream(["events"], start="beginning") as stream:
            assert ids(stream, 30) == named(30)
        assert stream.connections == len(server.asked) == len(turns) + 1


def test_a_poisoned_message_is_told_and_the_stream_goes_on() -> None:
    poison = [b"not JSON", b"", b"{}", b'{"$schema":"quakecast.forecast/99"}', b'{"$schema":"quakecast.change/1","sequence":"x"}', b"a\nb"]
    said = [entry for pair in zip(entries(6), (Entry("events", body) for body in poison), strict=True) for entry in pair]
    told: list[Unreadable] = []
    with stream_server(said) as server, Client(server.address) as client:
        with client.stream(["events"], on_unreadable=told.append) as stream:
            assert ids(stream, 6) == named(6)
            assert stream.unreadable == 5
        with client.stream(["events"], after="10") as stream:
            assert ids(stream, 1) == ["e5"]
    assert [one.data for one in told] == ["not JSON", "", "{}", '{"$schema":"quakecast.forecast/99"}', poison[4].decode()]
    assert (told[0].topic, told[0].cursor) == ("events", "2")
    assert list(stream.last_unreadable) == []


def test_events_of_a_kind_that_came_with_a_later_server_are_passed_over() -> None:
    later = [Entry("weather", b"sunny"), Entry("message", b"hello")]
    with stream_server([*later, *entries(1)]) as server, Client(server.address) as client, client.stream(["events"]) as stream:
        assert ids(stream, 1) == ["e0"]
        assert (stream.unreadable, stream.cursor) == (0, "3")


def test_replays_are_left_out_and_counted_unless_asked_for() -> None:
    replayed = Entry("events", encode(change(event("r"))).replace(b'"test":false', b'"test":true'))
    assert b'"test":true' in replayed.data
    with stream_server([replayed, *entries(1), replayed]) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 1) == ["e0"]
            assert stream.left_out_tests == 1
        with client.stream(["events"], include_test=True) as stream:
            assert ids(stream, 3) == ["r", "e0", "r"]


def test_heartbeats_are_left_out_unless_asked_for() -> None:
    with stream_server([Entry("events", encode(beat(1.0))), *entries(1)]) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 1) == ["e0"]
        with client.stream(["events"], include_heartbeats=True) as stream:
            assert isinstance(next(stream), Heartbeat)


def test_a_program_that_starts_again_goes_on_after_the_last_record_that_it_finished(tmp_path: Path) -> None:
    file = tmp_path / "cursor"
    given: list[str] = []
    with stream_server(entries(7)) as server, Client(server.address) as client:
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            given += ids(stream, 3)  # the third was given, but the program ended before it asked for more
        assert file.read_text() == "2"
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            given += ids(stream, 2)
            stream.save()  # finished, and said so
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            given += ids(stream, 3)
    assert given == ["e0", "e1", "e2", "e2", "e3", "e4", "e5", "e6"]


def test_a_cursor_of_one_program_serves_another() -> None:
    with stream_server(entries(5)) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 2) == named(2)
            cursor = stream.cursor
        with client.stream(["events"], after=cursor) as stream:
            assert ids(stream, 3) == named(5, 2)


def test_the_token_goes_into_the_header_and_nowhere_else() -> None:
    with stream_server(entries(1)) as server, Client(server.address, token="s3cret") as client, client.stream(["events"]) as stream:
        next(stream)
    assert server.asked[0].authorization == "Bearer s3cret"
    assert "s3cret" not in str(server.asked[0].query)


def refusal(server: StreamServer) -> str:
    with Client(server.address) as client, client.stream(["events"]) as stream, pytest.raises(Problem) as problem:
        next(stream)
    return str(problem.value)


def test_a_refused_request_is_a_problem_and_is_not_retried() -> None:
    body = b'{"error": "there is no region nowhere", "remedy": "choose an id from /v1/regions"}'
    with stream_server([], Turn(status=404, body=body)) as server:
        assert refusal(server) == "/v1/stream: there is no region nowhere; choose an id from /v1/regions"
    with stream_server([], Turn(status=401, body=b"<html>")) as server:
        assert refusal(server) == "/v1/stream: status 401; check the address"
    assert len(server.asked) == 1


def test_retries_print_nothing_and_those_of_other_programs_are_reported_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    broken = stream_server(entries(2), Turn(status=503), Turn(frames=1))
    with broken as server, Client(server.address) as client, client.stream(["events"], start="beginning") as stream:
        assert ids(stream, 2) == named(2)
    assert capfd.readouterr() == ("", "")
    for attempt in stamina.retry_context(ValueError, wait_initial=0.01, wait_jitter=0.0):
        with attempt:
            if attempt.num < 2:
                raise ValueError("another program")
    assert "another program" in capfd.readouterr().out


def test_a_server_that_does_not_answer_is_a_problem_once_patience_ends() -> None:
    message = r"no quakecast answers at http://127\.0\.0\.1:9 .*; start quakecast serve"
    with Client("http://127.0.0.1:9", patience_seconds=0.2) as client, client.stream() as stream, pytest.raises(Problem, match=message):
        next(stream)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://somewhere", "http://[::1"])
def test_an_invalid_address_is_a_problem(url: str) -> None:
    with pytest.raises(Problem, match="not the address of a server"):
        Client(url)


def test_an_answer_that_is_not_an_event_stream_is_refused() -> None:
    """For example a proxy's web page with status 200."""
    pages = [Turn(content_type="text/html")] * 50
    with (
        stream_server(entries(1), *pages) as server,
        Client(server.address, patience_seconds=0.2) as client,
        client.stream() as stream,
        pytest.raises(Problem, match="Content-Type"),
    ):
        next(stream)
    assert len(server.asked) > 1
