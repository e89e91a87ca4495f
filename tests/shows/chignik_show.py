"""The false M 6.2 at Chignik, Alaska, on 2023-04-29: its alert and the retraction, as three clients received them.

    python -m tests.shows.chignik_show

The recorded feed is served again, and `quakecast up` follows it with a real Kafka broker. An alert begins when the event appears in the
feed (16:37) and is retracted when the event has disappeared (17:27). The clients: our Python client over server-sent events; `curl -N`,
killed after the alert and started again, with `Last-Event-ID`, after the retraction; and librdkafka (`confluent-kafka`) on the topic.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import confluent_kafka

from ingest.event import encode
from ingest.instant import Instant
from ingest.problem import Problem
from stream.client import Client
from tests.support.paths import RECORDED
from tests.support.recorded_feed import RecordedFeed, recorded_feed
from tests.support.servers import free_port, kafka_broker, redis_server
from tests.support.stand_ins import environment
from tests.support.waiting import PATIENCE_SECONDS, stop_process, wait_until

START = "2023-04-29T16:25:00Z"
FALSE_EVENT = "ak0235h2o6lp"
NAMESPACE = "chignik"
Now = Callable[[], Instant]


class Sighting(NamedTuple):
    """A revision of an alert as a client received it."""

    client: str
    feed_time: Instant
    """The time of the feed's clock when it arrived."""
    alert: dict[str, Any]
    body: bytes

    @property
    def key(self) -> tuple[str, int]:
        return str(self.alert["id"]), int(self.alert["revision"])


class Watcher(Protocol):
    """A client of the alerts."""

    seen: list[Sighting]

    def close(self) -> None:
        """Stop the client."""


def has_false_event(seen: Sighting) -> bool:
    """Return whether an alert is of the false event."""
    return FALSE_EVENT in seen.alert["events"] and seen.alert["kind"] == "magnitude"


def has_seen(watcher: Watcher, alert_type: str) -> bool:
    return any(has_false_event(seen) and seen.alert["alert_type"] == alert_type for seen in list(watcher.seen))


class OurClient:
    """The client `stream.client` in a thread."""

    name = "quakecast client (SSE)"

    def __init__(self, address: str, now: Now) -> None:
        self.seen: list[Sighting] = []
        self._client, self._now = Client(address), now
        self._stream, self._closing = self._client.stream(["alerts"], start="beginning", include_test=True), False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        for record in self._stream:
            self.seen.append(Sighting(self.name, self._now(), json.loads(encode(record)), self._stream.json.encode()))
            if self._closing:
                return

    def close(self) -> None:
        self._closing = True  # the thread waits for a record, and ends with the process


class Curl:
    """`curl -N` on the stream; it may be killed and started again."""

    name = "curl -N (SSE, killed)"

    def __init__(self, address: str, now: Now) -> None:
        self.seen: list[Sighting] = []
        self.last_id: str | None = None
        self._address, self._now = address, now
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Connect, and resume after the last complete record."""
        resume = ["-H", f"Last-Event-ID: {self.last_id}"] if self.last_id else []
        where = f"{self._address}/v1/stream?topics=alerts" + ("" if self.last_id else "&from=beginning")
        self._process = subprocess.Popen(["curl", "-sN", *resume, where], stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def close(self) -> None:
        """Kill the process, so that the server is not told."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        fields: dict[bytes, bytes] = {}
        for line in process.stdout:
            name, _, value = line.rstrip(b"\n").partition(b": ")
            if name:
                fields[name] = value
                continue
            if b"data" in fields:
                self.seen.append(Sighting(self.name, self._now(), json.loads(fields[b"data"]), fields[b"data"]))
            if b"id" in fields:
                self.last_id = fields[b"id"].decode()
            fields = {}


