"""A broker that asks for a password: options of the URL and of the environment reach every Kafka client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest.bus import open_log
from ingest.bus.log import EVENTS, Outgoing
from ingest.instant import Instant
from ingest.problem import Problem
from tests.support.servers import kafka_broker
from tests.support.waiting import wait_until

USER, PASSWORD = "quakecast", "004217"  # digits, which are not a number
OPTIONS = f"security_protocol=SASL_PLAINTEXT&sasl_mechanism=PLAIN&sasl_plain_username={USER}&bootstrap_timeout_ms=4000"


@pytest.fixture(scope="module")
def secured_log() -> Iterator[str]:
    """Yield the URL of a log on a broker with a password; the URL does not contain it."""
    with kafka_broker(login=(USER, PASSWORD)) as address:
        yield f"kafka://{address}/guarded?{OPTIONS}"


def test_every_client_takes_the_password_from_the_environment(secured_log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD", PASSWORD)
    log = open_log(secured_log)
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


def test_a_wrong_password_is_reported_in_one_line_without_it(secured_log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUAKECAST_KAFKA_SASL_PLAIN_PASSWORD", "wrong")
    with pytest.raises(Problem) as raised:
        open_log(secured_log)
    assert "\n" not in str(raised.value)
    assert "wrong" not in str(raised.value)


def test_an_unknown_option_of_kafka_is_named(secured_log: str) -> None:
    with pytest.raises(Problem, match="sasl_mechanisn"):
        open_log(secured_log.replace("sasl_mechanism", "sasl_mechanisn"))
