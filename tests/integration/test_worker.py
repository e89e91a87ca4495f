"""The worker over real logs and stores: nothing is lost, nothing is written twice, and the bytes are the same after every interruption."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import redis as redis_client
from kafka import KafkaAdminClient  # type: ignore[import-untyped]

from ingest.bus import SqliteLog, open_log
from ingest.bus.log import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, TOPICS, Log, Outgoing, Record
from ingest.event import Heartbeat, InputRecord, Outage, Promotion, decode_dead_letter, encode
from ingest.instant import Instant
from ingest.publish import Publisher
from ingest.region import partition_of
from stream.alerts.rules import Rule
from stream.core.position import Position, RegionChange
from stream.partition import Partition
from stream.records.alert import Alert, decode_alert
from stream.records.forecast import Forecast, decode_forecast
from stream.store import open_store
from stream.store.protocol import Save, SavedPartition, Store, WriteResult
from stream.worker import Worker
from tests.support.servers import new_database
from tests.support.simulated import REGION, Poll, SumForecaster, at, beat, change, event, records_by_partition, simulated_polls, table
from tests.support.waiting import consumed_by, wait_until, work_until

TABLE = table()
_numbers = itertools.count(1)
HOME = partition_of(REGION.id, TOPICS[EVENTS])
"""The partition of the region `test`."""


class Killed(Exception):
    """The worker's process ends here."""


class DyingStore:
    """A store whose process is killed once, right before a save: the commit is done, the state is not kept."""

    def __init__(self, store: Store, saves_before: int) -> None:
        self._store, self._left = store, saves_before

    def save(self, saves: Sequence[Save]) -> list[WriteResult]:
        for one in saves:
            self._left -= 1
            if self._left < 0:
                raise Killed
            self._store.save([one])
        return [WriteResult.SAVED] * len(saves)

    def load(self, partition: int) -> SavedPartition | None:
        return self._store.load(partition)

    def replace(self, partition: int, position: Position, everything: dict[str, RegionChange]) -> WriteResult:
        return self._store.replace(partition, position, everything)

    def forecasts(self) -> dict[str, bytes]:
        return self._store.forecasts()

    def positions(self) -> dict[int, Position]:
        return self._store.positions()

    def check_writable(self) -> None:
        self._store.check_writable()

    def drop(self, partition: int) -> None:
        self._store.drop(partition)

    def shares_transaction(self, log: Log) -> bool:
        return self._store.shares_transaction(log)

    def close(self) -> None:
        self._store.close()


class Deployment:
    """A log and a store, and workers that are started and stopped on them."""

    def __init__(self, log_url: str, store_url: str) -> None:
        self.log_url, self.store_url = log_url, store_url
        self.log = open_log(log_url)
        self.log.create_topics()
        self.store = open_store(store_url, self.log)
        self.reported: list[bytes] = []
        """The forecasts passed to `on_forecast`."""
        self.published = dict.fromkeys(range(TOPICS[EVENTS]), -1)
        """By partition, the sequence of the last record published."""
        self._running: list[Worker] = []

    def publish(self, polls: list[Poll]) -> None:
        """Publish some turns of a feed as ingest does."""
        records: list[InputRecord] = []
        for changes, heartbeat in polls:
            records += [*changes, heartbeat]
        publisher = Publisher(self.log, TABLE)
        publisher.publish(records)
        self.published = publisher.sequences
        publisher.close()

    def worker(self, batch_size: int = 50, store: Store | None = None, forecaster: SumForecaster | None = None) -> Worker:
        worker = Worker(
            self.log, store or self.store, TABLE, forecaster or SumForecaster(), rules=RULES, batch_size=batch_size,
            on_forecast=self.reported.append,
        )  # fmt: skip
        self._running.append(worker)
        return worker

    def stop(self, worker: Worker) -> None:
        worker.close()
        self._running.remove(worker)

    def work(self, worker: Worker) -> None:
        """Take turns until every published record is consumed."""
        work_until(worker, lambda: consumed_by(worker), self.published)

    def run(self, batch_size: int = 50, **options: Any) -> None:
        worker = self.worker(batch_size, **options)
        self.work(worker)
        self.stop(worker)

    def records(self, topic: str, partition: int) -> list[Record]:
        return list(self.log.read(topic, partition, self.log.starts(topic)[partition], self.log.ends(topic)[partition]))

    def forecasts(self) -> dict[int, list[bytes]]:
        return {partition: [record.value for record in self.records(FORECASTS, partition)] for partition in range(TOPICS[FORECASTS])}

    def issued(self) -> dict[int, tuple[list[bytes], list[bytes]]]:
        """Return forecasts and alerts by partition."""
        forecasts = self.forecasts()
        return {number: (forecasts[number], [record.value for record in self.records(ALERTS, number)]) for number in forecasts}

    def close(self) -> None:
        for worker in list(self._running):
            self.stop(worker)
        self.store.close()
        self.log.close()


