"""One input partition as the outlooks see it: its regions' windows, its clock, what is in force, and what is due. Pure.

Outlooks are due at a heartbeat, which ends what a feed said at one moment, or (where there is none) at the first change of a later moment:
so an outlook rests on all that was said by then, however it was cut into batches. They are a function of the log alone.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat, InputRecord
from ingest.instant import Instant
from ingest.region import Region, RegionTable
from stream.core import BEGINNING, Lineup, Window
from stream.outlooks.schedule import Issued, cause_at, is_large, mainshock_of, next_after
from stream.outlooks.simulator import Asked, Simulated, magnitudes_of
from stream.records import (
    ADVISORY_TIME_FRAME,
    DISCLAIMER,
    FRACTILES,
    INSTRUCTION,
    OBSERVED_DAYS,
    Cause,
    Observation,
    OutlookMainshock,
    OutlookModel,
    RegionOutlook,
    count_earthquakes,
    span_end,
)

REFERENCE = "the forecaster rolled forward; the year from the end of the month on by its kernels alone"


class Due(NamedTuple):
    """An outlook that is to be made."""

    region: Region
    cause: Cause
    now: Instant
    sequence: int
    """Of the last record folded."""
    events: tuple[Event, ...]
    mainshock: Event | None
    issued: Issued | None
    lineup: Lineup
    test: bool


class _Kept(NamedTuple):
    window: Window = Window()
    mainshock: Event | None = None
    issued: Issued | None = None


class OutlookPartition:
    """Takes records in order."""

    def __init__(self, number: int, table: RegionTable, issued: dict[str, Issued] | None = None) -> None:
        """`issued`: by region, the last outlook that is in the topic already."""
        self.number, self.sequence = number, -1
        self.lineup = Lineup()
        """What is in force, as the caller sets it when it meets a promotion."""
        self.clock = BEGINNING
        self._table, self._test = table, False
        self._issued = issued or {}
        self._kept: dict[str, _Kept] = {}

    def fold(self, record: InputRecord) -> None:
        """Take a record in, saying nothing."""
        if record.sequence <= self.sequence:
            return
        self.sequence, self._test = record.sequence, record.test
        self.clock = max(self.clock, record.observed_at)
        if isinstance(record, Change) and record.region in self._table:
            self._change(record)

    def due_before(self, record: InputRecord) -> list[Due]:
        """What is due once a record shows that no more is to come of the moment before."""
        moved = isinstance(record, Change) and record.sequence > self.sequence and record.observed_at > self.clock
        return self._due() if moved else []

    def due_after(self, record: InputRecord) -> list[Due]:
        """What is due once a record has been folded."""
        return self._due() if isinstance(record, Heartbeat) else []

    def note(self, outlook: RegionOutlook) -> None:
        """An outlook has been made."""
        kept = self._kept[outlook.region]
        self._kept[outlook.region] = kept._replace(issued=issued_of(outlook))

    def window(self, region_id: str) -> Window:
        """A region's window."""
        return self._of(region_id).window

    def _of(self, region_id: str) -> _Kept:
        return self._kept.get(region_id) or _Kept(issued=self._issued.get(region_id))

    def _change(self, change: Change) -> None:
        region = self._table[change.region]
        kept, cutoff = self._of(region.id), self.clock.plus(days=-region.window_days)
        window, gone = kept.window.expire(cutoff)
        edit = window.apply(change, region, cutoff)
        touched = [event for event in (edit.removed, edit.added, *gone) if event is not None and is_large(event, region)]
        mainshock = mainshock_of(edit.window, region, self.clock) if touched else kept.mainshock
        self._kept[region.id] = _Kept(edit.window, mainshock, kept.issued)

    def _due(self) -> list[Due]:
        found = [self._due_of(self._table[region_id]) for region_id in sorted(self._kept)]
        return [due for due in found if due is not None]

    def _due_of(self, region: Region) -> Due | None:
        kept = self._kept[region.id]
        window, gone = kept.window.expire(self.clock.plus(days=-region.window_days))
        if gone:
            kept = _Kept(window, mainshock_of(window, region, self.clock), kept.issued)
            self._kept[region.id] = kept
        cause = cause_at(kept.issued, kept.window, kept.mainshock, region, self.clock)
        if cause is None:
            return None
        return Due(
            region, cause, self.clock, self.sequence, kept.window.events, kept.mainshock, kept.issued, self.lineup, self._test
        )  # fmt: skip


def asked_of(due: Due, partition: int) -> Asked:
    """What the simulator is asked; the seed is the outlook's id as a number."""
    seed = zlib.crc32(outlook_id(due, partition).encode())
    return Asked(due.region, due.events, due.now, magnitudes_of(due.region), _above(due), seed)


def outlook_id(due: Due, partition: int) -> str:
    return f"outlook-{due.region.id}-{partition}-{due.sequence}"


def outlook_of(due: Due, partition: int, model: str, made: Simulated) -> RegionOutlook:
    """The record."""
    region, mainshock, since = due.region, due.mainshock, _observed_from(due)
    counts = [
        Observation(magnitude, count_earthquakes(due.events, magnitude, since, Instant(due.now + 1))) for magnitude in magnitudes_of(region)
    ]
    return RegionOutlook(
        id=outlook_id(due, partition),
        region=region.id,
        issued_at=due.now,
        cause=due.cause,
        supersedes=None if due.issued is None else due.issued.id,
        mainshock=None if mainshock is None else _mainshock(mainshock),
        observed_from=since,
        magnitude_of_completeness=region.magnitude_of_completeness,
        events_in_window=len(due.events),
        simulations=made.simulations,
        cut=made.cut,
        seed=asked_of(due, partition).seed,
        input_partition=partition,
        input_sequence=due.sequence,
        creation_time=int(due.now),
        expire_time=span_end(due.now, "1 Year"),
        advisory_time_frame=ADVISORY_TIME_FRAME,
        template="Region" if mainshock is None else "Mainshock",
        injectable_text=f"{'This is a replay, not live. ' if due.test else ''}{DISCLAIMER} {INSTRUCTION}",
        observations=counts,
        model=OutlookModel(model, REFERENCE, made.parameters),
        fractile_probabilities=list(FRACTILES),
        forecast=made.forecast,
        next_forecast_time=int(next_after(due.now, mainshock, region)),
        test=due.test,
    )


def issued_of(outlook: RegionOutlook) -> Issued:
    """What the next outlook of the region depends on."""
    shock = outlook.mainshock
    if shock is None:
        return Issued(outlook.id, outlook.issued_at)
    return Issued(outlook.id, outlook.issued_at, shock.id, shock.time, shock.magnitude)


def _observed_from(due: Due) -> Instant:
    return due.now.plus(days=-OBSERVED_DAYS) if due.mainshock is None else due.mainshock.time


def _above(due: Due) -> float:
    """The mainshock's magnitude; else the largest of the last 30 days, or completeness when nothing came in them."""
    if due.mainshock is not None:
        return due.mainshock.magnitude or 0.0
    recent = [event.magnitude or 0.0 for event in due.events if event.time >= _observed_from(due)]
    return max(recent, default=due.region.magnitude_of_completeness)


def _mainshock(event: Event) -> OutlookMainshock:
    return OutlookMainshock(
        event.id, event.time, event.magnitude or 0.0, event.latitude, event.longitude, event.depth_km, event.place
    )  # fmt: skip
