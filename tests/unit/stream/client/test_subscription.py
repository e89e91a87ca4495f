"""The client's stream: each record once and in order, whatever happens to connections and single messages."""

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
from tests.support.stream_server import Entry, Script, StreamServer, stream_server


def entries(count: int) -> list[Entry]:
    return [Entry("events", encode(change(event(f"e{number}"), sequence=number))) for number in range(count)]


def ids(stream: Subscription, count: int) -> list[str]:
    return [record.id for record in islice(stream, count) if isinstance(record, Change)]


def expected_ids(count: int, start: int = 0) -> list[str]:
    return [f"e{number}" for number in range(start, count)]


def test_records_come_typed_and_in_order() -> None:
    with stream_server(entries(3)) as server, Client(server.address) as client, client.stream(["events"]) as stream:
        first = next(stream)
        assert first == change(event("e0"))
        assert ids(stream, 2) == ["e1", "e2"]
        assert stream.cursor == "3"
    assert server.requests[0].path == "/v1/stream"
    assert server.requests[0].query == {"topics": ["events"], "test": ["true"]}


@pytest.mark.parametrize(
    "turns",
    [
        (Script(frames=2), Script(frames=1), Script(frames=4)),
        (Script(frames=3, torn=True), Script(frames=2, torn=True)),
        (
            Script(frames=2),
            Script(status=503, retry_after="0"),
            Script(frames=0),
            Script(status=502),
        ),
        (Script(frames=4), Script(frames=3, repeats_last=True)),
    ],
    ids=["cut", "cut within a record", "unavailable for a while", "the last one repeated"],
)
def test_a_broken_connection_neither_loses_nor_repeats_a_record(turns: tuple[Script, ...]) -> None:
    with stream_server(entries(9), *turns) as server, Client(server.address) as client:
        troubles: list[str] = []
        with client.stream(["events"], start="beginning", on_trouble=troubles.append) as stream:
            assert ids(stream, 9) == expected_ids(9)
    assert troubles
    assert server.requests[0].last_event_id is None
    assert all(asked.last_event_id is not None for asked in server.requests[1:])
    assert ["from" in asked.query for asked in server.requests] == [True] + [False] * (len(server.requests) - 1)


TURNS = st.tuples(st.integers(1, 4), st.booleans(), st.booleans()).map(lambda drawn: Script(200, "text/event-stream", *drawn))


@given(st.lists(TURNS, max_size=6))
@settings(max_examples=25)
def test_however_connections_break_each_record_comes_once(turns: list[Script]) -> None:
    with stream_server(entries(30), *turns) as server, Client(server.address) as client:
        with client.stream(["events"], start="beginning") as stream:
            assert ids(stream, 30) == expected_ids(30)
        assert stream.connections == len(server.requests) == len(turns) + 1


def test_an_unreadable_message_is_reported_and_the_stream_continues() -> None:
    poison = [b"not JSON", b"", b"{}", b'{"$schema":"quakecast.forecast/99"}', b'{"$schema":"quakecast.change/1","sequence":"x"}', b"a\nb"]
    entries_sent = [entry for pair in zip(entries(6), (Entry("events", body) for body in poison), strict=True) for entry in pair]
    unreadable: list[Unreadable] = []
    with stream_server(entries_sent) as server, Client(server.address) as client:
        with client.stream(["events"], on_unreadable=unreadable.append) as stream:
            assert ids(stream, 6) == expected_ids(6)
            assert stream.unreadable == 5
        with client.stream(["events"], after="10") as stream:
            assert ids(stream, 1) == ["e5"]
    assert [one.data for one in unreadable] == ["not JSON", "", "{}", '{"$schema":"quakecast.forecast/99"}', poison[4].decode()]
    assert (unreadable[0].topic, unreadable[0].cursor) == ("events", "2")
    assert list(stream.last_unreadable) == []


def test_events_of_an_unknown_kind_are_skipped() -> None:
    later = [Entry("weather", b"sunny"), Entry("message", b"hello")]
    with stream_server([*later, *entries(1)]) as server, Client(server.address) as client, client.stream(["events"]) as stream:
        assert ids(stream, 1) == ["e0"]
        assert (stream.unreadable, stream.cursor) == (0, "3")


def test_replays_are_left_out_and_counted_by_default() -> None:
    replayed = Entry("events", encode(change(event("r"))).replace(b'"test":false', b'"test":true'))
    assert b'"test":true' in replayed.data
    with stream_server([replayed, *entries(1), replayed]) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 1) == ["e0"]
            assert stream.left_out_tests == 1
        with client.stream(["events"], include_test=True) as stream:
            assert ids(stream, 3) == ["r", "e0", "r"]


def test_heartbeats_are_left_out_by_default() -> None:
    with stream_server([Entry("events", encode(beat(1.0))), *entries(1)]) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 1) == ["e0"]
        with client.stream(["events"], include_heartbeats=True) as stream:
            assert isinstance(next(stream), Heartbeat)


def test_a_restarted_program_continues_after_the_last_record_that_it_finished(tmp_path: Path) -> None:
    file = tmp_path / "cursor"
    received: list[str] = []
    with stream_server(entries(7)) as server, Client(server.address) as client:
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            received += ids(stream, 3)  # the program ended before it asked for another record after the third
        assert file.read_text() == "2"
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            received += ids(stream, 2)
            stream.save()  # the program has processed both
        with client.stream(["events"], start="beginning", cursor_file=file) as stream:
            received += ids(stream, 3)
    assert received == ["e0", "e1", "e2", "e2", "e3", "e4", "e5", "e6"]


def test_a_program_can_continue_from_the_cursor_of_another() -> None:
    with stream_server(entries(5)) as server, Client(server.address) as client:
        with client.stream(["events"]) as stream:
            assert ids(stream, 2) == expected_ids(2)
            cursor = stream.cursor
        with client.stream(["events"], after=cursor) as stream:
            assert ids(stream, 3) == expected_ids(5, 2)


def test_the_token_is_sent_in_the_header_only() -> None:
    with stream_server(entries(1)) as server, Client(server.address, token="s3cret") as client, client.stream(["events"]) as stream:
        next(stream)
    assert server.requests[0].authorization == "Bearer s3cret"
    assert "s3cret" not in str(server.requests[0].query)


def refusal(server: StreamServer) -> str:
    with Client(server.address) as client, client.stream(["events"]) as stream, pytest.raises(Problem) as problem:
        next(stream)
    return str(problem.value)


def test_a_refused_request_is_a_problem_and_is_not_retried() -> None:
    body = b'{"error": "there is no region nowhere", "remedy": "choose an id from /v1/regions"}'
    with stream_server([], Script(status=404, body=body)) as server:
        assert refusal(server) == "/v1/stream: there is no region nowhere; choose an id from /v1/regions"
    with stream_server([], Script(status=401, body=b"<html>")) as server:
        assert refusal(server) == "/v1/stream: status 401; check the address"
    assert len(server.requests) == 1


def test_retries_print_nothing_and_those_of_other_programs_are_reported_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    broken = stream_server(entries(2), Script(status=503), Script(frames=1))
    with broken as server, Client(server.address) as client, client.stream(["events"], start="beginning") as stream:
        assert ids(stream, 2) == expected_ids(2)
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
    pages = [Script(content_type="text/html")] * 50
    with (
        stream_server(entries(1), *pages) as server,
        Client(server.address, patience_seconds=1.0) as client,
        client.stream() as stream,
        pytest.raises(Problem, match="Content-Type"),
    ):
        next(stream)
    assert len(server.requests) > 1
