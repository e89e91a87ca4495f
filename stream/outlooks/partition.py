"""One input partition for the outlooks: its regions' windows, its clock, the models in force, and the outlooks that are due. Pure.

Outlooks are due at a heartbeat, which follows all changes of one moment, or (without a heartbeat) at the first change of a later moment.
So an outlook depends on all changes up to its moment, however they were cut into batches. Outlooks are a function of the log alone.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from ingest.event import Change, Event, Heartbeat, InputRecord, WhyNotLive
from ingest.instant import Instant
from ingest.plausible import misfit
from ingest.region import Region, RegionTable
from stream.core import BEGINNING, Lineup, Window
from stream.outlooks.schedule import LastOutlook, cause_at, is_large, mainshock_of, next_after
from stream.outlooks.simulator import SimulatedCounts, SimulationRequest, magnitudes_of
from stream.records import (
    ADVISORY_TIME_FRAME,
    DISCLAIMER,
    FRACTILES,
    INSTRUCTION,
    NOT_LIVE,
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


class Mark(NamedTuple):
    """Whether the newest record is not live, and why."""

    test: bool = False
    why: WhyNotLive | None = None


class Due(NamedTuple):
    """An outlook that is due."""

    region: Region
    cause: Cause
    now: Instant
    sequence: int
    """Sequence of the last record folded."""
    events: tuple[Event, ...]
    mainshock: Event | None
    issued: LastOutlook | None
    lineup: Lineup
    mark: Mark


class _RegionState(NamedTuple):
    window: Window = Window()
    mainshock: Event | None = None
    issued: LastOutlook | None = None


class OutlookPartition:
    """Folds records in their order."""

    def __init__(self, number: int, table: RegionTable, issued: dict[str, LastOutlook] | None = None) -> None:
        """
        Args:
            issued: by region, the latest outlook in the topic.
        """
        self.number, self.sequence = number, -1
        self.lineup = Lineup()
        """The models in force; the caller sets it at each promotion and takeover."""
        self.promoted_after = -1
        """Sequence of the last record before that promotion."""
        self.clock = BEGINNING
        self._table, self._mark = table, Mark()
        self._issued = issued or {}
        self._regions: dict[str, _RegionState] = {}

    def fold(self, record: InputRecord) -> None:
        """Fold a record."""
        if record.sequence <= self.sequence or misfit(record, self.sequence, None if self.clock == BEGINNING else self.clock):
            return
        self.sequence, self._mark = record.sequence, Mark(record.test, record.why_not_live)
        self.clock = max(self.clock, record.observed_at)
        if isinstance(record, Change) and record.region in self._table:
            self._change(record)

    def due_before(self, record: InputRecord) -> list[Due]:
        """Return the outlooks that are due before a record is folded, because it shows that the preceding moment is complete."""
        is_later = isinstance(record, Change) and record.sequence > self.sequence and record.observed_at > self.clock
        return self._due() if is_later else []

    def due_after(self, record: InputRecord) -> list[Due]:
        """Return the outlooks that are due after a record was folded."""
        return self._due() if isinstance(record, Heartbeat) else []

    def record_issue(self, due: Due) -> None:
        """Keep the part of an issued outlook that the region's next one depends on."""
        shock, issued = due.mainshock, LastOutlook(outlook_id(due, self.number), due.now)
        if shock is not None:
            issued = LastOutlook(issued.id, issued.at, shock.id, shock.time, shock.magnitude or 0.0)
        self._regions[due.region.id] = self._regions[due.region.id]._replace(issued=issued)

    def window(self, region_id: str) -> Window:
        """Return a region's window."""
        return self._of(region_id).window

    def _of(self, region_id: str) -> _RegionState:
        return self._regions.get(region_id) or _RegionState(issued=self._issued.get(region_id))

    def _change(self, change: Change) -> None:
        region = self._table[change.region]
        state, cutoff = self._of(region.id), self.clock.plus(days=-region.window_days)
        window, expired = state.window.expire(cutoff)
        edit = window.apply(change, region, cutoff)
        touched = [event for event in (edit.removed, edit.added, *expired) if event is not None and is_large(event, region)]
        mainshock = mainshock_of(edit.window, region, self.clock) if touched else state.mainshock
        self._regions[region.id] = _RegionState(edit.window, mainshock, state.issued)

    def _due(self) -> list[Due]:
        candidates = [self._due_of(self._table[region_id]) for region_id in sorted(self._regions)]
        return [due for due in candidates if due is not None]

    def _due_of(self, region: Region) -> Due | None:
        state = self._regions[region.id]
        window, expired = state.window.expire(self.clock.plus(days=-region.window_days))
        if expired:
            state = _RegionState(window, mainshock_of(window, region, self.clock), state.issued)
            self._regions[region.id] = state
        cause = cause_at(state.issued, state.window, state.mainshock, region, self.clock)
        if cause is None:
            return None
        return Due(
            region, cause, self.clock, self.sequence, state.window.events, state.mainshock, state.issued, self.lineup, self._mark
        )  # fmt: skip


