"""A broker that asks who one is: options of the URL and of the environment reach every Kafka client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, Outgoing
from ingest.instant import Instant
from ingest.problem import Problem
from tests.support.servers import kafka_broker
from tests.support.waiting import wait_until

USER, PASSWORD = "quakecast", "not-a-real-secret"
OPTIONS = f"security_protocol=SASL_PLAINTEXT&sasl_mechanism=PLAIN&sasl_plain_username={USER}&bootstrap_timeout_ms=4000"


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """URL of a log on a broker with a password, without the password."""
    with kafka_broker(login=(USER, PASSWORD)) as address:
        yield f"kafka://{address}/guarded?{OPTIONS}"


def test_the_password_comes_from_the_environment_and_opens_every_client(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD", PASSWORD)
    log = open_log(guarded)
    log.create_topics()
    producer = log.producer("writer")
    producer.commit([Outgoing(EVENTS, 0, b"key", b"value", Instant(1_000))])
    consumer = log.consumer("reader", EVENTS)
    values: list[bytes] = []

    def poll() -> None:
        batch = consumer.poll(10, 0.1)
        for partition in batch.gained:
            consumer.seek(partition, 0)
        values.extend(record.value for record in batch.records)

    wait_until(lambda: bool(values), "the record", meanwhile=poll)
    assert values == [b"value"]
    assert [record.value for record in log.read(EVENTS, 0, 0, log.ends(EVENTS)[0])] == [b"value"]
    consumer.close()
    producer.close()
    log.close()


def test_a_wrong_password_is_one_clear_line(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD", "wrong")
    with pytest.raises(Problem) as raised:
        open_log(guarded)
    assert "\n" not in str(raised.value)
    assert "wrong" not in str(raised.value)


def test_an_option_that_kafka_does_not_know_is_named(guarded: str) -> None:
    with pytest.raises(Problem, match="sasl_mechanisn"):
        open_log(guarded.replace("sasl_mechanism", "sasl_mechanisn"))
