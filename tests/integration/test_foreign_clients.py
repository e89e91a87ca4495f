"""What stands in Kafka and Redis, as clients that are not ours read it: librdkafka, and redis-cli as docs/operators.md describes it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import confluent_kafka
import jsonschema
import pytest
from typer.testing import CliRunner

from ingest.bus import open_log
from ingest.bus.log import ALERTS, EVENTS, FORECASTS, OUTLOOKS, REGION_PARTITIONS, TOPICS, Log
from ingest.event import InputRecord
from ingest.publish import Publisher
from ingest.region import partition_of
from stream.alerts.rules import Rule
from stream.cli.application import application
from stream.outlooks.worker import OutlookWorker
from stream.records.schema import FOLDER
from stream.store import open_store
from stream.worker import Worker
from tests.support.outlooks import Simulators
from tests.support.paths import ROOT
from tests.support.servers import MissingPart
from tests.support.simulated import REGION, SumForecaster, at, beat, change, event, table, turns
from tests.support.waiting import consumed_by, work_until

HANDBOOK = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
NAMESPACE = "foreign"
RULE = Rule("m6-observed", "magnitude", at_least=6.0, release=5.8, minimum_interval_minutes=0.0)
PARTITION = partition_of(REGION.id, REGION_PARTITIONS)
SECONDS = 300.0


class Ground(NamedTuple):
    """Where the records and the windows are."""

    broker: str
    store: str
    log: Log


@pytest.fixture(scope="module")
def ground(kafka: str, redis: str) -> Iterator[Ground]:
    """Workers have taken days of a sequence and a false M 6.2, said and withdrawn: forecasts, alerts, outlooks."""
    store_url = f"{redis.rpartition('/')[0]}/9"
    log, store = open_log(f"kafka://{kafka}/{NAMESPACE}"), open_store(store_url)
    worker = Worker(log, store, table(), SumForecaster(), rules=(RULE,), batch_size=40)
    publisher = Publisher(log, table())
    records: list[InputRecord] = []
    for changes, heartbeat in turns(3, 40, 4.0):
        records += [*changes, heartbeat]
    false = event("false", 193.0, 6.2)
    records += [change(false, observed=at(193.1)), beat(193.2), change("false", observed=at(194.0)), beat(194.1)]
    publisher.publish(records)
    work_until(worker, lambda: consumed_by(worker), publisher.sequences)
    worker.close()
    outlooks = OutlookWorker(log, table(), Simulators(), from_beginning=True)
    work_until(outlooks, outlooks.sequences, publisher.sequences)
    outlooks.close()
    yield Ground(kafka, store_url, log)
    publisher.close()
    store.close()
    log.close()


@contextmanager
def consumer(ground: Ground, group: str, topic: str, isolation: str = "read_committed") -> Iterator[confluent_kafka.Consumer]:
    settings = {
        "bootstrap.servers": ground.broker, "group.id": group, "isolation.level": isolation, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "enable.partition.eof": True,
    }  # fmt: skip
    made = confluent_kafka.Consumer(settings)
    made.subscribe([topic.replace("quakecast", NAMESPACE, 1)])
    try:
        yield made
    finally:
        made.close()


def taken(reader: confluent_kafka.Consumer, most: int | None = None) -> list[confluent_kafka.Message]:
    """Messages up to the end of every partition, or so many; each is committed after it was taken."""
    found: list[confluent_kafka.Message] = []
    ended: set[int] = set()
    deadline = time.monotonic() + SECONDS
    while len(ended) < REGION_PARTITIONS and (most is None or len(found) < most):
        assert time.monotonic() < deadline, "the topic has no end"
        message = reader.poll(0.5)
        if message is None:
            continue
        if (error := message.error()) is None:
            found.append(message)
            reader.commit(message=message, asynchronous=False)
            continue
        assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
        ended.add(message.partition() or 0)
    return found


def value(message: confluent_kafka.Message) -> bytes:
    body = message.value()
    assert isinstance(body, bytes)
    return body


def ours(log: Log, topic: str) -> list[bytes]:
    return [record.value for p, end in log.ends(topic).items() for record in log.read(topic, p, log.starts(topic)[p], end)]


def wrong(body: bytes) -> list[str]:
    """What is wrong with a record by the committed schema of the name that it gives itself."""
    record = json.loads(body)
    name = record["$schema"].removeprefix("quakecast.").replace("/", ".") + ".json"
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return [error.message for error in checker.iter_errors(record)]


@pytest.mark.parametrize("topic", [EVENTS, FORECASTS, ALERTS, OUTLOOKS])
def test_another_client_reads_every_record_once_and_each_is_as_its_schema_says(topic: str, ground: Ground) -> None:
    with consumer(ground, f"all-{topic}", topic) as reader:
        messages = taken(reader)
    bodies = [value(message) for message in messages]
    assert sorted(bodies) == sorted(ours(ground.log, topic))
    assert len(bodies) > {ALERTS: 0, OUTLOOKS: 5}.get(topic, 40)
    assert [error for body in bodies for error in wrong(body)] == []
    ids = [json.loads(body)["id"] for body in bodies if topic in (FORECASTS, OUTLOOKS)]
    assert len(ids) == len(set(ids))


def test_keys_partitions_and_times_are_as_documented(ground: Ground) -> None:
    """A region keeps its partition, forecasts have it as their key, and the message's time is the stream's."""
    with consumer(ground, "documented", FORECASTS) as reader:
        for message in taken(reader):
            forecast = json.loads(value(message))
            assert message.key() == forecast["region"].encode()
            assert message.partition() == partition_of(forecast["region"], TOPICS[FORECASTS]) == forecast["input_partition"]
            assert message.timestamp()[0] == confluent_kafka.TIMESTAMP_CREATE_TIME


def test_the_false_event_s_alert_and_its_retraction_come_once_and_in_order(ground: Ground) -> None:
    with consumer(ground, "alerts", ALERTS) as reader:
        said = [json.loads(value(message)) for message in taken(reader)]
    false = [alert for alert in said if alert["events"] == ["false"]]
    assert [(alert["revision"], alert["alert_type"], alert["active"]) for alert in false] == [
        (0, "initial", True),
        (1, "retraction", False),
    ]
    assert false[1]["supersedes"] == f"{false[0]['id']}.0"
    assert "deleted" in false[1]["reason"]


def test_a_group_goes_on_where_its_last_member_stopped(ground: Ground) -> None:
    with consumer(ground, "restarting", FORECASTS) as reader:
        first = [value(message) for message in taken(reader, most=25)]
    with consumer(ground, "restarting", FORECASTS) as reader:
        rest = [value(message) for message in taken(reader)]
    assert len(first) == 25
    assert sorted(first + rest) == sorted(ours(ground.log, FORECASTS))


def test_what_was_never_committed_is_seen_only_by_those_who_ask_for_it(ground: Ground) -> None:
    topic = FORECASTS.replace("quakecast", NAMESPACE, 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": ground.broker, "transactional.id": "half-done"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"never said", partition=0)
    producer.flush(SECONDS)
    producer.abort_transaction()
    for isolation, seen in (("read_committed", False), ("read_uncommitted", True)):
        with consumer(ground, isolation, FORECASTS, isolation) as reader:
            assert (b"never said" in [value(message) for message in taken(reader)]) is seen


@pytest.mark.parametrize(("what", "topic"), [("forecasts", FORECASTS), ("alerts", ALERTS), ("outlooks", OUTLOOKS)])
def test_tail_shows_the_topic_as_others_read_it(what: str, topic: str, ground: Ground) -> None:
    words = ["tail", what, "--bus", f"kafka://{ground.broker}/{NAMESPACE}", "--until-end", "--json"]
    ran = CliRunner().invoke(application, words)
    assert ran.exit_code == 0, ran.output
    assert sorted(line.encode() for line in ran.stdout.splitlines()) == sorted(ours(ground.log, topic))


def redis_cli(ground: Ground, *words: str) -> list[str]:
    program = shutil.which("redis-cli")
    if program is None:
        raise MissingPart("redis-cli is missing: apt-get install redis-server")
    ran = subprocess.run([program, "-u", ground.store, "--raw", *words], capture_output=True, check=True, timeout=SECONDS)
    return ran.stdout.decode("utf-8", "replace").splitlines()


DOCUMENTED = re.findall(r"^\| `(quakecast:\{2\}:[^`]+)` \| ([a-z ]+) \| (.*) \|$", HANDBOOK, re.MULTILINE)
REDIS_TYPES = {"hash": "hash", "set": "set", "sorted set": "zset"}


def test_the_handbook_names_the_keys() -> None:
    assert {key.split(":")[2] for key, _, _ in DOCUMENTED} >= {"position", "regions", "window", "events", "state"}


@pytest.mark.parametrize(("key", "kind", "holds"), DOCUMENTED, ids=[key for key, _, _ in DOCUMENTED])
def test_a_documented_key_is_there_and_holds_what_it_should(key: str, kind: str, holds: str, ground: Ground) -> None:
    here = key.replace("{2}", f"{{{PARTITION}}}").replace("turkiye", REGION.id)
    assert redis_cli(ground, "type", here) == [REDIS_TYPES[kind]]
    if kind == "hash" and ":events:" not in key:
        assert set(re.findall(r"`(\w+)`", holds)) == set(redis_cli(ground, "hkeys", here))


def test_no_key_is_undocumented(ground: Ground) -> None:
    known = {key.split(":")[2] for key, _, _ in DOCUMENTED}
    assert {key.split(":")[2] for key in redis_cli(ground, "--scan")} == known


def test_an_operator_reads_the_window_and_the_last_forecast(ground: Ground) -> None:
    """The two commands of docs/operators.md."""
    (forecast,) = redis_cli(ground, "hget", f"quakecast:{{{PARTITION}}}:state:{REGION.id}", "forecast")
    assert wrong(forecast.encode()) == []
    assert forecast.encode() in ours(ground.log, FORECASTS)
    window = redis_cli(ground, "zrange", f"quakecast:{{{PARTITION}}}:window:{REGION.id}", "-5", "-1", "withscores")
    ids, times = window[::2], [float(text) for text in window[1::2]]
    assert times == sorted(times)
    for event_id, origin_time in zip(ids, times, strict=True):
        body: dict[str, Any] = json.loads(redis_cli(ground, "hget", f"quakecast:{{{PARTITION}}}:events:{REGION.id}", event_id)[0])
        assert body["id"] == event_id
        assert abs(float(event("x").time) - origin_time) < 30 * 86_400_000
