"""The loop around the core: consume, step, commit, save.

This order loses nothing and writes nothing twice:

1. Poll records; fold each into its partition's state; collect the forecasts.
2. Commit the forecasts and the next offsets to the log, as one transaction.
3. Save the state with its offset to the store, by a write that only moves forward. (Embedded: inside the transaction of 2.)

So the store is never ahead of the log. After a worker that died between 2 and 3 it is behind: the next owner of the partition starts at
the store's offset and folds the records up to the committed offset again, without writing. With an empty store it starts at the log's
beginning.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from ingest.bus import ALERTS, EVENTS, FORECASTS, Log, NotCommitted, Outgoing, Record
from ingest.event import Change, Heartbeat, Outage, Promotion, decode
from ingest.metrics import Exposition
from ingest.plausible import implausible
from ingest.region import RegionTable
from stream.alerts import Rule
from stream.consuming import GroupMember
from stream.core import Forecaster, Library, Position
from stream.monitoring import WorkerMetrics
from stream.outgoing import activation_out, alert_fields, dead_letter_out, issued_out, sequence_of
from stream.partition import Partition, basis_of
from stream.promotion import lineups_before, read_activations
from stream.records import Activation, Alert, Forecast
from stream.store import Save, SavedPartition, Store, WriteResult
from stream.takeover import ModelWatch

GROUP = "forecast"
OUTPUTS, INPUTS = (Forecast, Alert), (Change, Heartbeat, Outage)
OUTPUTS_READ_BACK = 500
"""Offsets, of which every transaction takes one more."""
DEEP_REFOLD_EVENTS = 256
"""A refold of more events than this is logged."""

log = structlog.get_logger()


class Owned(NamedTuple):
    """A partition assigned to this worker."""

    state: Partition
    committed: int
    """The group's offset when the partition was assigned: the forecasts for earlier records are written already."""
    written: int = -1
    """The sequence up to which forecasts and alerts stand in the log, though the group's offset does not say so."""


