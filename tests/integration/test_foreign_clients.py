"""The contents of Kafka and Redis, read by other clients: librdkafka, and redis-cli as docs/operators.md describes it."""

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
from tests.support.servers import MissingPart, new_database
from tests.support.simulated import REGION, SumForecaster, at, beat, change, event, simulated_polls, table
from tests.support.waiting import PATIENCE_SECONDS, consumed_by, work_until

HANDBOOK = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
NAMESPACE = "foreign"
RULE = Rule("m6-observed", "magnitude", at_least=6.0, release=5.8, minimum_interval_minutes=0.0)
PARTITION = partition_of(REGION.id, REGION_PARTITIONS)


class Deployment(NamedTuple):
    """A broker, a store and a log with records."""

    broker: str
    store: str
    log: Log


@pytest.fixture(scope="module")
def deployment(kafka: str, redis: str) -> Iterator[Deployment]:
    """Let workers consume days of a sequence and a false M 6.2 with its deletion: forecasts, alerts and outlooks are written."""
    store_url = new_database(redis)
    log, store = open_log(f"kafka://{kafka}/{NAMESPACE}"), open_store(store_url)
    worker = Worker(log, store, table(), SumForecaster(), rules=(RULE,), batch_size=40)
    publisher = Publisher(log, table())
    records: list[InputRecord] = []
    for changes, heartbeat in simulated_polls(3, 40, 4.0):
        records += [*changes, heartbeat]
    false = event("false", 193.0, 6.2)
    records += [change(false, observed=at(193.1)), beat(193.2), change("false", observed=at(194.0)), beat(194.1)]
    publisher.publish(records)
    work_until(worker, lambda: consumed_by(worker), publisher.sequences)
    worker.close()
    outlooks = OutlookWorker(log, table(), Simulators(), from_beginning=True)
    work_until(outlooks, outlooks.sequences, publisher.sequences)
    outlooks.close()
    yield Deployment(kafka, store_url, log)
    publisher.close()
    store.close()
    log.close()


@contextmanager
def consumer(deployment: Deployment, group: str, topic: str, isolation: str = "read_committed") -> Iterator[confluent_kafka.Consumer]:
    settings = {
        "bootstrap.servers": deployment.broker, "group.id": group, "isolation.level": isolation, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "enable.partition.eof": True,
    }  # fmt: skip
    reader = confluent_kafka.Consumer(settings)
    reader.subscribe([topic.replace("quakecast", NAMESPACE, 1)])
    try:
        yield reader
    finally:
        reader.close()


def read_messages(reader: confluent_kafka.Consumer, most: int | None = None) -> list[confluent_kafka.Message]:
    """Return the messages up to the end of every partition, at most so many, and commit each after reading it."""
    messages: list[confluent_kafka.Message] = []
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ended) < REGION_PARTITIONS and (most is None or len(messages) < most):
        assert time.monotonic() < deadline, "the topic has no end"
        message = reader.poll(0.5)
        if message is None:
            continue
        if (error := message.error()) is None:
            messages.append(message)
            reader.commit(message=message, asynchronous=False)
            continue
        assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
        ended.add(message.partition() or 0)
    return messages


def body_of(message: confluent_kafka.Message) -> bytes:
    body = message.value()
    assert isinstance(body, bytes)
    return body


def values_in_log(log: Log, topic: str) -> list[bytes]:
    return [record.value for p, end in log.ends(topic).items() for record in log.read(topic, p, log.starts(topic)[p], end)]


def schema_errors(body: bytes) -> list[str]:
    """Return the errors of a record by the committed schema that it names."""
    record = json.loads(body)
    name = record["$schema"].removeprefix("quakecast.").replace("/", ".") + ".json"
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return [error.message for error in checker.iter_errors(record)]


@pytest.mark.parametrize("topic", [EVENTS, FORECASTS, ALERTS, OUTLOOKS])
def test_another_client_reads_every_record_once_and_each_fits_its_schema(topic: str, deployment: Deployment) -> None:
    with consumer(deployment, f"all-{topic}", topic) as reader:
        messages = read_messages(reader)
    bodies = [body_of(message) for message in messages]
    assert sorted(bodies) == sorted(values_in_log(deployment.log, topic))
    assert len(bodies) > {ALERTS: 0, OUTLOOKS: 5}.get(topic, 40)
    assert [error for body in bodies for error in schema_errors(body)] == []
    ids = [json.loads(body)["id"] for body in bodies if topic in (FORECASTS, OUTLOOKS)]
    assert len(ids) == len(set(ids))


def test_keys_partitions_and_times_are_as_documented(deployment: Deployment) -> None:
    """A region has one partition, a forecast has its region as key, and the time of a message is that of the stream."""
    with consumer(deployment, "documented", FORECASTS) as reader:
        for message in read_messages(reader):
            forecast = json.loads(body_of(message))
            assert message.key() == forecast["region"].encode()
            assert message.partition() == partition_of(forecast["region"], TOPICS[FORECASTS]) == forecast["input_partition"]
            assert message.timestamp()[0] == confluent_kafka.TIMESTAMP_CREATE_TIME


