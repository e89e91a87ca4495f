"""The contract of every log, tested with the embedded one and a real Kafka broker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.structs import MemberState  # type: ignore[import-untyped]

from ingest.bus import kafka_consumer, lock_ingest, open_log
from ingest.bus.kafka_consumer import GroupConsumer
from ingest.bus.log import DEAD_LETTERS, EVENTS, FORECASTS, TOPICS, Consumer, Follower, Log, NotCommitted, Outgoing, Record, RecordRefused
from ingest.instant import Instant
from ingest.problem import Problem
from tests.support.waiting import wait_until

POLL_SECONDS = 10.0
_counter = itertools.count()


@pytest.fixture(params=["sqlite", "kafka"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Log]]:
    """Yield a function that opens the same log each time; the logs are closed afterwards."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/log.db"
    else:
        url = f"kafka://{request.getfixturevalue('kafka')}/contract{next(_counter)}"
    opened: list[Log] = []

    def open_again() -> Log:
        opened.append(open_log(url))
        return opened[-1]

    open_again().create_topics()
    yield open_again
    for log in opened:
        log.close()


def outgoing(value: str, partition: int = 0, topic: str = EVENTS, at: int = 1_000) -> Outgoing:
    return Outgoing(topic, partition, b"key", value.encode(), Instant(at))


def values(records: list[Record] | Iterator[Record]) -> list[str]:
    return [record.value.decode() for record in records]


def read_all(log: Log, topic: str = EVENTS, partition: int = 0, expected: int = 0) -> list[Record]:
    """Wait for as many committed records as are expected, and return all: a commit may be visible only after a moment."""

    def read() -> list[Record]:
        return list(log.read(topic, partition, log.starts(topic)[partition], log.ends(topic)[partition]))

    wait_until(lambda: len(read()) >= expected, lambda: f"{expected} committed records, not {len(read())}")
    return read()


def consume(consumer: Consumer, expected: int) -> list[Record]:
    """Consume from the committed offsets on until as many records as expected have arrived."""
    records: list[Record] = []

    def poll() -> None:
        batch = consumer.poll(100, 0.1)
        for partition in batch.gained:
            consumer.seek(partition, consumer.committed(partition) or 0)
        records.extend(batch.records)

    wait_until(lambda: len(records) >= expected, lambda: f"{expected} records, not {len(records)}", meanwhile=poll)
    return records


