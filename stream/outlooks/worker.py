"""The loop around the outlooks: consume, simulate, commit.

Outlooks and the offsets that they rest on are committed as one transaction, so none is said twice and none is missing. Nothing else is
kept: at the start the windows are folded from the log again, silently, up to the committed offset, and the last outlooks are read from
their topic. Each outlook is committed as soon as it is made, for a simulation takes seconds and readers wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec
import structlog

from ingest.bus import EVENTS, OUTLOOKS, Batch, Log, NotCommitted, Outgoing, Record
from ingest.event import LogRecord, Promotion, decode, encode
from ingest.metrics import Exposition
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.core import Lineup
from stream.monitoring import OutlookMetrics
from stream.outlooks.partition import Due, OutlookPartition, asked_of, issued_of, outlook_of
from stream.outlooks.schedule import Issued
from stream.outlooks.simulator import Simulator
from stream.records import RegionOutlook, decode_outlook

GROUP = "outlook"
BATCH_SIZE = 50
LONGEST_TURN_SECONDS = 60.0
"""Then what has been polled and not taken is left for the next turn."""
FAILED_COMMITS_IN_A_ROW = 5

log = structlog.get_logger()


class Simulators(Protocol):
    """Where simulators are found."""

    def simulator(self, lineup: Lineup) -> Simulator:
        """Of the models in force.

        Raises:
            Problem: one is missing, damaged, or does not go with the others.
        """


class Owned(NamedTuple):
    """A partition that this worker holds."""

    state: OutlookPartition
    offset: int
    """The next to take; all before is committed or folded."""


class OutlookWorker:
    """Outlooks for the partitions that the group gives it.

    Args:
        from_beginning: where to begin when the group has not been here before: at the log's beginning, or after what is in it now.
    """

    def __init__(
        self,
        event_log: Log,
        table: RegionTable,
        simulators: Simulators,
        *,
        name: str = GROUP,
        from_beginning: bool = True,
        batch_size: int = BATCH_SIZE,
        longest_turn_seconds: float = LONGEST_TURN_SECONDS,
        metrics: OutlookMetrics | None = None,
    ) -> None:
        self._log, self._table, self._simulators = event_log, table, simulators
        self._name, self._from_beginning, self._batch_size = name, from_beginning, batch_size
        self._longest_turn_seconds = longest_turn_seconds
        self._metrics = metrics or OutlookMetrics(Exposition())
        event_log.create_topics()
        self._producer = event_log.producer(name)
        self._consumer = event_log.consumer(GROUP, EVENTS)
        self._owned: dict[int, Owned] = {}
        self._failed_commits = 0

    def run(self, stopped: Callable[[], bool], wait_seconds: float = 0.5) -> None:
        """Take turns until told to stop; what has not been committed then is made again at the next start."""
        while not stopped():
            self.turn(wait_seconds, stopped)

    def turn(self, wait_seconds: float, stopped: Callable[[], bool] = lambda: False) -> int:
        """One poll and all that follows from it; gives the number of records consumed."""
        batch = self._consumer.poll(self._batch_size, wait_seconds)
        deadline = time.monotonic() + self._longest_turn_seconds
        try:
            self._rebalance(batch)
            for place, record in enumerate(batch.records):
                self._take(record)
                if stopped() or time.monotonic() > deadline:
                    self._leave(batch.records[place + 1 :])
                    break
            self._commit({record.partition for record in batch.records})
        except NotCommitted as error:
            self._start_over(error)
        return len(batch.records)

    def sequences(self) -> dict[int, int]:
        """By owned partition, the number of the last record taken."""
        return {number: owned.state.sequence for number, owned in self._owned.items()}

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()

    def _rebalance(self, batch: Batch) -> None:
        for partition in batch.lost:
            self._owned.pop(partition, None)
        for partition in sorted(batch.gained):
            self._own(partition)
        if batch.gained or batch.lost:
            log.info("partitions", gained=sorted(batch.gained), lost=sorted(batch.lost), owned=sorted(self._owned))

    def _own(self, number: int) -> None:
        starts, committed = self._log.starts(EVENTS)[number], self._consumer.committed(number)
        first = committed if committed is not None else starts if self._from_beginning else self._log.ends(EVENTS)[number]
        state = OutlookPartition(number, self._table, self._issued(number))
        for record in self._log.read(EVENTS, number, starts, first):
            known = _readable(record)
            if isinstance(known, Promotion):
                self._promote(state, known)
            elif known is not None:
                state.fold(known)
        self._owned[number] = Owned(state, first)
        if committed is None:  # where this group began stays so, even if it ends before the first record comes
            self._producer.commit([], {number: first}, self._consumer)
        self._consumer.seek(number, first)

    def _issued(self, number: int) -> dict[str, Issued]:
        """By region, the last outlook in the topic."""
        found = {}
        for record in self._log.read(OUTLOOKS, number, self._log.starts(OUTLOOKS)[number], self._log.ends(OUTLOOKS)[number]):
            try:
                outlook = decode_outlook(record.value)
            except msgspec.DecodeError:  # written by others
                continue
            found[outlook.region] = issued_of(outlook)
        return found

    def _take(self, record: Record) -> None:
        owned = self._owned.get(record.partition)
        if owned is None or record.offset < owned.offset:
            return
        known = _readable(record)
        if isinstance(known, Promotion):
            self._promote(owned.state, known)
        elif known is not None:
            for due in owned.state.due_before(known):
                self._say(owned.state, due, owned.offset)
            owned.state.fold(known)
            for due in owned.state.due_after(known):
                self._say(owned.state, due, record.offset)
        self._owned[record.partition] = Owned(owned.state, record.offset + 1)

    def _promote(self, state: OutlookPartition, promotion: Promotion) -> None:
        """Those who forecast refuse what is missing, and go on with what they had: so it is here."""
        lineup = state.lineup.after(promotion)
        try:
            self._simulators.simulator(lineup)
        except Problem as problem:
            log.warning("promotion refused", partition=state.number, problem=str(problem))
            return
        state.lineup = lineup

    def _say(self, state: OutlookPartition, due: Due, offset: int) -> None:
        """Make one outlook and commit it; with `offset` still to come, others of the same record may follow."""
        simulator, began = self._simulators.simulator(due.lineup), time.monotonic()
        made = outlook_of(due, state.number, simulator.name, simulator.simulate(asked_of(due, state.number)))
        out = Outgoing(OUTLOOKS, state.number, made.region.encode(), encode(made), made.issued_at)
        self._producer.commit([out], {state.number: offset}, self._consumer)
        state.note(made)
        seconds = time.monotonic() - began
        self._metrics.made(made.cause, seconds)
        log.info("outlook", seconds=round(seconds, 2), **_said_of(made))

    def _leave(self, records: list[Record]) -> None:
        """For the next turn: a group takes a member that is not heard for ten minutes for dead."""
        for number in sorted({record.partition for record in records} & set(self._owned)):
            self._consumer.seek(number, self._owned[number].offset)

    def _commit(self, touched: set[int]) -> None:
        consumed = {number: self._owned[number].offset for number in sorted(touched & set(self._owned))}
        if consumed:
            self._producer.commit([], consumed, self._consumer)
        self._failed_commits = 0

    def _start_over(self, error: NotCommitted) -> None:
        """Nothing was written: forget what was folded and begin again from the log, with a new producer."""
        self._failed_commits += 1
        if self._failed_commits == FAILED_COMMITS_IN_A_ROW:
            raise Problem(
                f"the log refused {FAILED_COMMITS_IN_A_ROW} commits in a row ({error})", "look whether the broker is well, then start again"
            )
        log.warning("not committed, starting over from the log", reason=str(error), partitions=sorted(self._owned))
        self._producer.close()
        self._producer = self._log.producer(self._name)
        for number in list(self._owned):
            self._own(number)


def _readable(record: Record) -> LogRecord | None:
    """None for what others wrote into the topic; those who forecast make dead letters of it."""
    try:
        return decode(record.value)
    except msgspec.DecodeError:
        return None


def _said_of(outlook: RegionOutlook) -> dict[str, object]:
    week = next(span for span in outlook.forecast if span.label == outlook.advisory_time_frame)
    shown = {"region": outlook.region, "cause": outlook.cause, "at": str(outlook.issued_at), "simulations": outlook.simulations}
    return shown | {"mainshock": outlook.mainshock and outlook.mainshock.id, "week_median": week.bins[0].median, "cut": outlook.cut}


def outlooks_of(event_log: Log) -> Iterator[bytes]:
    """All outlooks of a log, in the order of (time, partition, sequence, region)."""
    found = []
    for partition, end in event_log.ends(OUTLOOKS).items():
        for record in event_log.read(OUTLOOKS, partition, event_log.starts(OUTLOOKS)[partition], end):
            outlook = decode_outlook(record.value)
            found.append((outlook.issued_at, partition, outlook.input_sequence, outlook.region, record.value))
    yield from (body for *_, body in sorted(found))
