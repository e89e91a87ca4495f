"""The contract of a log's commits under any sequence of commits, refusals, takeovers and restarts, beside lists; embedded and on Kafka."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from ingest.bus import open_log
from ingest.bus.log import DEAD_LETTERS, EVENTS, FORECASTS, Consumer, Follower, Log, NotCommitted, Outgoing, Producer, Record, RecordRefused
from ingest.instant import Instant
from ingest.problem import Problem
from tests.support.waiting import wait_until

PLACES = st.sampled_from([(EVENTS, 0), (EVENTS, 4), (FORECASTS, 4), (DEAD_LETTERS, 0)])
BATCHES = st.lists(PLACES, min_size=1, max_size=6)
NAMES = st.sampled_from(["ingest", "worker"])
TOO_LARGE = 3_000_000
GROUP = "forecast"
Place = tuple[str, int]


class LogMachine(RuleBasedStateMachine):
    """Two producers, each of which another of its name may replace; a group's consumer that comes and goes; a follower.

    Args:
        open_new: opens the log, which is empty at first.
        refuses_large: whether the log refuses records that are too large.
    """

    def __init__(self, open_new: Callable[[], Log], refuses_large: bool) -> None:
        super().__init__()
        self.open_new, self.refuses_large = open_new, refuses_large
        self.written: dict[Place, list[bytes]] = defaultdict(list)
        self.numbers = itertools.count()
        self.producers: dict[str, Producer] = {}
        self.fenced: list[Producer] = []
        self.consumer: Consumer | None = None
        self.committed: dict[int, int] = {}
        self.followed: dict[Place, list[bytes]] = defaultdict(list)

    @initialize()
    def start(self) -> None:
        self.log = self.open_new()
        self.log.create_topics()
        self.follower: Follower = self.log.follow({(EVENTS, 0): 0, (FORECASTS, 4): 0})

    @rule()
    def restart(self) -> None:
        """Close everything, as a process that ends; open it again."""
        self._leave()
        for producer in self.producers.values():
            producer.close()
        self.producers, self.fenced = {}, []
        self.log.close()
        self.log = self.open_new()

    @rule(name=NAMES)
    def take_over(self, name: str) -> None:
        """Start a second producer of a name."""
        if name in self.producers:
            self.fenced.append(self.producers[name])
        self.producers[name] = self.log.producer(name)

    @rule(name=NAMES, places=BATCHES)
    def commit(self, name: str, places: list[Place]) -> None:
        self._producer(name).commit(self._note(self._batch(places)))

    @precondition(lambda self: self.fenced)
    @rule(places=BATCHES)
    def commit_by_a_former_producer(self, places: list[Place]) -> None:
        with pytest.raises(NotCommitted):
            self.fenced.pop().commit(self._batch(places))

    @precondition(lambda self: self.refuses_large)
    @rule(name=NAMES, places=BATCHES, at=st.integers(0, 5))
    def commit_with_a_record_that_is_too_large(self, name: str, places: list[Place], at: int) -> None:
        batch = self._batch(places)
        batch[at % len(batch)] = batch[at % len(batch)]._replace(value=b"x" * TOO_LARGE)
        with pytest.raises(RecordRefused):
            self._producer(name).commit(batch)
        self.producers.pop(name).close()

    @precondition(lambda self: not self.refuses_large)
    @rule(name=NAMES, places=BATCHES)
    def commit_whose_state_cannot_be_saved(self, name: str, places: list[Place]) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self._producer(name).commit(self._batch(places), within=fail)

    @precondition(lambda self: self.written[EVENTS, 4])
    @rule(places=BATCHES, most=st.integers(1, 9))
    def consume(self, places: list[Place], most: int) -> None:
        """Read as a worker does, from the committed offset on; commit outputs with the offset after what was read."""
        consumer = self._join()
        records: list[Record] = []
        start = self.committed.get(4, 0)
        left = [one.value for one in self._read((EVENTS, 4)) if one.offset >= start]
        consumer.seek(4, start)

        def poll() -> None:
            records.extend(one for one in consumer.poll(most, 0.1).records if one.partition == 4)

        if not left:
            return
        wait_until(lambda: bool(records), "a record of the partition", meanwhile=poll)
        values = [one.value for one in records]
        assert values == left[: len(values)]
        offset = records[-1].offset + 1
        self._producer("worker").commit(self._note(self._batch(places)), {4: offset}, consumer)
        self.committed[4] = offset
        assert consumer.committed(4) == offset

    @rule()
    def leave(self) -> None:
        self._leave()

    @precondition(lambda self: self.consumer and not self.refuses_large)
    @rule()
    def join_twice(self) -> None:
        with pytest.raises(Problem):
            self.log.consumer(GROUP, EVENTS)

    @rule()
    def follow(self) -> None:
        """Read what was committed since the last time."""
        expected = sum(len(self.written[place]) for place in ((EVENTS, 0), (FORECASTS, 4)))

        def poll() -> None:
            for record in self.follower.poll(4, 0.05):
                self.followed[record.topic, record.partition].append(record.value)

        wait_until(lambda: sum(map(len, self.followed.values())) >= expected, "the committed records", meanwhile=poll)
        self._compare_followed()

    @rule(place=PLACES)
    def read(self, place: Place) -> None:
        assert [record.value for record in self._read(place)] == self.written[place]

    def _read(self, place: Place) -> list[Record]:
        """Read a partition; a commit may be visible only after a moment."""
        topic, partition = place

        def records() -> list[Record]:
            return list(self.log.read(topic, partition, self.log.starts(topic)[partition], self.log.ends(topic)[partition]))

        wait_until(lambda: len(records()) >= len(self.written[place]), lambda: f"{len(self.written[place])} records of {place}")
        return records()

    def _compare_followed(self) -> None:
        for place, values in self.followed.items():
            assert values == self.written[place]

    def _batch(self, places: list[Place]) -> list[Outgoing]:
        return [Outgoing(topic, partition, b"key", b"%d" % next(self.numbers), Instant(1_000)) for topic, partition in places]

    def _note(self, batch: list[Outgoing]) -> list[Outgoing]:
        """Note records whose commit must succeed: what raises fails the test."""
        for one in batch:
            self.written[one.topic, one.partition].append(one.value)
        return batch

    def _producer(self, name: str) -> Producer:
        if name not in self.producers:
            self.producers[name] = self.log.producer(name)
        return self.producers[name]

    def _join(self) -> Consumer:
        """Return a consumer that has all partitions."""
        if self.consumer is None:
            consumer = self.consumer = self.log.consumer(GROUP, EVENTS)
            owned: set[int] = set()
            wait_until(lambda: 4 in owned, "the assignment", meanwhile=lambda: owned.update(consumer.poll(1, 0.1).gained))
            assert (consumer.committed(4) or 0) == self.committed.get(4, 0)
        return self.consumer

    def _leave(self) -> None:
        if self.consumer is not None:
            self.consumer.close()
            self.consumer = None

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        for place in list(self.written):
            self.read(place)
        self.follow()
        self.follower.close()
        self._leave()
        for producer in [*self.producers.values(), *self.fenced]:
            producer.close()
        self.log.close()


def run(open_url: Callable[[int], str], refuses_large: bool, examples: int, steps: int) -> None:
    """Run the machine on new logs, which `open_url` numbers. A failing example is not made shorter: that would take too long on Kafka."""
    numbers = itertools.count()
    current = [next(numbers)]

    def machine() -> LogMachine:
        current[0] = next(numbers)
        return LogMachine(lambda: open_log(open_url(current[0])), refuses_large)

    bounded = settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    run_state_machine_as_test(machine, settings=bounded)  # type: ignore[arg-type]


def test_the_embedded_log_does_what_lists_do(tmp_path: Path) -> None:
    run(lambda number: f"sqlite:///{tmp_path}/log{number}.db", False, 60, 40)


def test_kafka_does_what_lists_do(kafka: str) -> None:
    run(lambda number: f"kafka://{kafka}/machine{number}", True, 3, 12)
