"""A log with records, the real HTTP server over it in the test's process, and a small client of its stream."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from ingest.bus import open_log
from ingest.bus.log import ALERTS, DEAD_LETTERS, MAPS, MODELS, OUTLOOKS, REGION_PARTITIONS, TOPICS, Outgoing
from ingest.event import DeadLetter, InputRecord, encode
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import Region, partition_of
from stream.core.forecaster import Expectation
from stream.records.alert import Alert
from stream.records.examples import ALERT, EVENT, MAP, OUTLOOK, PROMOTION
from stream.records.forecast import HORIZONS_HOURS, MAGNITUDES, QUANTILES
from stream.serve.gate import Access
from stream.store import open_store
from stream.worker import Worker
from tests.support.api_thread import serve_log
from tests.support.simulated import REGION, Poll, SumForecaster, at, simulated_polls, table
from tests.support.waiting import PATIENCE_SECONDS, consumed_by, wait_until, work_until

HOME = partition_of(REGION.id, REGION_PARTITIONS)


class SpreadForecaster(SumForecaster):
    """A forecaster that gives all quantiles, spans and magnitudes, as the built-in forecaster does."""

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        plain = super().expect(memory, region, now)
        waits = {f"{p:g}": round(plain.wait.median_hours * p / (1.0 - p), 6) for p in QUANTILES}
        wait = msgspec.structs.replace(plain.wait, quantiles_hours=waits, probability_within=dict.fromkeys(HORIZONS_HOURS, 0.5))
        sizes = {f"{p:g}": round(region.magnitude_of_completeness + p, 6) for p in QUANTILES}
        magnitude = msgspec.structs.replace(plain.magnitude, quantiles=sizes, probability_at_least={f"{m:g}": 0.1 for m in MAGNITUDES})
        return plain._replace(wait=wait, magnitude=magnitude)


class Deployment(NamedTuple):
    """The URLs of a log and of a store, and what ingest and the forecaster do with them."""

    log: str
    store: str

    def publish(self, polls: Sequence[Poll]) -> None:
        """Publish the results of some polls of a feed, as ingest does."""
        event_log = open_log(self.log)
        publisher = Publisher(event_log, table())
        records: list[InputRecord] = []
        for changes, heartbeat in polls:
            records += [*changes, heartbeat]
        publisher.publish(records)
        publisher.close()
        event_log.close()

    def forecast(self) -> None:
        """Consume every input record, as `quakecast forecast` does."""
        event_log = open_log(self.log)
        publisher = Publisher(event_log, table())
        last = publisher.sequences
        publisher.close()
        worker = Worker(event_log, open_store(self.store, event_log), table(), SpreadForecaster())
        work_until(worker, lambda: consumed_by(worker), last)
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
        """Write a sequence of eight days with forecasts, a retracted alert, an outlook with its map, a promotion and a dead letter."""
        self.publish(simulated_polls(1, 60, 1.0))
        self.forecast()
        initial = msgspec.structs.replace(ALERT, region=REGION.id, events=["us000"], issued_at=at(1.0), expires_at=at(400.0))
        active = msgspec.structs.replace(initial, id="m6-observed:test:0-1", issued_at=at(2.0), test=True)
        outlook = msgspec.structs.replace(OUTLOOK, region=REGION.id, issued_at=at(3.0))
        gridded = msgspec.structs.replace(MAP, region=REGION.id, issued_at=at(180.0))
        letter = DeadLetter(at(1.0), "all_day", "time_damaged", "the origin time cannot be read", used=False)
        self.write(
            *(outgoing_alert(one) for one in (initial, retraction_of(initial, at(5.0)), active)),
            Outgoing(OUTLOOKS, HOME, REGION.id.encode(), encode(outlook), outlook.issued_at),
            Outgoing(MAPS, HOME, REGION.id.encode(), encode(gridded), gridded.issued_at),
            Outgoing(DEAD_LETTERS, 0, b"all_day", encode(letter), letter.observed_at),
            Outgoing(MODELS, 0, b"lstm", encode(msgspec.structs.replace(PROMOTION, promoted_at=at(0.0))), at(0.0)),
        )


def retraction_of(alert: Alert, when: Instant) -> Alert:
    """Return the revision that retracts an alert."""
    return msgspec.structs.replace(
        alert, revision=alert.revision + 1, alert_type="retraction", supersedes=f"{alert.id}.{alert.revision}", issued_at=when,
        expires_at=when, active=False, reason=f"{EVENT.id} was deleted",
    )  # fmt: skip


def outgoing_alert(alert: Alert) -> Outgoing:
    return Outgoing(ALERTS, HOME, alert.id.encode(), encode(alert), alert.issued_at)


class ApiServer(NamedTuple):
    """A running server."""

    address: str
    port: int

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body; underscores in header names stand for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body

    def json(self, path: str, **headers: str) -> Any:
        """Return the decoded body of an answer whose status must be 200."""
        status, _, body = self.get(path, **headers)
        assert status == 200, (path, status, body[:300])
        return msgspec.json.decode(body)


@contextmanager
def serve_deployment(deployment: Deployment, access: Access | None = None, **sources: Any) -> Iterator[ApiServer]:
    """Run a server over a log until the block ends; it has read the log when the block begins."""
    allowed = access or Access(requests_per_second=0.0)
    with serve_log(deployment.log, table(), store=deployment.store, access=allowed, **sources) as address:
        running = ApiServer(address, int(address.rpartition(":")[2]))
        wait_until(lambda: _is_ready(running, allowed.token), "the server has read the log")
        yield running


def _is_ready(server: ApiServer, token: str | None) -> bool:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        return server.get("/v1/status", **headers)[0] == 200
    except OSError:
        return False


class Message(NamedTuple):
    """One server-sent event with data."""

    topic: str
    data: bytes
    id: str


class Reader:
    """A client of the stream that may leave after any record; `last_id` is the cursor after the record that it read last."""

    def __init__(self, server: ApiServer, query: str = "", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        self._connection.request("GET", f"/v1/stream{query}", headers={name.replace("_", "-"): value for name, value in headers.items()})
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.last_id = ""

    def refusal(self) -> Any:
        return msgspec.json.decode(self._answer.read())

    def blocks(self) -> Iterator[list[str]]:
        """Yield the lines of each block until the stream ends; empty lines separate the blocks."""
        lines: list[str] = []
        while raw := self._answer.readline():
            line = raw.decode().rstrip("\n")
            if line:
                lines.append(line)
            elif lines:
                yield lines
                lines = []

    def messages(self) -> Iterator[Message]:
        """Yield the events that have data; an id without data moves `last_id`."""
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


def read_values(deployment: Deployment, topics: Sequence[str] = tuple(TOPICS)) -> list[bytes]:
    """Return the values of all records of some topics."""
    event_log = open_log(deployment.log)
    values = []
    for topic in topics:
        starts, ends = event_log.starts(topic), event_log.ends(topic)
        for partition, end in ends.items():
            values += [record.value for record in event_log.read(topic, partition, starts[partition], end)]
    event_log.close()
    return values
