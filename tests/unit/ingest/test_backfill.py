"""A back-fill writes pages into one complete catalogue file, or leaves no file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ingest.backfill import TRIES, backfill, backfill_to_file, fdsn_fetch
from ingest.catalog import read_catalog
from ingest.event import DeadLetter, Event
from ingest.instant import Instant
from ingest.problem import Problem

START, END = Instant.parse("2023-02-01"), Instant.parse("2023-02-03")
HEADER = "time,latitude,longitude,depth,mag,magType,net,id,updated,place,type,status"


class Service:
    """An FDSN service with an event every ten minutes, three of them at one moment; its first answers may be bad ones."""

    def __init__(self, *bad_answers: bytes | ConnectionError) -> None:
        moments = [START.plus(seconds=600 * k) for k in range(288)]
        self.rows = [self._row(moment, f"us{k:03d}") for k, moment in enumerate(sorted([*moments, moments[50], moments[50]]))]
        self.bad_answers = list(bad_answers)
        self.limits: list[int] = []

    @staticmethod
    def _row(moment: Instant, identifier: str) -> tuple[Instant, str]:
        return moment, f'{moment},37.2,37.0,10,4.5,mb,us,{identifier},{moment},"Nurdağı, Turkey",earthquake,reviewed'

    def fetch(self, start: Instant, end: Instant, limit: int) -> bytes:
        self.limits.append(limit)
        if self.bad_answers:
            answer = self.bad_answers.pop(0)
            if isinstance(answer, ConnectionError):
                raise answer
            return answer
        rows = [row for moment, row in self.rows if start <= moment <= end][:limit]
        return "\n".join([HEADER, *rows, ""]).encode() if rows else b""


def ids(items: Iterator[Event | DeadLetter]) -> list[str]:
    return [item.id for item in items if isinstance(item, Event)]


@pytest.mark.parametrize("most_events_a_page", [4, 7, 290, 20_000])
def test_pages_of_any_size_bring_every_event_once_in_order(most_events_a_page: int) -> None:
    assert ids(backfill(Service().fetch, START, END, most_events_a_page=most_events_a_page)) == [f"us{k:03d}" for k in range(290)]


def test_a_page_full_of_events_of_one_millisecond_does_not_stop_a_back_fill() -> None:
    assert ids(backfill(Service().fetch, START, END, most_events_a_page=2)) == [f"us{k:03d}" for k in range(290) if k != 52]


def test_progress_is_reported_in_days_and_ends_with_all_of_them() -> None:
    calls: list[tuple[float, float]] = []
    ids(backfill(Service().fetch, START, END, lambda done, total: calls.append((done, total)), 100))
    assert calls[0][0] == pytest.approx(97 / 144)
    assert calls[-1] == (2.0, 2.0)
    assert calls == sorted(calls)


def test_bad_answers_are_requested_again_after_longer_waits_in_smaller_pages() -> None:
    service = Service(ConnectionError("429"), b"<html>Service temporarily unavailable</html>", f"{HEADER}\n2023-02-01T0".encode())
    waits: list[float] = []
    assert len(ids(backfill(service.fetch, START, END, sleep=waits.append))) == 290
    assert waits == [1.0, 2.0, 4.0]
    assert service.limits == [20_000, 10_000, 5_000, 2_500]


def test_a_service_that_does_not_answer_is_a_problem_and_leaves_no_file(tmp_path: Path) -> None:
    service = Service(*[ConnectionError("503 Service unavailable")] * TRIES)
    with pytest.raises(Problem, match=r"did not answer 7 requests \(503 Service unavailable\)"):
        backfill_to_file(tmp_path / "catalogue.csv", backfill(service.fetch, START, END, sleep=lambda seconds: None))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_back_fill_does_not_change_the_earlier_file(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Event | DeadLetter]:
        yield from backfill(Service().fetch, START, END)
        raise KeyboardInterrupt

    path = tmp_path / "catalogue.csv"
    path.write_text("the earlier one")
    with pytest.raises(KeyboardInterrupt):
        backfill_to_file(path, interrupted())
    assert path.read_text() == "the earlier one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["catalogue.csv", "catalogue.csv.xz", "catalogue.csv.gz"])
def test_the_events_of_the_file_are_those_of_the_service(tmp_path: Path, name: str) -> None:
    events = list(backfill(Service().fetch, START, END))
    outcome = backfill_to_file(tmp_path / name, iter(events))
    assert outcome == (290, [])
    assert list(read_catalog(tmp_path / name)) == events


def test_a_folder_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot write"):
        backfill_to_file(tmp_path / "nothing" / "catalogue.csv", iter([]))


class Handler(BaseHTTPRequestHandler):
    """The service over HTTP, at the address of the standard."""

    query: dict[str, list[str]]

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        status, body = 404, b""
        if url.path == "/fdsnws/event/1/query":
            Handler.query = query = parse_qs(url.query)
            start, end = (Instant.parse(query[name][0]) for name in ("starttime", "endtime"))
            is_refused = query.get("minmagnitude") == ["99.0"]
            status, body = (400, b"too large") if is_refused else (200, Service().fetch(start, end, int(query["limit"][0])))
        self.send_response(status if body or status != 200 else 204)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_obspy_s_client_brings_pages_as_csv_from_a_real_server(address: str) -> None:
    assert len(ids(backfill(fdsn_fetch(address, 4.5), START, END, most_events_a_page=200))) == 290
    assert (Handler.query["format"], Handler.query["orderby"], Handler.query["minmagnitude"]) == (["csv"], ["time-asc"], ["4.5"])
    assert ids(backfill(fdsn_fetch(address, None), END, END)) == []
    assert "minmagnitude" not in Handler.query


def test_a_refused_request_and_a_wrong_address_are_problems(address: str) -> None:
    with pytest.raises(Problem, match="refuses"):
        ids(backfill(fdsn_fetch(address, 99.0), START, END))
    with pytest.raises(Problem, match="not the address"):
        ids(backfill(fdsn_fetch("nonsense", 4.5), START, END))