@pytest.fixture(params=["embedded", "embedded, store apart", "kafka and redis"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    number = next(_numbers)
    if request.param == "kafka and redis":
        broker, store_url = request.getfixturevalue("kafka"), new_database(request.getfixturevalue("redis"))
        opened = Deployment(f"kafka://{broker}/worker{number}", store_url)
    else:
        apart = "store.db" if "apart" in request.param else "log.db"
        opened = Deployment(f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/{apart}")
    yield opened
    opened.close()


RULES = (
    Rule("seen", "magnitude", at_least=4.0, release=3.8, minimum_interval_minutes=0.0),
    Rule("likely", "probability", magnitude=5.0, within="1d", at_least=0.02, release=0.015, change=1.2),
)
POLLS = simulated_polls(3, 40, 3.0)
HALF = len(POLLS) // 2


def core(
    polls: list[Poll], number: int, forecaster: SumForecaster | None = None, kind: type[Forecast] | type[Alert] = Forecast
) -> tuple[Partition, list[bytes]]:
    """Return one partition of the core alone after those polls, and the forecasts or alerts that it issued."""
    partition = Partition(number, TABLE, forecaster or SumForecaster(), rules=RULES)
    issued = [item for record in records_by_partition(polls)[number] for item in partition.take(record, record.sequence)]
    return partition, [body for one, body in issued if isinstance(one, kind)]


def expected(polls: list[Poll] = POLLS) -> dict[int, list[bytes]]:
    """Return the forecasts that the core alone issues, by partition."""
    return {number: core(polls, number)[1] for number in range(TOPICS[EVENTS])}


def expected_with_alerts(polls: list[Poll] = POLLS) -> dict[int, tuple[list[bytes], list[bytes]]]:
    """Return the forecasts and alerts that the core alone issues, by partition."""
    return {number: (forecasts, core(polls, number, kind=Alert)[1]) for number, forecasts in expected(polls).items()}


def test_the_sequence_leads_to_alerts_of_every_kind_of_revision() -> None:
    types = {decode_alert(body).alert_type for _, alerts in expected_with_alerts().values() for body in alerts}
    assert types == {"initial", "update", "retraction"}


def test_every_record_that_leads_to_a_forecast_has_exactly_one(deployment: Deployment) -> None:
    deployment.publish(POLLS)
    deployment.run()
    assert deployment.issued() == expected_with_alerts()
    forecasts = [decode_forecast(body) for bodies in deployment.forecasts().values() for body in bodies]
    assert len(forecasts) > 60
    assert Counter(forecast.id for forecast in forecasts).most_common(1)[0][1] == 1
    assert sorted(deployment.reported) == sorted(body for bodies in expected().values() for body in bodies)


def test_forecasts_are_in_the_partition_of_their_input_with_their_region_as_key(deployment: Deployment) -> None:
    deployment.publish(POLLS[:10])
    deployment.run()
    records = deployment.records(FORECASTS, HOME)
    assert records
    for record in records:
        forecast = decode_forecast(record.value)
        assert (record.key.decode(), record.partition, record.time) == (forecast.region, forecast.input_partition, forecast.issued_at)


@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_the_size_of_batches_changes_no_byte(deployment: Deployment, batch_size: int) -> None:
    deployment.publish(POLLS[:30])
    deployment.run(batch_size)
    assert deployment.issued() == expected_with_alerts(POLLS[:30])


def test_the_state_is_saved_with_its_position(deployment: Deployment) -> None:
    deployment.publish(POLLS)
    deployment.run()
    check_state(deployment)
    assert deployment.store.forecasts()[REGION.id] == expected()[HOME][-1]
    assert len(deployment.store.positions()) == TOPICS[EVENTS]


def check_state(deployment: Deployment) -> None:
    """Check that the saved state of the region `test` is the state of the core alone after all polls."""
    partition, forecasts = core(POLLS, HOME)
    state, saved = partition.state(REGION.id), deployment.store.load(HOME)
    assert saved is not None
    assert saved.position[1:] == partition.position[1:]
    region = saved.regions[REGION.id]
    assert (region.events, region.due_at, region.forecast) == (state.window.events, state.due_at, forecasts[-1])
    assert (region.memory.base, region.memory.head) == (state.memory.base, state.memory.head)
    assert region.scoring == state.scoring
    assert region.scoring.total.events > 5


def test_a_new_worker_continues_where_the_old_one_stopped(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    deployment.run()
    deployment.publish(POLLS[HALF:])
    forecaster = SumForecaster()
    deployment.run(forecaster=forecaster)
    assert deployment.issued() == expected_with_alerts()
    assert len(deployment.reported) == sum(map(len, expected().values()))
    check_state(deployment)
    from_the_beginning = SumForecaster()
    for number in range(TOPICS[EVENTS]):
        core(POLLS, number, from_the_beginning)
    assert len(forecaster.observed) < len(from_the_beginning.observed)


def test_a_worker_without_new_records_writes_nothing(deployment: Deployment) -> None:
    deployment.publish(POLLS[:10])
    deployment.run()
    before = deployment.forecasts()
    deployment.run()
    assert deployment.forecasts() == before


@pytest.mark.parametrize("saves_before", [0, 1, 5, 9])
def test_a_worker_killed_between_commit_and_save_is_followed_by_one_that_repeats_and_misses_nothing(
    deployment: Deployment, saves_before: int
) -> None:
    deployment.publish(POLLS)
    killed = deployment.worker(20, DyingStore(deployment.store, saves_before))
    with pytest.raises(Killed):
        deployment.work(killed)
    deployment.stop(killed)
    deployment.run(20)
    assert deployment.issued() == expected_with_alerts()


def test_a_worker_killed_again_and_again_ends_with_the_same_state(deployment: Deployment) -> None:
    deployment.publish(POLLS)
    for saves_before in (3, 0, 8):
        killed = deployment.worker(15, DyingStore(deployment.store, saves_before))
        with pytest.raises(Killed):
            deployment.work(killed)
        deployment.stop(killed)
    deployment.run(15)
    assert deployment.issued() == expected_with_alerts()
    check_state(deployment)


def empty(deployment: Deployment) -> None:
    """Delete all that the store holds."""
    if deployment.store_url.startswith("redis"):
        with redis_client.Redis.from_url(deployment.store_url) as client:
            client.flushdb()
        return
    for name in ("positions", "regions", "window_events"):
        deployment.store._database.connection.execute(f"DELETE FROM {name}")  # type: ignore[attr-defined]


def contents(deployment: Deployment) -> dict[int, SavedPartition | None]:
    return {number: deployment.store.load(number) for number in range(TOPICS[EVENTS])}


def test_an_emptied_store_is_rebuilt_silently_with_the_same_bytes(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    deployment.run()
    before, reported = heads(contents(deployment)), list(deployment.reported)
    empty(deployment)
    deployment.run()
    assert heads(contents(deployment)) == before
    assert deployment.reported == reported
    deployment.publish(POLLS[HALF:])
    deployment.run()
    assert deployment.issued() == expected_with_alerts()


def heads(saved: dict[int, SavedPartition | None]) -> dict[int, Any]:
    """Return the contents without the checkpoints, whose positions depend on the order in which records arrived."""
    found: dict[int, Any] = {}
    for number, partition in saved.items():
        regions = partition.regions if partition else {}
        states = {name: (r.events, r.memory.base, r.memory.head, r.due_at, r.forecast, r.scoring) for name, r in regions.items()}
        found[number] = (partition and partition.position, states)
    return found


def test_a_store_emptied_under_a_running_worker_is_written_anew(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    worker = deployment.worker()
    deployment.work(worker)
    empty(deployment)
    deployment.publish(POLLS[HALF:])
    deployment.work(worker)
    deployment.stop(worker)
    assert deployment.issued() == expected_with_alerts()
    after = Poll([change(event("after", 300))], beat(300))
    deployment.publish([after])
    deployment.run()
    assert deployment.issued() == expected_with_alerts([*POLLS, after])


def test_a_damaged_store_is_rebuilt_though_the_stream_is_quiet(deployment: Deployment) -> None:
    """The rebuilt state has the position of the damaged one: nothing that is left of the damaged one may be used."""
    deployment.publish(POLLS[:HALF])
    deployment.run()
    if deployment.store_url.startswith("redis"):
        with redis_client.Redis.from_url(deployment.store_url) as client:
            client.delete(f"quakecast:{{{HOME}}}:window:{REGION.id}")
    else:
        deployment.store._database.connection.execute("DELETE FROM window_events WHERE time > 0")  # type: ignore[attr-defined]
    deployment.run()
    deployment.publish(POLLS[HALF:])
    deployment.run()
    assert deployment.issued() == expected_with_alerts()


def test_another_model_starts_from_the_beginning_and_repeats_nothing(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    deployment.run()
    deployment.publish(POLLS[HALF:])
    deployment.run(forecaster=SumForecaster("sum-2"))
    first, second = expected(POLLS[:HALF]), expected()
    for number, bodies in deployment.forecasts().items():
        until = len(first[number])
        assert bodies[:until] == first[number]
        assert bodies[until:] == [body.replace(b"sum-1", b"sum-2") for body in second[number][until:]]


def test_an_unreadable_record_becomes_a_dead_letter_and_the_worker_continues(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    somebody = deployment.log.producer("somebody")
    unknown = change(event("x"), region="atlantis", sequence=len(records_by_partition(POLLS[:HALF])[HOME]))
    unreadable = [b"not a record", b'{"$schema":"quakecast.change/9"}', b"", encode(unknown)]
    somebody.commit([Outgoing(EVENTS, HOME, b"?", value, at(999)) for value in unreadable])
    somebody.close()
    deployment.published[HOME] += 1
    deployment.run(7)
    letters = [decode_dead_letter(record.value) for record in deployment.records(DEAD_LETTERS, 0)]
    assert [letter.reason for letter in letters] == ["record_unreadable"] * 3 + ["region_unknown"]
    assert letters[0].payload == "not a record"
    assert letters[0].source.startswith(f"{EVENTS}/{HOME}/")
    deployment.publish(POLLS[HALF:])
    deployment.run(7)
    assert len(deployment.records(DEAD_LETTERS, 0)) == 4
    ids = [decode_forecast(body).id for body in deployment.forecasts()[HOME]]
    assert len(ids) == len(set(ids)) == len(expected()[HOME])


def lose_offsets(deployment: Deployment) -> None:
    """Make the log forget how far the group has read, as a broker does when all workers are away for a week."""
    if isinstance(deployment.log, SqliteLog):
        with deployment.log.database.transaction() as connection:
            connection.execute("DELETE FROM consumed")
        return
    parts = urlsplit(deployment.log_url)
    admin = KafkaAdminClient(bootstrap_servers=parts.netloc)
    admin.delete_groups([f"{parts.path.strip('/')}-forecast"])
    admin.close()


@pytest.mark.parametrize("store_is_lost", [False, True])
def test_what_stands_in_the_log_is_not_repeated_when_the_group_s_offsets_are_lost(deployment: Deployment, store_is_lost: bool) -> None:
    deployment.publish(POLLS[:HALF])
    deployment.run()
    before = deployment.issued()
    lose_offsets(deployment)
    if store_is_lost:
        empty(deployment)
    deployment.run()
    assert deployment.issued() == before
    deployment.publish(POLLS[HALF:])
    deployment.run()
    assert deployment.issued() == expected_with_alerts()


def test_other_records_in_the_alerts_topic_hold_no_forecast_back(deployment: Deployment) -> None:
    deployment.publish(POLLS)
    somebody = deployment.log.producer("somebody")
    copies = [
        Outgoing(ALERTS, number, b"?", record.value, record.time)
        for number in range(TOPICS[EVENTS])
        for record in deployment.records(EVENTS, number)
    ]
    somebody.commit(copies)
    somebody.close()
    deployment.run()
    assert deployment.forecasts() == expected()


def test_records_that_ingest_cannot_have_written_are_set_aside_and_change_nothing_else(deployment: Deployment) -> None:
    deployment.publish(POLLS[:HALF])
    (last,) = records_by_partition(POLLS[:HALF])[HOME][-1:]
    following = last.sequence + 1
    foreign = [
        msgspec.structs.replace(beat(0.0), sequence=-5),
        msgspec.structs.replace(beat(0.0), sequence=2**62),
        msgspec.structs.replace(beat(0.0), sequence=following + 10**9, observed_at=last.observed_at),
        msgspec.structs.replace(beat(24.0 * 365 * 74), sequence=following),
        Heartbeat(following, Instant.parse("9999-01-01"), "somebody"),
        Outage(following, last.observed_at, "somebody", 1e12, ""),
        msgspec.structs.replace(change(event("x", magnitude=400.0)), sequence=following),
        msgspec.structs.replace(change(event("x", latitude=95.0)), sequence=following),
        msgspec.structs.replace(change(event("x" * 100_000)), sequence=following),
        Promotion(last.observed_at, {"lstm": "x" * 5_000}),
    ]
    somebody = deployment.log.producer("somebody")
    somebody.commit([Outgoing(EVENTS, HOME, b"?", encode(record), at(999)) for record in foreign])
    somebody.commit([Outgoing(DEAD_LETTERS, 0, b"?", b"not a dead letter", at(999))])
    somebody.close()
    deployment.publish(POLLS[HALF:])
    deployment.run(7)
    assert deployment.issued() == expected_with_alerts()
    letters = [record.value for record in deployment.records(DEAD_LETTERS, 0)][1:]
    assert [decode_dead_letter(letter).reason for letter in letters] == ["record_implausible"] * len(foreign)


def test_a_dead_letter_is_not_repeated_when_the_state_is_rebuilt(deployment: Deployment) -> None:
    somebody = deployment.log.producer("somebody")
    somebody.commit([Outgoing(EVENTS, 0, b"?", b"not a record", at(0))])
    somebody.close()
    deployment.publish(POLLS[:1])
    deployment.run()
    empty(deployment)
    deployment.run()
    assert len(deployment.records(DEAD_LETTERS, 0)) == 1


def test_two_workers_share_the_partitions_and_one_takes_over_from_the_other(kafka: str, redis: str) -> None:
    deployment = Deployment(f"kafka://{kafka}/worker{next(_numbers)}", new_database(redis))
    one = Worker(deployment.log, deployment.store, TABLE, SumForecaster(), rules=RULES, name="one", batch_size=20)
    deployment.publish(POLLS[:HALF])

    def issued() -> int:
        return sum(map(len, deployment.forecasts().values()))

    wait_until(lambda: len(one.positions()) == 6 and issued() > 0, "the first worker forecasts", meanwhile=lambda: one.turn(0.1))
    other = Worker(deployment.log, deployment.store, TABLE, SumForecaster(), rules=RULES, name="other", batch_size=20)

    def turn_both() -> None:
        one.turn(0.05)
        other.turn(0.05)

    wait_until(
        lambda: len(one.positions()) == len(other.positions()) == 3,
        lambda: f"three partitions each: {one.positions()} {other.positions()}",
        meanwhile=turn_both,
    )
    before = issued()
    deployment.publish(POLLS[HALF:])
    wait_until(lambda: issued() > before, "some of the new records are forecast", meanwhile=turn_both)
    one.close()
    deployment.work(other)
    other.close()
    assert deployment.issued() == expected_with_alerts()
    deployment.close()
