"""Writes the input log: numbers the records of each partition without gaps, and reads at the start what the log holds already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from ingest.bus import DEAD_LETTERS, EVENTS, Log, NotCommitted, Outgoing, Record, RecordRefused
from ingest.changes import Ledger
from ingest.event import Change, DeadLetter, Heartbeat, InputRecord, Outage, Promotion, WhyNotLive, decode, decode_dead_letter, encode
from ingest.instant import Instant
from ingest.plausible import implausible, misfit
from ingest.problem import Problem
from ingest.region import RegionTable, partition_of

HORIZON_DAYS = 40.0
"""How far back the log is read at the start: a little more than the longest channel reaches."""
RECORDS_READ_BACK = 64


class Publisher:
    """The only writer of the input log. At the start it reads the last `HORIZON_DAYS`, so that it publishes nothing twice.

    A log is live or it is not, from its first report on, and every record of one that is not says so: windows that hold simulated
    earthquakes would give forecasts that are not live, whatever comes later.

    Args:
        why_not_live: why the source is not live; None leaves that to what the log holds, and to the source's clock.

    Raises:
        Problem: the log holds records of another kind.
    """

    def __init__(self, log: Log, table: RegionTable, *, name: str = "ingest", why_not_live: WhyNotLive | None = None) -> None:
        log.create_topics()
        self._log, self._name, self._table, self._wanted = log, name, table, why_not_live
        self.dead_letters: Counter[str] = Counter()
        """Number of dead letters written since the start, by reason."""
        self._open()

    def _open(self) -> None:
        """Take over from a former producer of the name, then read from the log what it holds."""
        self._producer = self._log.producer(self._name)
        self._partitions = len(self._log.starts(EVENTS))
        self.sequences = dict.fromkeys(range(self._partitions), -1)
        """By partition, the sequence of its last record."""
        self._written_letters: set[tuple[str | None, str, str]] = set()
        """Id, reason and payload of the dead letters in the log."""
        self.ledger = Ledger(self._table)
        self.clock: Instant | None = None
        """The latest source time in the log."""
        self.why_not_live = self._wanted
        """Why the log is not live; None when it is, or holds no report so far."""
        self.has_reports = False
        """Whether the log holds any report of a source."""
        for partition in range(self._partitions):
            self._read_partition(partition)
        self.ledger.rebuild()
        self._check_kind()
        self._read_dead_letters()

    def _check_kind(self) -> None:
        if self._wanted is not None and self.why_not_live != self._wanted:
            raise Problem(
                f"the log holds records that are {'not live: ' + self.why_not_live if self.why_not_live else 'live'}",
                f"give the {self._wanted} a log of its own: --bus sqlite:///other.db, or another namespace of Kafka",
            )

    def reopen(self) -> None:
        """Start anew from what the log holds: after `Unavailable`, whether the last records were written is not known.

        Raises:
            Unavailable: the log is still away.
        """
        self._producer.close()
        self._open()

    def publish(self, records: Iterable[InputRecord], dead_letters: Iterable[DeadLetter] = ()) -> int:
        """Write changes and heartbeats in their order (a heartbeat once into every partition) and dead letters, as one transaction.

        Returns:
            The number of records written to the input log.

        Raises:
            Problem: the log refused them; nothing was written.
            Unavailable: the log is away; whether they were written is not known: `reopen` before anything else.
        """
        sequences, records = dict(self.sequences), tuple(records)
        outgoing = [self._numbered(record, partition, sequences) for record in records for partition in self._partitions_of(record)]
        letters = [letter for letter in dead_letters if self._is_new(letter)]
        marked = [msgspec.structs.replace(letter, **self._mark) for letter in letters]
        letters_out = [Outgoing(DEAD_LETTERS, 0, letter.source.encode(), encode(letter), letter.observed_at) for letter in marked]
        if outgoing or letters_out:
            self._commit(outgoing + letters_out)
        self.sequences = sequences
        self.has_reports = self.has_reports or any(not isinstance(record, Outage) for record in records)
        self._advance(max((record.time for record in outgoing), default=None))
        self.dead_letters.update(letter.reason for letter in letters)
        return len(outgoing)

    def _partitions_of(self, record: InputRecord) -> Iterable[int]:
        if isinstance(record, Change):
            return (partition_of(record.region, self._partitions),)
        return range(self._partitions) if isinstance(record, Heartbeat) else (0,)

    def _advance(self, time: Instant | None) -> None:
        if time is not None and (self.clock is None or time > self.clock):
            self.clock = time

    def _commit(self, outgoing: list[Outgoing]) -> None:
        try:
            self._producer.commit(outgoing)
        except RecordRefused as refused:
            raise Problem(str(refused), refused.remedy) from None
        except NotCommitted as error:
            raise Problem(
                f"the log refused the input ({error})",
                "only one `quakecast ingest` may write to a log: stop the other one; else check the broker: `quakecast doctor`",
            ) from None

    def _numbered(self, record: InputRecord, partition: int, sequences: dict[int, int]) -> Outgoing:
        sequences[partition] += 1
        numbered = msgspec.structs.replace(record, sequence=sequences[partition], **self._mark)
        key = numbered.id if isinstance(numbered, Change) else numbered.source
        return Outgoing(EVENTS, partition, key.encode(), encode(numbered), numbered.observed_at)

    @property
    def _mark(self) -> dict[str, Any]:
        """Return the fields that mark the records of a log that is not live."""
        return {} if self.why_not_live is None else {"test": True, "why_not_live": self.why_not_live}

    def _is_new(self, letter: DeadLetter) -> bool:
        identity = (letter.id, letter.reason, letter.payload if letter.id else f"{letter.source} {letter.observed_at} {letter.payload}")
        if identity in self._written_letters:
            return False
        self._written_letters.add(identity)
        return True

    def _read_partition(self, partition: int) -> None:
        """Apply the changes in a partition to the ledger; continue its sequence and the clock."""
        recent = self._recent_time(partition)
        if recent is None:
            return
        start = self._log.offset_at(EVENTS, partition, recent.plus(days=-HORIZON_DAYS))
        clock: Instant | None = None
        for record in _readable(self._log.read(EVENTS, partition, start, self._log.ends(EVENTS)[partition])):
            if misfit(record, self.sequences[partition], clock):
                continue
            clock = max(record.observed_at, clock or record.observed_at)
            self.sequences[partition] = max(record.sequence, self.sequences[partition])
            self._advance(record.observed_at)
            self._note_kind(record)
            if isinstance(record, Change):
                self.ledger.recall(record)

    def _note_kind(self, record: InputRecord) -> None:
        """Note whether the log is live, by one of its records; any that is not makes the log so."""
        if isinstance(record, Outage):
            return
        if not self.has_reports:
            self.why_not_live = None
        self.has_reports = True
        if record.test:
            self.why_not_live = record.why_not_live or "replay"

    def _recent_time(self, partition: int) -> Instant | None:
        """Return the earliest time of a partition's last records: read backwards until one can be used.

        The earliest, because a record of another program may claim a time far ahead.
        """
        start, end = self._log.starts(EVENTS)[partition], self._log.ends(EVENTS)[partition]
        offset = end
        while offset > start:
            offset = max(start, offset - RECORDS_READ_BACK)
            times = [record.observed_at for record in _readable(self._log.read(EVENTS, partition, offset, end))]
            if times:
                return min(times)
        return None

    def _read_dead_letters(self) -> None:
        if self.clock is None:
            return
        start = self._log.offset_at(DEAD_LETTERS, 0, self.clock.plus(days=-HORIZON_DAYS))
        for record in self._log.read(DEAD_LETTERS, 0, start, self._log.ends(DEAD_LETTERS)[0]):
            with suppress(msgspec.DecodeError):  # written by another program
                self._is_new(decode_dead_letter(record.value))

    def close(self) -> None:
        self._producer.close()


def _readable(records: Iterable[Record]) -> Iterator[InputRecord]:
    """Yield the decoded input records. Promotions, and records of another schema, which the workers make dead letters, are skipped."""
    for record in records:
        with suppress(msgspec.DecodeError):
            decoded = decode(record.value)
            if not isinstance(decoded, Promotion) and implausible(decoded) is None:
                yield decoded


def heartbeat(observed_at: Instant, source: str, *, catching_up: bool = False) -> Heartbeat:
    """Return a heartbeat that has no sequence number yet."""
    return Heartbeat(-1, observed_at, source, catching_up=catching_up)