class Kafka:
    """A consumer of librdkafka on the topic, of committed records only."""

    name = "confluent-kafka (topic)"

    def __init__(self, broker: str, now: Now) -> None:
        self.seen: list[Sighting] = []
        self._now = now
        settings = {
            "bootstrap.servers": broker, "group.id": "chignik", "isolation.level": "read_committed", "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }  # fmt: skip
        self._consumer = confluent_kafka.Consumer(settings)
        self._consumer.subscribe([f"{NAMESPACE}.alerts"])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            message = self._consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            body = message.value()
            assert isinstance(body, bytes)
            self.seen.append(Sighting(self.name, self._now(), json.loads(body), body))
            self._consumer.commit(message=message, asynchronous=False)
        self._consumer.close()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(PATIENCE_SECONDS)


@contextmanager
def run_up(feed: RecordedFeed, broker: str, store: str, folder: Path) -> Iterator[str]:
    """Run `quakecast up` on Kafka until the block ends, and yield its address once it has read the feed."""
    port = free_port()
    command = [
        sys.executable, "-m", "stream.cli", "up", "--bus", f"kafka://{broker}/{NAMESPACE}", "--store", store, "--usgs", feed.address,
        "--port", str(port), "--poll-seconds", "0.2",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (folder / "up.err").open("wb") as errors:
        process = subprocess.Popen(command, env=environment(), stderr=errors)
        try:
            wait_until(lambda: is_ready(address, process), f"an answer of {address}, see {folder}/up.err")
            yield address
        finally:
            stop_process(process)


def is_ready(address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "quakecast up has ended"
    try:
        with Client(address, patience_seconds=0.1) as client:
            status = client.status()
    except Problem:
        return False
    return status.stream_time is not None and status.lag_records == 0


def show(recorded: Path, broker: str, store: str, folder: Path, speed: float) -> tuple[list[Sighting], bytes]:
    """Return what each client received, and the retraction as a CAP message.

    Args:
        recorded: the folder with the recorded feed and its server.
        broker: host:port of Kafka.
        store: URL of a Redis database for this run alone.
        folder: for the messages of `up`.
        speed: seconds of the feed's clock per second.
    """
    with recorded_feed(recorded, START, 1.0) as feed, run_up(feed, broker, store, folder) as address:
        curl = Curl(address, feed.now)
        curl.start()
        watchers: list[Watcher] = [OurClient(address, feed.now), Kafka(broker, feed.now), curl]
        urllib.request.urlopen(f"{feed.address}/_clock?speed={speed}").read()
        wait_until(lambda: all(has_seen(one, "initial") for one in watchers), "the alert")
        curl.close()
        wait_until(lambda: all(has_seen(one, "retraction") for one in watchers[:2]), "the retraction")
        assert not has_seen(curl, "retraction")
        curl.start()
        wait_until(lambda: has_seen(curl, "retraction"), "the retraction, by the client that came back")
        time.sleep(2.0)  # a repeated record would arrive in this time
        for watcher in watchers:
            watcher.close()
        seen = [seen for watcher in watchers for seen in watcher.seen]
        alert_id = next(one.alert["id"] for one in seen if has_false_event(one))
        with Client(address) as client:
            return seen, client.cap(alert_id)


def format_sightings(seen: list[Sighting]) -> str:
    """Return a table of the alert of the false event."""
    rows = [
        f"{one.client:24} {one.alert['revision']} {one.alert['alert_type']:10} issued {one.alert['issued_at']}  received {one.feed_time}  "
        f"{one.alert['headline']}: {one.alert['reason']}"
        for one in seen
        if has_false_event(one)
    ]
    others = len({one.key for one in seen if not has_false_event(one)})
    return "\n".join([*rows, f"({others} revisions of other alerts, each received once by each client, too)"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, default=RECORDED)
    parser.add_argument("--speed", type=float, default=120.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quakecast-chignik-")))
        broker, store = stack.enter_context(kafka_broker()), stack.enter_context(redis_server())
        seen, cap = show(options.recorded, broker, store, folder, options.speed)
    sys.stdout.write(format_sightings(seen) + "\n\n" + cap.decode())


if __name__ == "__main__":
    main()