def simulation_request(due: Due, partition: int) -> SimulationRequest:
    """Return the request to the simulator; its seed is the outlook's id as a number."""
    seed = zlib.crc32(outlook_id(due, partition).encode())
    return SimulationRequest(due.region, due.events, due.now, magnitudes_of(due.region), _above(due), seed)


def outlook_id(due: Due, partition: int) -> str:
    return f"outlook-{due.region.id}-{partition}-{due.sequence}"


def disclaimer_of(due: Due) -> str:
    """Return the disclaimer; of what is not live, it begins with why."""
    return f"{NOT_LIVE[due.mark.why] + ' ' if due.mark.test else ''}{DISCLAIMER} {INSTRUCTION}"


def outlook_of(due: Due, partition: int, model: str, simulated: SimulatedCounts) -> RegionOutlook:
    """Return the outlook record."""
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
        simulations=simulated.simulations,
        cut=simulated.cut,
        seed=simulation_request(due, partition).seed,
        input_partition=partition,
        input_sequence=due.sequence,
        creation_time=int(due.now),
        expire_time=span_end(due.now, "1 Year"),
        advisory_time_frame=ADVISORY_TIME_FRAME,
        template="Region" if mainshock is None else "Mainshock",
        injectable_text=disclaimer_of(due),
        observations=counts,
        model=OutlookModel(model, REFERENCE, simulated.parameters),
        fractile_probabilities=list(FRACTILES),
        forecast=simulated.forecast,
        next_forecast_time=int(next_after(due.now, mainshock, region)),
        test=due.mark.test,
    )


def last_outlook_of(outlook: RegionOutlook) -> LastOutlook:
    """Return the part of an outlook that the region's next one depends on."""
    shock = outlook.mainshock
    if shock is None:
        return LastOutlook(outlook.id, outlook.issued_at)
    return LastOutlook(outlook.id, outlook.issued_at, shock.id, shock.time, shock.magnitude)


def _observed_from(due: Due) -> Instant:
    return due.now.plus(days=-OBSERVED_DAYS) if due.mainshock is None else due.mainshock.time


def _above(due: Due) -> float:
    """Return the mainshock's magnitude; without one, the largest of the last 30 days, or completeness if there was no event."""
    if due.mainshock is not None:
        return due.mainshock.magnitude or 0.0
    recent = [event.magnitude or 0.0 for event in due.events if event.time >= _observed_from(due)]
    return max(recent, default=due.region.magnitude_of_completeness)


def _mainshock(event: Event) -> OutlookMainshock:
    return OutlookMainshock(
        event.id, event.time, event.magnitude or 0.0, event.latitude, event.longitude, event.depth_km, event.place
    )  # fmt: skip