def test_records_come_back_in_order_with_key_value_and_time(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("writer")
    producer.commit([outgoing("a", at=5_000), outgoing("b", at=6_000)])
    producer.commit([outgoing("c", at=7_000)])
    records = read_all(log, expected=3)
    assert values(records) == ["a", "b", "c"]
    assert [int(r.time) for r in records] == [5_000, 6_000, 7_000]
    assert records[0].key == b"key"
    assert sorted(r.offset for r in records) == [r.offset for r in records]
    producer.close()


def test_partitions_and_topics_are_separate(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("writer")
    producer.commit([outgoing("a", 0), outgoing("b", 5), outgoing("c", 2, FORECASTS), outgoing("d", 0, DEAD_LETTERS)])
    assert values(read_all(log, EVENTS, 5, 1)) == ["b"]
    assert values(read_all(log, FORECASTS, 2, 1)) == ["c"]
    assert values(read_all(log, DEAD_LETTERS, 0, 1)) == ["d"]
    assert len(log.ends(EVENTS)) == TOPICS[EVENTS]
    producer.close()


def test_written_records_are_there_after_reopening(reopen: Callable[[], Log]) -> None:
    producer = reopen().producer("writer")
    producer.commit([outgoing("a")])
    producer.close()
    assert values(read_all(reopen(), expected=1)) == ["a"]


def test_creating_topics_again_changes_nothing(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("writer")
    producer.commit([outgoing("a")])
    log.create_topics()
    assert values(read_all(log, expected=1)) == ["a"]
    producer.close()


def test_an_offset_is_found_by_time(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("writer")
    producer.commit([outgoing(str(n), at=1_000 * n) for n in range(1, 6)])
    read_all(log, expected=5)
    start = log.offset_at(EVENTS, 0, Instant(2_500))
    assert values(log.read(EVENTS, 0, start, log.ends(EVENTS)[0])) == ["3", "4", "5"]
    assert values(log.read(EVENTS, 0, log.offset_at(EVENTS, 0, Instant(99_000)), log.ends(EVENTS)[0])) == []
    producer.close()


def test_a_consumer_gets_all_partitions_then_every_record_once(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("writer")
    producer.commit([outgoing(f"{p}-{n}", p) for n in range(20) for p in range(6)])
    consumer = log.consumer("forecast", EVENTS)
    gained: set[int] = set()
    records: list[Record] = []

    def poll() -> None:
        batch = consumer.poll(17, 0.1)
        gained.update(batch.gained)
        for partition in batch.gained:
            consumer.seek(partition, consumer.committed(partition) or 0)
        assert not {r.partition for r in batch.records} & batch.gained
        assert len(batch.records) <= 17
        records.extend(batch.records)

    wait_until(lambda: len(records) >= 120, lambda: f"120 records, not {len(records)}", meanwhile=poll)
    assert gained == set(range(6))
    assert sorted(values(records)) == sorted(f"{p}-{n}" for n in range(20) for p in range(6))
    for partition in range(6):
        assert [r.value.decode() for r in records if r.partition == partition] == [f"{partition}-{n}" for n in range(20)]
    consumer.close()
    producer.close()


def test_records_and_offsets_are_committed_as_a_whole(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer, worker = log.producer("writer"), log.producer("worker")
    writer.commit([outgoing("a"), outgoing("b")])
    consumer = log.consumer("forecast", EVENTS)
    records = consume(consumer, 2)
    assert consumer.committed(0) is None
    worker.commit([outgoing("A", topic=FORECASTS)], {0: records[0].offset + 1}, consumer)
    assert consumer.committed(0) == records[0].offset + 1
    assert values(read_all(log, FORECASTS, expected=1)) == ["A"]
    consumer.close()
    again = log.consumer("forecast", EVENTS)
    assert values(consume(again, 1)) == ["b"]
    for closing in (again, writer, worker):
        closing.close()


def test_a_second_producer_of_a_name_ends_the_first(reopen: Callable[[], Log]) -> None:
    log = reopen()
    first = log.producer("ingest")
    first.commit([outgoing("a")])
    second = reopen().producer("ingest")
    with pytest.raises(NotCommitted):
        first.commit([outgoing("b")])
    second.commit([outgoing("c")])
    assert values(read_all(log, expected=2)) == ["a", "c"]
    for closing in (first, second):
        closing.close()


def test_times_far_ahead_of_the_clock_are_written(reopen: Callable[[], Log]) -> None:
    log = reopen()
    producer = log.producer("replay")
    ahead = int(time.time() * 1_000) + 400 * 86_400_000
    producer.commit([outgoing("a", at=ahead)])
    assert [record.time for record in read_all(log, expected=1)] == [ahead]
    producer.close()


def test_each_group_gets_every_record(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer = log.producer("writer")
    writer.commit([outgoing("a"), outgoing("b")])
    consumers = [log.consumer(group, EVENTS) for group in ("one", "two")]
    assert [values(consume(consumer, 2)) for consumer in consumers] == [["a", "b"], ["a", "b"]]
    for consumer in consumers:
        consumer.close()
    writer.close()


def test_seeking_reads_again(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer = log.producer("writer")
    writer.commit([outgoing("a"), outgoing("b")])
    consumer = log.consumer("forecast", EVENTS)
    records = consume(consumer, 2)
    consumer.seek(0, records[1].offset)
    assert values(consume(consumer, 1)) == ["b"]
    for closing in (consumer, writer):
        closing.close()


def follow_to(follower: Follower, expected: int) -> list[Record]:
    """Read until as many records as expected have arrived, and once more for a record too many."""
    records: list[Record] = []
    wait_until(
        lambda: len(records) >= expected,
        lambda: f"{expected} records, not {len(records)}",
        meanwhile=lambda: records.extend(follower.poll(7, 0.1)),
    )
    return records + follower.poll(7, 0.2)


def test_a_follower_reads_partitions_of_several_topics_from_the_given_offsets(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer = log.producer("writer")
    writer.commit([outgoing("a"), outgoing("b"), outgoing("c", 5), outgoing("no", 1)])
    second = read_all(log, expected=2)[1].offset
    read_all(log, partition=5, expected=1)
    follower = log.follow({(EVENTS, 0): second, (EVENTS, 5): 0, (FORECASTS, 2): 0})
    assert sorted(values(follow_to(follower, 2))) == ["b", "c"]
    follower.close()
    writer.close()


def test_a_follower_gets_records_written_while_it_waits_once_and_in_order(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer = log.producer("writer")
    follower = log.follow({(EVENTS, partition): start for partition, start in log.starts(EVENTS).items()} | {(FORECASTS, 0): 0})
    assert follower.poll(10, 0.05) == []
    expected = []
    for n in range(30):
        writer.commit([outgoing(f"{n}-{p}", p) for p in range(6)] + [outgoing(f"{n}-f", topic=FORECASTS)])
        expected += [f"{n}-{p}" for p in range(6)] + [f"{n}-f"]
    records = follow_to(follower, len(expected))
    assert sorted(values(records)) == sorted(expected)
    for place in {(record.topic, record.partition) for record in records}:
        offsets = [record.offset for record in records if (record.topic, record.partition) == place]
        assert offsets == sorted(offsets)
    follower.close()
    writer.close()


def test_a_write_wakes_a_waiting_follower(reopen: Callable[[], Log]) -> None:
    log = reopen()
    writer, follower = log.producer("writer"), log.follow({(EVENTS, 0): 0})
    follower.poll(10, 0.05)
    written: list[float] = []

    def write() -> None:
        written.append(time.monotonic())
        writer.commit([outgoing("a")])

    waits = []
    for _ in range(9):
        timer = threading.Timer(0.05, write)
        timer.start()
        while not follower.poll(10, POLL_SECONDS):  # blocks so long unless a write wakes it
            pass
        waits.append(time.monotonic() - written[-1])
        timer.join()
    assert sorted(waits)[len(waits) // 2] < 0.1 * POLL_SECONDS
    follower.close()
    writer.close()


def test_a_follower_reads_no_uncommitted_record(reopen: Callable[[], Log]) -> None:
    log = reopen()
    first, follower = log.producer("ingest"), log.follow({(EVENTS, 0): 0})
    second = reopen().producer("ingest")
    with pytest.raises(NotCommitted):
        first.commit([outgoing("refused")])
    second.commit([outgoing("a")])
    assert values(follow_to(follower, 1)) == ["a"]
    for closing in (follower, first, second):
        closing.close()


def test_an_embedded_log_writes_nothing_when_saving_the_state_fails(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    producer = log.producer("worker")

    def fail() -> None:
        raise RuntimeError("the state could not be saved")

    with pytest.raises(RuntimeError):
        producer.commit([outgoing("a")], within=fail)
    assert read_all(log) == []
    log.close()


def test_a_second_embedded_consumer_of_a_group_is_refused_with_the_reason(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    first = log.consumer("forecast", EVENTS)
    with pytest.raises(Problem, match="is already the forecast of"):
        log.consumer("forecast", EVENTS)
    first.close()
    log.consumer("forecast", EVENTS).close()
    log.close()


def test_two_kafka_workers_share_the_partitions_and_a_former_owner_cannot_commit(kafka: str) -> None:
    log = open_log(f"kafka://{kafka}/contract{next(_counter)}")
    log.create_topics()
    writer, late = log.producer("writer"), log.producer("late")
    first = log.consumer("forecast", EVENTS)
    writer.commit([outgoing(f"{p}", p) for p in range(6)])
    records = consume(first, 6)
    membership = first.membership  # type: ignore[attr-defined]
    second: Any = log.consumer("forecast", EVENTS)
    owned: dict[int, set[int]] = {1: set(range(6)), 2: set()}

    def poll() -> None:
        for number, consumer in ((1, first), (2, second)):
            batch = consumer.poll(10, 0.02)
            owned[number] = (owned[number] | batch.gained) - batch.lost

    wait_until(lambda: len(owned[1]) == len(owned[2]) == 3, lambda: f"three partitions each, not {owned}", meanwhile=poll)
    assert not owned[1] & owned[2]
    first.membership = membership  # type: ignore[attr-defined]
    with pytest.raises(NotCommitted):
        late.commit([outgoing("stale", topic=FORECASTS)], {records[0].partition: records[0].offset + 1}, first)
    assert read_all(log, FORECASTS) == []
    for closing in (first, second, writer, late):
        closing.close()
    log.close()


def test_a_worker_that_the_group_has_dropped_cannot_commit(kafka: str) -> None:
    """Its client then has the membership of one that never joined, from which the broker itself takes any offsets."""
    log = open_log(f"kafka://{kafka}/contract{next(_counter)}")
    log.create_topics()
    member, dropped = log.consumer("forecast", EVENTS), log.consumer("forecast", EVENTS)
    log.producer("writer").commit([outgoing("a")])
    (record,) = consume(member, 1)
    dropped.membership = dropped._consumer.group_metadata()  # type: ignore[attr-defined]
    late = log.producer("late")
    with pytest.raises(NotCommitted, match="dropped"):
        late.commit([outgoing("stale", topic=FORECASTS)], {record.partition: record.offset + 1}, dropped)
    assert read_all(log, FORECASTS) == []
    assert member.committed(record.partition) is None
    for closing in (member, dropped, late):
        closing.close()
    log.close()


def test_a_worker_whose_client_is_stuck_joins_its_group_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_consumer, "JOINS_WITHIN_SECONDS", 0.5)
    log = open_log(f"kafka://{kafka}/contract{next(_counter)}")
    log.create_topics()
    log.producer("writer").commit([outgoing("a")])
    stuck = log.consumer("forecast", EVENTS)
    assert isinstance(stuck, GroupConsumer)
    consume(stuck, 1)
    lost: set[int] = set()

    def poll_while_stuck() -> None:
        stuck._consumer._coordinator.state = MemberState.REBALANCING  # nothing is under way that could end it
        lost.update(stuck.poll(10, 0.1).lost)

    wait_until(lambda: bool(lost), "lost partitions", meanwhile=poll_while_stuck)
    assert lost == set(range(TOPICS[EVENTS]))
    assert [record.value for record in consume(stuck, 1)] == [b"a"]
    stuck.close()
    log.close()


def test_a_record_that_the_broker_refuses_undoes_its_commit_and_is_named(kafka: str) -> None:
    log = open_log(f"kafka://{kafka}/contract{next(_counter)}")
    log.create_topics()
    consumer = log.consumer("forecast", EVENTS)
    log.producer("writer").commit([outgoing("a")])
    (first,) = consume(consumer, 1)
    too_large = "x" * 3_000_000
    for number in range(3):  # the remaining records of such a commit must not be committed, whichever batch they are in
        producer = log.producer("writer")
        with pytest.raises(RecordRefused, match=r"key 'key', 3000000 bytes and the time 1970-01-01T00:00:01\.000Z") as refused:
            producer.commit([outgoing("b", number), outgoing(too_large, 1), outgoing("c", 2)], {0: first.offset + 1}, consumer)
        producer.close()
        assert "max.message.bytes" in refused.value.remedy
    assert consumer.committed(0) is None
    log.producer("writer").commit([outgoing("d", 2)])
    assert values(read_all(log, expected=1)) == ["a"]
    assert values(read_all(log, partition=2, expected=1)) == ["d"]
    assert values(read_all(log, partition=1)) == []
    consumer.close()
    log.close()


def test_a_refused_record_is_named_although_it_fails_while_others_are_still_sent(kafka: str) -> None:
    log = open_log(f"kafka://{kafka}/contract{next(_counter)}")
    log.create_topics()
    producer = log.producer("writer")
    many = [outgoing(str(n), n % 6) for n in range(5_000)]
    with pytest.raises(RecordRefused, match="3000000 bytes"):
        producer.commit([outgoing("x" * 3_000_000), *many])
    producer.close()
    log.producer("writer").commit([outgoing("a")])
    assert values(read_all(log, expected=1)) == ["a"]
    log.close()


def test_an_unreachable_broker_is_named_in_one_line() -> None:
    with pytest.raises(Problem, match=r"no Kafka broker answers at 127\.0\.0\.1:9"):
        open_log("kafka://127.0.0.1:9?bootstrap_timeout_ms=500")


def test_a_second_ingest_on_an_embedded_log_is_refused(tmp_path: Path) -> None:
    log, other = open_log(f"sqlite:///{tmp_path}/log.db"), open_log(f"sqlite:///{tmp_path}/log.db")
    lock = lock_ingest(log)
    assert lock is not None
    with pytest.raises(Problem, match="is already the ingest of"):
        lock_ingest(other)
    lock.close()
    again = lock_ingest(other)
    assert again is not None
    again.close()


@pytest.mark.parametrize("replacement", [b"", None])
def test_a_log_whose_file_is_gone_is_not_written_to(tmp_path: Path, replacement: bytes | None) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    producer = log.producer("writer")
    producer.commit([outgoing("a")])
    (tmp_path / "log.db").rename(tmp_path / "moved.db")
    if replacement is not None:
        (tmp_path / "log.db").write_bytes(replacement)
    with pytest.raises(Problem, match="was moved, deleted or replaced while it was in use"):
        producer.commit([outgoing("b")])
