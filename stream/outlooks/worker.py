"""The loop around the outlooks: consume, simulate, commit.

An outlook and the offset that it depends on are committed as one transaction, so none is written twice and none is missing. No other
state is kept: at the start the windows are folded from the log again, up to the committed offset, and the latest outlooks are read from
their topic. Each outlook is committed as soon as it is simulated, because a simulation takes seconds and readers wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec
import structlog

from ingest.bus import EVENTS, MAPS, OUTLOOKS, Log, NotCommitted, Outgoing, Record
from ingest.event import LogRecord, Promotion, decode, encode
from ingest.instant import Instant
from ingest.metrics import Exposition
from ingest.plausible import implausible
from ingest.problem import Problem
from ingest.region import RegionTable
from stream.consuming import GroupMember
from stream.core import Lineup
from stream.maps import MapMaker
from stream.monitoring import OutlookMetrics
from stream.outlooks.map_record import map_of, map_request
from stream.outlooks.partition import Due, OutlookPartition, last_outlook_of, outlook_of, simulation_request
from stream.outlooks.schedule import LastOutlook
from stream.outlooks.simulator import Simulator
from stream.promotion import lineup_after_takeovers
from stream.records import GriddedForecast, RegionOutlook, decode_map, decode_outlook

GROUP = "outlook"
BATCH_SIZE = 50
LONGEST_TURN_SECONDS = 60.0
"""After so long the records polled but not yet folded are left for the next turn."""

log = structlog.get_logger()


class Simulators(Protocol):
    """Finds simulators by lineup."""

    def simulator(self, lineup: Lineup) -> Simulator:
        """Return the simulator of the models in force.

        Raises:
            Problem: a model is missing or damaged, or was not trained for the others.
        """


class MapMakers(Protocol):
    """Finds makers of maps by lineup."""

    def map_maker(self, lineup: Lineup) -> MapMaker:
        """Return the maker of maps by the models in force; those can be loaded."""


class Issue(NamedTuple):
    """What is issued at once."""

    outlook: RegionOutlook
    map: GriddedForecast | None
    """None: the worker makes no maps."""

    def records(self, partition: int) -> list[Outgoing]:
        """Return the records to write."""
        topics = ((OUTLOOKS, self.outlook), (MAPS, self.map))
        return [Outgoing(topic, partition, one.region.encode(), encode(one), one.issued_at) for topic, one in topics if one is not None]


class Owned(NamedTuple):
    """A partition assigned to this worker."""

    state: OutlookPartition
    offset: int
    """The next offset to fold; earlier records are folded and committed."""


class OutlookWorker(GroupMember[Owned]):
    """Issues outlooks, each with a map, for the partitions assigned by the consumer group.

    Args:
        map_makers: None: no maps are issued.
        from_beginning: where a new group begins: at the log's beginning, or at its present end.
        since: outlooks due before are scheduled, but not simulated and not issued; None: all are issued.
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
        since: Instant | None = None,
        map_makers: MapMakers | None = None,
    ) -> None:
        super().__init__(event_log, GROUP, name)
        self._table, self._simulators, self._map_makers = table, simulators, map_makers
        self._from_beginning, self._batch_size, self._since = from_beginning, batch_size, since
        self._longest_turn_seconds = longest_turn_seconds
        self._metrics = metrics or OutlookMetrics(Exposition())

    def turn(self, wait_seconds: float, stopped: Callable[[], bool] = lambda: False) -> int:
        """Poll once, fold the records, and commit each outlook that is due. Returns the number of records polled."""
        batch = self._consumer.poll(self._batch_size, wait_seconds)
        deadline = time.monotonic() + self._longest_turn_seconds
        try:
            self._rebalance(batch)
            for index, record in enumerate(batch.records):
                self._take(record)
                if stopped() or time.monotonic() > deadline:
                    self._leave_for_next_turn(batch.records[index + 1 :])
                    break
            self._commit({record.partition for record in batch.records})
        except NotCommitted as error:
            self._start_over(error)
        return len(batch.records)

    def sequences(self) -> dict[int, int]:
        """Return the sequence of the last record folded, by assigned partition."""
        return {number: owned.state.sequence for number, owned in self._owned.items()}

    def _own(self, number: int) -> None:
        starts, committed = self._log.starts(EVENTS)[number], self._consumer.committed(number)
        issued, reached = self._issued(number)
        first = self._beginning(number, reached) if committed is None else committed
        state = OutlookPartition(number, self._table, issued)
        for record in self._log.read(EVENTS, number, starts, first):
            decoded = _decode_or_none(record)
            if isinstance(decoded, Promotion):
                self._promote(state, decoded)
            elif decoded is not None:
                state.fold(decoded)
        self._owned[number] = Owned(state, first)
        if committed is None:  # keeps the group's beginning, even if this worker ends before the first record arrives
            self._producer.commit([], {number: first}, self._consumer)
        self._consumer.seek(number, first)

    def _issued(self, number: int) -> tuple[dict[str, LastOutlook], int]:
        """Return the latest outlook in the topic by region, and the sequence of the input that the newest belongs to (-1: none)."""
        latest: dict[str, LastOutlook] = {}
        reached = -1
        for record in self._log.read(OUTLOOKS, number, self._log.starts(OUTLOOKS)[number], self._log.ends(OUTLOOKS)[number]):
            try:
                outlook = decode_outlook(record.value)
            except msgspec.DecodeError:  # written by others
                continue
            latest[outlook.region], reached = last_outlook_of(outlook), max(reached, outlook.input_sequence)
        return latest, reached

    def _beginning(self, number: int, reached: int) -> int:
        """Return where to begin without a committed offset, which a broker forgets when the group is away for a week.

        The outlooks say how far the group had come: up to the record of the newest one, which may lead to further ones.
        """
        starts, ends = self._log.starts(EVENTS)[number], self._log.ends(EVENTS)[number]
        if reached >= 0:
            log.warning("the group's offset is lost: continuing after the last outlook", partition=number, sequence=reached)
            records = self._log.read(EVENTS, number, starts, ends)
            return next((record.offset for record in records if _sequence(record) >= reached), ends)
        return starts if self._from_beginning else ends

    def _take(self, record: Record) -> None:
        owned = self._owned.get(record.partition)
        if owned is None or record.offset < owned.offset:
            return
        decoded = _decode_or_none(record)
        if isinstance(decoded, Promotion):
            self._promote(owned.state, decoded)
        elif decoded is not None:
            for due in owned.state.due_before(decoded):
                self._issue(owned.state, due, owned.offset)
            owned.state.fold(decoded)
            for due in owned.state.due_after(decoded):
                self._issue(owned.state, due, record.offset)
        self._owned[record.partition] = Owned(owned.state, record.offset + 1)

    def _promote(self, state: OutlookPartition, promotion: Promotion) -> None:
        """Put promoted models in force. A promotion whose model cannot be loaded is refused, as the forecasting workers do."""
        lineup = state.lineup.after(promotion)
        try:
            self._simulators.simulator(lineup)
        except Problem as problem:
            log.warning("promotion refused", partition=state.number, problem=str(problem))
            return
        state.lineup, state.promoted_after = lineup, state.sequence

    def _issue(self, state: OutlookPartition, due: Due, offset: int) -> None:
        """Simulate one outlook and commit it with `offset` as the next to read: the same record may lead to further outlooks."""
        if self._since is not None and due.now < self._since:
            state.record_issue(due)
            return
        began = time.monotonic()
        issue = self._issue_of(state, due)
        if issue is None:
            return
        self._producer.commit(issue.records(state.number), {state.number: offset}, self._consumer)
        state.record_issue(due)
        seconds = time.monotonic() - began
        self._metrics.count_outlook(due.cause, seconds)
        log.info("outlook", seconds=round(seconds, 2), **_outlook_fields(issue.outlook))

    def _issue_of(self, state: OutlookPartition, due: Due) -> Issue | None:
        """Return the outlook and the map that are due, by the takeovers from models that failed so far.

        Returns:
            None if the model fails here: both are issued when the forecasting workers have let another one take over.
        """
        state.lineup = lineup_after_takeovers(self._log, due.lineup, state.number, state.promoted_after, due.sequence)
        try:
            simulator = self._simulators.simulator(state.lineup)
            simulated = simulator.simulate(simulation_request(due, state.number))
            return Issue(outlook_of(due, state.number, simulator.name, simulated), self._map(state, due))
        except Exception as error:  # whatever a network with damaged weights raises
            if state.lineup == Lineup():
                raise
            reason = f"{type(error).__name__}: {error}"
        log.error("no outlook", region=due.region.id, at=str(due.now), failed=dict(state.lineup.champion), reason=reason)
        return None

    def _map(self, state: OutlookPartition, due: Due) -> GriddedForecast | None:
        if self._map_makers is None:
            return None
        maker = self._map_makers.map_maker(state.lineup)
        return map_of(due, state.number, maker.name, maker.map(map_request(due, self._table)))

    def _leave_for_next_turn(self, records: list[Record]) -> None:
        """Leave records for the next turn: the group drops a member that does not poll for ten minutes."""
        for number in sorted({record.partition for record in records} & set(self._owned)):
            self._consumer.seek(number, self._owned[number].offset)

    def _commit(self, touched: set[int]) -> None:
        consumed = {number: self._owned[number].offset for number in sorted(touched & set(self._owned))}
        if consumed:
            self._producer.commit([], consumed, self._consumer)
        self._failed_commits = 0