class Worker(GroupMember[Owned]):
    """Issues forecasts for the partitions that the consumer group assigns to it."""

    def __init__(
        self,
        event_log: Log,
        store: Store,
        table: RegionTable,
        forecaster: Forecaster,
        *,
        library: Library | None = None,
        rules: tuple[Rule, ...] = (),
        name: str = GROUP,
        batch_size: int = 500,
        on_forecast: Callable[[bytes], None] | None = None,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        super().__init__(event_log, GROUP, name)
        self._store, self._table, self._forecaster = store, table, forecaster
        self._library, self._rules = library, rules
        self._metrics = metrics or WorkerMetrics(Exposition())
        self._batch_size, self._on_forecast = batch_size, on_forecast
        self._watch = ModelWatch(lambda lineup: lineups_before(event_log, lineup))
        self._metrics.watch_partitions(lambda: {number: owned.state for number, owned in list(self._owned.items())})

    def turn(self, wait_seconds: float, stopped: Callable[[], bool] = lambda: False) -> int:
        """Poll once; fold the records, commit the forecasts, save the state. Returns the number of records consumed."""
        batch = self._consumer.poll(self._batch_size, wait_seconds)
        arrived_at = time.monotonic()
        if self._rebalance(batch):
            self._metrics.count_rebalance()
        outgoing = [out for record in batch.records if record.partition in self._owned for out in self._take(record)]
        touched = {record.partition for record in batch.records} & set(self._owned)
        if touched:
            self._commit(outgoing, touched, len(batch.records), arrived_at)
        return len(batch.records)

    def _reload(self) -> None:
        self._store.check_writable()  # a read-only replica can be loaded from, but not saved to
        super()._reload()

    def _own(self, number: int) -> None:
        offset, saved = self._consumer.committed(number), self._store.load(number)
        committed, written = offset or 0, -1
        if offset is None or (saved is not None and saved.position.offset > offset):
            written = self._last_written(number)
            if saved is not None and 0 <= saved.position.sequence <= written:
                committed = max(committed, saved.position.offset)
        state = None if saved is None else self._restore(number, saved, committed)
        if state is None:
            state = Partition(number, self._table, self._forecaster, None, self._library, self._rules, self._recorded)
            if saved is not None or committed:
                log.warning("rebuilding the state from the log", partition=number, saved=saved and str(saved.position), committed=committed)
                self._metrics.note_rebuilding()
                self._store.drop(number)
        self._owned[number] = Owned(state, committed, written)
        self._consumer.seek(number, max(state.position.offset, self._log.starts(EVENTS)[number]))

    def _last_written(self, number: int) -> int:
        """Return the sequence of the last input record with a forecast or an alert in the log; -1 if there is none.

        The group's offset can be lost (a broker forgets those of a group that is away for a week) or set back. The outputs are not: they
        say what must not be written again. If they are ahead of the input, they belong to an input topic that was deleted.
        """
        records = (record for topic in (FORECASTS, ALERTS) for record in self._last_records(topic, number))
        written = max((sequence_of(record, OUTPUTS) for record in records), default=-1)
        inputs = max((sequence_of(record, INPUTS) for record in self._last_records(EVENTS, number)), default=-1)
        if written < 0:
            return -1
        log.warning("the group's offset is lost or behind: outputs that stand in the log are not repeated", partition=number, up_to=written)
        self._metrics.note_lost_offset()
        return written if written <= inputs else -1

    def _last_records(self, topic: str, number: int) -> list[Record]:
        end = self._log.ends(topic)[number]
        start = max(self._log.starts(topic)[number], end - OUTPUTS_READ_BACK)
        return list(self._log.read(topic, number, start, end))

    def _restore(self, number: int, saved: SavedPartition, committed: int) -> Partition | None:
        """Return the saved state; None if it belongs to another model, another region table, or a log that has been created again."""
        if saved.position.basis != basis_of(self._forecaster, self._table) or saved.position.offset > committed:
            return None
        state = Partition(number, self._table, self._forecaster, saved.position, self._library, self._rules, self._recorded)
        state.restore(saved.regions)
        return state

    def _recorded(self) -> list[Activation]:
        return read_activations(self._log)

    def _take(self, record: Record) -> list[Outgoing]:
        owned = self._owned[record.partition]
        if record.offset < owned.state.position.offset:
            return []
        out = self._use(owned, record)
        is_new = record.offset >= owned.committed and (owned.written < 0 or owned.state.position.sequence > owned.written)
        return out if is_new else []

    def _use(self, owned: Owned, record: Record) -> list[Outgoing]:
        """Fold a record; one that ingest cannot have written, or that this worker cannot use, is set aside as a dead letter."""
        state = owned.state
        try:
            decoded = decode(record.value)
        except msgspec.DecodeError as error:
            state.skip(record.offset)
            return [dead_letter_out(record, "record_unreadable", str(error))]
        objection = implausible(decoded) or (None if isinstance(decoded, Promotion) else state.misfit(decoded))
        if objection is not None:
            state.skip(record.offset)
            return [dead_letter_out(record, "record_implausible", objection)]
        if isinstance(decoded, Promotion):
            activation = state.apply_promotion(decoded, record.offset)
            if activation.refused is None:
                self._watch.trust(state.position.lineup)
            return [activation_out(activation)]
        if isinstance(decoded, Change) and decoded.region not in self._table:
            state.skip(record.offset, decoded.sequence)
            return [dead_letter_out(record, "region_unknown", f"the region table has no {decoded.region}")]
        is_new = record.offset >= owned.committed and decoded.sequence > owned.written
        issued, takeovers = self._watch.take(state, decoded, record.offset, is_new=is_new)
        return [activation_out(one) for one in takeovers] + [issued_out(one, body, record) for one, body in issued]

    def _commit(self, outgoing: list[Outgoing], touched: set[int], records: int, arrived_at: float) -> None:
        reached = {number: self._owned[number].state.position.offset for number in touched}
        consumed = {number: offset for number, offset in reached.items() if offset > self._owned[number].committed}
        within = self._store.shares_transaction(self._log)
        try:
            if consumed:
                self._producer.commit(outgoing, consumed, self._consumer, (lambda: self._save(touched)) if within else None)
        except NotCommitted as error:
            self._metrics.count_refused_commit()
            self._start_over(error)
            return
        self._failed_commits = 0
        if not within or not consumed:
            self._save(touched)
        self._report(outgoing, touched, records, time.monotonic() - arrived_at)
        for number in touched:
            self._owned[number].state.mark_saved()
        for out in outgoing:
            if out.topic == FORECASTS and self._on_forecast is not None:
                self._on_forecast(out.value)

    def _report(self, outgoing: list[Outgoing], touched: set[int], records: int, seconds: float) -> None:
        refolds = [refold for number in sorted(touched) for refold in self._owned[number].state.refolds]
        self._metrics.count_commit(records, outgoing, seconds, refolds)
        for refold in refolds:
            if refold.events > DEEP_REFOLD_EVENTS:
                log.info("history changed far back", region=refold.region, events_folded_again=refold.events)
        if outgoing and records < self._batch_size:  # a full batch means catching up: a line for each would slow it down
            counts = Counter(out.topic.rpartition(".")[2] for out in outgoing)
            log.info("committed", records=records, partitions=sorted(touched), seconds=round(seconds, 4), **counts)
        for out in outgoing:
            if out.topic == ALERTS:
                log.info("alert", **alert_fields(out))

    def _save(self, touched: set[int]) -> None:
        states = [self._owned[number].state for number in sorted(touched)]
        fit = [state for state in states if state.unfit is None]  # not a stand-in's state
        results = self._store.save([Save(state.number, state.saved_position, state.position, state.changes()) for state in fit])
        for state, written in zip(fit, results, strict=True):
            number, result = state.number, written
            if result is WriteResult.POSITION_DIFFERS:
                log.warning("the store's position is not the one saved last: replacing its contents", partition=number)
                self._metrics.note_rebuilding()
                result = self._store.replace(number, state.position, state.everything())
            if result is WriteResult.STORE_AHEAD:
                log.warning("the store is ahead: another worker has this partition", partition=number)

    def positions(self) -> dict[int, Position]:
        """Return the position of each assigned partition."""
        return {number: owned.state.position for number, owned in self._owned.items()}
