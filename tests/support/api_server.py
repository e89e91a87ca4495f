"""A real HTTP server over a real log for the tests, in this process; and small clients of its stream."""

from __future__ import annotations

import http.client
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from ingest.bus import open_log
from ingest.bus.log import ALERTS, DEAD_LETTERS, MODELS, OUTLOOKS, REGION_PARTITIONS, TOPICS, Outgoing
from ingest.event import DeadLetter, InputRecord, encode
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import Region, partition_of
from stream.core.forecaster import Expectation
from stream.records.alert import Alert
from stream.records.examples import ALERT, EVENT, OUTLOOK, PROMOTION
from stream.records.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES
from stream.serve.gate import Access
from stream.store import open_store
from stream.worker import Worker
from tests.support.served import served as serving
from tests.support.simulated import REGION, SumForecaster, Turn, at, table, turns
from tests.support.waiting import consumed_by, work_until

SECONDS = 300.0
HOME = partition_of(REGION.id, REGION_PARTITIONS)


class SpreadForecaster(SumForecaster):
    """Says all quantiles, spans and magnitudes, as the built-in forecaster does."""

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        plain = super().expect(memory, region, now)
        waits = {f"{p:g}": round(plain.wait.median_hours * p / (1.0 - p), 6) for p in QUANTILES}
        wait = msgspec.structs.replace(plain.wait, quantiles_hours=waits, probability_within=dict.fromkeys(HORIZONS_HOURS, 0.5))
        sizes = {f"{p:g}": round(region.magnitude_of_completeness + p, 6) for p in QUANTILES}
        magnitude = msgspec.structs.replace(plain.magnitude, quantiles=sizes, probability_at_least={f"{m:g}": 0.1 for m in MAGNITUDES})
        return plain._replace(wait=wait, magnitude=magnitude)


class Ground(NamedTuple):
    """Where a log and the windows are."""

    log: str
    store: str

    def tell(self, made: Sequence[Turn]) -> None:
        """Publish some turns of a feed, as ingest does."""
        event_log = open_log(self.log)
        publisher = Publisher(event_log, table())
        records: list[InputRecord] = []
        for changes, heartbeat in made:
            records += [*changes, heartbeat]
        publisher.publish(records)
        publisher.close()
        event_log.close()

    def forecast(self) -> None:
        """Work until every input record is taken, as `quakecast forecast` does."""
        event_log = open_log(self.log)
        publisher = Publisher(event_log, table())
        told = publisher.sequences
        publisher.close()
        worker = Worker(event_log, open_store(self.store, event_log), table(), SpreadForecaster())
        work_until(worker, lambda: consumed_by(worker), told)
        worker.close()
        event_log.close()

    def write(self, *outgoing: Outgoing) -> None:
        """Append records as they are."""
        event_log = open_log(self.log)
        producer = event_log.producer("somebody")
        producer.commit(outgoing)
        producer.close()
        event_log.close()

    def fill(self) -> None:
        """A sequence of eight days with forecasts, an alert with its retraction, an outlook, a promotion, a dead letter."""
        self.tell(turns(1, 60, 1.0))
        self.forecast()
        initial = msgspec.structs.replace(ALERT, region=REGION.id, events=["us000"], issued_at=at(1.0), expires_at=at(400.0))
        active = msgspec.structs.replace(initial, id="m6-observed:test:0-1", issued_at=at(2.0), test=True)
        outlook = msgspec.structs.replace(OUTLOOK, region=REGION.id, issued_at=at(3.0))
        letter = DeadLetter(at(1.0), "all_day", "time_damaged", "the origin time cannot be read", used=False)
        self.write(
            *(alert_out(one) for one in (initial, retracted(initial, at(5.0)), active)),
            Outgoing(OUTLOOKS, HOME, REGION.id.encode(), encode(outlook), outlook.issued_at),
            Outgoing(DEAD_LETTERS, 0, b"all_day", encode(letter), letter.observed_at),
            Outgoing(MODELS, 0, b"lstm", encode(msgspec.structs.replace(PROMOTION, promoted_at=at(0.0))), at(0.0)),
        )


def retracted(alert: Alert, when: Instant) -> Alert:
    """The revision that takes an alert back."""
    return msgspec.structs.replace(
        alert, revision=alert.revision + 1, alert_type="retraction", supersedes=f"{alert.id}.{alert.revision}", issued_at=when,
        expires_at=when, active=False, reason=f"{EVENT.id} was deleted",
    )  # fmt: skip


def alert_out(alert: Alert) -> Outgoing:
    return Outgoing(ALERTS, HOME, alert.id.encode(), encode(alert), alert.issued_at)


class Served(NamedTuple):
    """A running server."""

    address: str
    port: int

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body; underscores in header names stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def json(self, path: str, **headers: str) -> Any:
        """The body of an answer that must be 200."""
        status, _, body = self.get(path, **headers)
        assert status == 200, (path, status, body[:300])
        return msgspec.json.decode(body)


@contextmanager
def served(ground: Ground, access: Access | None = None, **sources: Any) -> Iterator[Served]:
    """A server over a log that has read it, until the end of the block."""
    allowed = access or Access(requests_per_second=0.0)
    with serving(ground.log, table(), store=ground.store, access=allowed, **sources) as address:
        running = Served(address, int(address.rpartition(":")[2]))
        _wait_until_ready(running, allowed.token)
        yield running


def _wait_until_ready(server: Served, token: str | None) -> None:
    deadline = time.monotonic() + SECONDS
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    while time.monotonic() < deadline:
        try:
            if server.get("/v1/status", **headers)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the server is not ready")


class Message(NamedTuple):
    """One server-sent event with data."""

    topic: str
    data: bytes
    id: str


class Reader:
    """A client of the stream over a plain socket: what it has read it can tell, and it can go away at any record."""

    def __init__(self, server: Served, query: str = "", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        self._connection.request("GET", f"/v1/stream{query}", headers={name.replace("_", "-"): value for name, value in headers.items()})
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.last_id = ""

    def refusal(self) -> Any:
        return msgspec.json.decode(self._answer.read())

    def blocks(self) -> Iterator[list[str]]:
        """The lines of each block, empty lines between them; to the stream's end."""
        lines: list[str] = []
        while raw := self._answer.readline():
            line = raw.decode().rstrip("\n")
            if line:
                lines.append(line)
            elif lines:
                yield lines
                lines = []

    def messages(self) -> Iterator[Message]:
        """Those with data; ids without data are remembered."""
        for lines in self.blocks():
            fields = [line.split(": ", 1) for line in lines if not line.startswith(":")]
            self.last_id = next((value for name, value in fields if name == "id"), self.last_id)
            data = "\n".join(value for name, value in fields if name == "data")
            if data:
                yield Message(next(value for name, value in fields if name == "event"), data.encode(), self.last_id)

    def take(self, count: int) -> list[Message]:
        return list(itertools.islice(self.messages(), count))

    def close(self) -> None:
        self._connection.close()


def in_the_log(ground: Ground, topics: Sequence[str] = tuple(TOPICS)) -> list[bytes]:
    """All records of some topics."""
    event_log = open_log(ground.log)
    found = []
    for topic in topics:
        starts, ends = event_log.starts(topic), event_log.ends(topic)
        for partition, end in ends.items():
            found += [record.value for record in event_log.read(topic, partition, starts[partition], end)]
    event_log.close()
    return found