def test_the_false_event_s_alert_and_its_retraction_come_once_and_in_order(deployment: Deployment) -> None:
    with consumer(deployment, "alerts", ALERTS) as reader:
        alerts = [json.loads(body_of(message)) for message in read_messages(reader)]
    false = [alert for alert in alerts if alert["events"] == ["false"]]
    assert [(alert["revision"], alert["alert_type"], alert["active"]) for alert in false] == [
        (0, "initial", True),
        (1, "retraction", False),
    ]
    assert false[1]["supersedes"] == f"{false[0]['id']}.0"
    assert "withdrawn" in false[1]["reason"]


def test_a_group_continues_where_its_last_member_stopped(deployment: Deployment) -> None:
    with consumer(deployment, "restarting", FORECASTS) as reader:
        first = [body_of(message) for message in read_messages(reader, most=25)]
    with consumer(deployment, "restarting", FORECASTS) as reader:
        rest = [body_of(message) for message in read_messages(reader)]
    assert len(first) == 25
    assert sorted(first + rest) == sorted(values_in_log(deployment.log, FORECASTS))


def test_an_aborted_record_is_read_only_by_clients_that_read_uncommitted(deployment: Deployment) -> None:
    topic = FORECASTS.replace("quakecast", NAMESPACE, 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": deployment.broker, "transactional.id": "half-done"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"aborted", partition=0)
    producer.flush(PATIENCE_SECONDS)
    producer.abort_transaction()
    for isolation, is_read in (("read_committed", False), ("read_uncommitted", True)):
        with consumer(deployment, isolation, FORECASTS, isolation) as reader:
            assert (b"aborted" in [body_of(message) for message in read_messages(reader)]) is is_read


@pytest.mark.parametrize(("what", "topic"), [("forecasts", FORECASTS), ("alerts", ALERTS), ("outlooks", OUTLOOKS)])
def test_tail_shows_the_records_that_other_clients_read(what: str, topic: str, deployment: Deployment) -> None:
    words = ["tail", what, "--bus", f"kafka://{deployment.broker}/{NAMESPACE}", "--until-end", "--json"]
    ran = CliRunner().invoke(application, words)
    assert ran.exit_code == 0, ran.output
    assert sorted(line.encode() for line in ran.stdout.splitlines()) == sorted(values_in_log(deployment.log, topic))


def redis_cli(deployment: Deployment, *words: str) -> list[str]:
    program = shutil.which("redis-cli")
    if program is None:
        raise MissingPart("redis-cli is missing: apt-get install redis-server")
    ran = subprocess.run([program, "-u", deployment.store, "--raw", *words], capture_output=True, check=True, timeout=PATIENCE_SECONDS)
    return ran.stdout.decode("utf-8", "replace").splitlines()


DOCUMENTED = re.findall(r"^\| `(quakecast:\{2\}:[^`]+)` \| ([a-z ]+) \| (.*) \|$", HANDBOOK, re.MULTILINE)
REDIS_TYPES = {"hash": "hash", "set": "set", "sorted set": "zset"}


def test_the_handbook_names_the_keys() -> None:
    assert {key.split(":")[2] for key, _, _ in DOCUMENTED} >= {"position", "regions", "window", "events", "state"}


@pytest.mark.parametrize(("key", "kind", "holds"), DOCUMENTED, ids=[key for key, _, _ in DOCUMENTED])
def test_a_documented_key_exists_with_its_type_and_fields(key: str, kind: str, holds: str, deployment: Deployment) -> None:
    here = key.replace("{2}", f"{{{PARTITION}}}").replace("turkiye", REGION.id)
    assert redis_cli(deployment, "type", here) == [REDIS_TYPES[kind]]
    if kind == "hash":
        fields, named = set(redis_cli(deployment, "hkeys", here)), set(re.findall(r"`(\w+)`", holds))
        assert fields == named if named else fields, "of hashes with fields for each event or part, none is named"


def test_no_key_is_undocumented(deployment: Deployment) -> None:
    known = {key.split(":")[2] for key, _, _ in DOCUMENTED}
    assert {key.split(":")[2] for key in redis_cli(deployment, "--scan")} == known


def test_an_operator_reads_the_window_and_the_last_forecast(deployment: Deployment) -> None:
    """Run the two commands of docs/operators.md."""
    (forecast,) = redis_cli(deployment, "hget", f"quakecast:{{{PARTITION}}}:state:{REGION.id}", "forecast")
    assert schema_errors(forecast.encode()) == []
    assert forecast.encode() in values_in_log(deployment.log, FORECASTS)
    window = redis_cli(deployment, "zrange", f"quakecast:{{{PARTITION}}}:window:{REGION.id}", "-5", "-1", "withscores")
    ids, times = window[::2], [float(text) for text in window[1::2]]
    assert times == sorted(times)
    for event_id, origin_time in zip(ids, times, strict=True):
        body: dict[str, Any] = json.loads(redis_cli(deployment, "hget", f"quakecast:{{{PARTITION}}}:events:{REGION.id}", event_id)[0])
        assert body["id"] == event_id
        assert abs(float(event("x").time) - origin_time) < 30 * 86_400_000