def _decode_or_none(record: Record) -> LogRecord | None:
    """Decode a record; None if it is not one of ours. The forecasting workers turn such records into dead letters."""
    try:
        decoded = decode(record.value)
    except msgspec.DecodeError:
        return None
    return None if implausible(decoded) else decoded


def _sequence(record: Record) -> int:
    """Return the sequence of an input record; -1 of others."""
    return int(getattr(_decode_or_none(record), "sequence", -1))


def _outlook_fields(outlook: RegionOutlook) -> dict[str, object]:
    week = next(span for span in outlook.forecast if span.label == outlook.advisory_time_frame)
    fields = {"region": outlook.region, "cause": outlook.cause, "at": str(outlook.issued_at), "simulations": outlook.simulations}
    return fields | {"mainshock": outlook.mainshock and outlook.mainshock.id, "week_median": week.bins[0].median, "cut": outlook.cut}


def outlooks_of(event_log: Log) -> Iterator[bytes]:
    """Yield all outlooks of a log, in the order of (time, partition, sequence, region)."""
    return _in_order(event_log, OUTLOOKS, decode_outlook)


def maps_of(event_log: Log) -> Iterator[bytes]:
    """Yield all maps of a log, in the same order."""
    return _in_order(event_log, MAPS, decode_map)


def _in_order(event_log: Log, topic: str, decode_one: Callable[[bytes], RegionOutlook | GriddedForecast]) -> Iterator[bytes]:
    records = []
    for partition, end in event_log.ends(topic).items():
        for record in event_log.read(topic, partition, event_log.starts(topic)[partition], end):
            one = decode_one(record.value)
            records.append((one.issued_at, partition, one.input_sequence, one.region, record.value))
    yield from (body for *_, body in sorted(records))
