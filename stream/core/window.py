"""The rolling window of a region: its recent earthquakes in the order of origin time.

          cutoff = now − window_days                    now
    ────────┼──●───●●──●────────●──●●●●─●───●────●───────┼──▶ origin time
    expired │  events at or above completeness           │
            │ ○  ○ ○○○ ○  ○   ○ ○ ○○○○○○ ○  ○  ○ ○ ○  ○  │    sources: events below it, in a window of their own

A window is immutable; each operation returns a new window and the earliest position at which the two differ. Sources excite the rate of
models that read them (`Forecaster.source_depth`); they are neither counted nor scored, and no alert or outlook counts them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cached_property
from heapq import merge
from itertools import chain
from typing import NamedTuple

from ingest.event import EARTHQUAKE, Change, Event
from ingest.instant import Instant
from ingest.region import Region
from stream.core.origin_times import OriginTimes, replaced

_ROUNDING = 1e-9
"""Of magnitudes, which are decimal fractions."""
Key = tuple[int, str]
"""Origin time and id: the order of the window."""
BEFORE_ALL: Key = (-(2**63), "")
FULL_BLOCK = 512
NO_TIMES = OriginTimes()


def key_of(event: Event) -> Key:
    return (int(event.time), event.id)


class Edit(NamedTuple):
    """A window after a change."""

    window: Window
    changed_from: Key | None
    """The earliest position whose event differs from before; None when the windows are equal for forecasts."""
    removed: Event | None = None
    added: Event | None = None


class Block(tuple[Event, ...]):
    """Neighbouring events, at least one."""

    @cached_property
    def largest_magnitude(self) -> float:
        return max(event.magnitude if event.magnitude is not None else -math.inf for event in self)


class Window:
    """Events sorted by key; events with equal times are sorted by their ids.

    They stand in blocks, so that an edit copies one block, whatever the size of the window.
    """

    __slots__ = ("_blocks", "_count", "_times")

    def __init__(self, blocks: tuple[Block, ...] = (), times: OriginTimes = NO_TIMES, count: int = 0) -> None:
        self._blocks, self._times, self._count = blocks, times, count

    @classmethod
    def of(cls, events: Iterable[Event]) -> Window:
        """Return the window of events in any order."""
        in_order = tuple(sorted(events, key=key_of))
        blocks = tuple(Block(in_order[start : start + FULL_BLOCK]) for start in range(0, len(in_order), FULL_BLOCK))
        return cls(blocks, OriginTimes.of(in_order), len(in_order))

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and self.events == other.events

    __hash__ = None  # type: ignore[assignment]

    @property
    def events(self) -> tuple[Event, ...]:
        """All events; to collect them takes time in proportion to their number."""
        return tuple(chain.from_iterable(self._blocks))

    @property
    def last(self) -> Event | None:
        """The newest event; None of an empty window."""
        return self._blocks[-1][-1] if self._blocks else None

    def find(self, event_id: str) -> Event | None:
        """Return the event of an id; None if the window has none."""
        time = self._times.get(event_id)
        if time is None:
            return None
        number, index = self._place((int(time), event_id))
        return self._blocks[number][index]

    def apply(self, change: Change, region: Region, cutoff: Instant) -> Edit:
        """Return the window after a change. This window must have been expired to `cutoff` already.

        The window holds no event that is below completeness, without a magnitude, before the cutoff, or not an earthquake; one revised
        to be such leaves it.
        """
        belongs = change.event is not None and belongs_in_window(change.event, region, cutoff)
        return self.put(change.id, change.event if belongs else None)

    def apply_to_sources(self, change: Change, region: Region, cutoff: Instant, depth: float) -> Edit:
        """Return the window of the sources after a change, as `apply`.

        Args:
            depth: how far below completeness the sources go; 0: none is admitted.
        """
        belongs = change.event is not None and is_source(change.event, region, cutoff, depth)
        return self.put(change.id, change.event if belongs else None)

    def put(self, event_id: str, new: Event | None) -> Edit:
        """Return the window with the new version of an event; None: without the event.

        A revision that no forecaster can see (of the status, of `updated`) does not count as a difference.
        """
        old = self.find(event_id)
        if old is not None and new is not None and same_for_forecasts(old, new):
            return Edit(self._exchange(old, new), None, old, new)
        if old is None and new is None:
            return Edit(self, None)
        window = self if old is None else self._without(old)
        window = window if new is None else window._with(new)
        return Edit(window, min(key_of(event) for event in (old, new) if event is not None), old, new)

    def expire(self, cutoff: Instant) -> tuple[Window, tuple[Event, ...]]:
        """Return the window without the events before the cutoff, and these events."""
        if not self._blocks or self._blocks[0][0].time >= cutoff:
            return self, ()
        whole, index = self._place((int(cutoff), ""))
        expired = (*chain.from_iterable(self._blocks[:whole]), *self._blocks[whole][:index])
        rest = self._blocks[whole][index:]
        times = self._times
        for event in expired:
            times = times.minus(event)
        blocks = ((Block(rest),) if rest else ()) + self._blocks[whole + 1 :]
        return Window(blocks, times, self._count - len(expired)), expired

    def after(self, key: Key | None) -> tuple[Event, ...]:
        """Return the events after a position; all of them for None."""
        if key is None or not self._blocks:
            return self.events
        number, index = self._place(key)
        block = self._blocks[number]
        index += index < len(block) and key_of(block[index]) == key
        return (*block[index:], *chain.from_iterable(self._blocks[number + 1 :]))

    def large_events(self, least: float, since: Key) -> list[Event]:
        """Return the events after a position whose magnitude is at least `least`; blocks without such events are passed over."""
        number = self._place(since)[0] if self._blocks else 0
        found = (event for block in self._blocks[number:] if block.largest_magnitude >= least for event in block)
        return [event for event in found if event.magnitude is not None and event.magnitude >= least and key_of(event) > since]

    def between(self, since: int, until: int) -> tuple[Event, ...]:
        """Return the events in (since, until], milliseconds since 1970."""
        if not self._blocks:
            return ()
        (first, start), (last, end) = self._place((since + 1, "")), self._place((until + 1, ""))
        if first == last:
            return self._blocks[first][start:end]
        return (*self._blocks[first][start:], *chain.from_iterable(self._blocks[first + 1 : last]), *self._blocks[last][:end])

    def _place(self, key: Key) -> tuple[int, int]:
        """Return where the event of a key stands, or would stand: a block, of several the later one, and the index in it."""
        number = max(bisect_right(self._blocks, key, key=_first_key) - 1, 0)
        return number, bisect_left(self._blocks[number], key, key=key_of)

    def _with(self, event: Event) -> Window:
        times = self._times.plus(event)
        if not self._blocks:
            return Window((Block((event,)),), times, 1)
        number, index = self._place(key_of(event))
        block = self._blocks[number]
        grown = (*block[:index], event, *block[index:])
        half = len(grown) // 2
        parts = (Block(grown),) if len(grown) <= FULL_BLOCK else (Block(grown[:half]), Block(grown[half:]))
        return Window((*self._blocks[:number], *parts, *self._blocks[number + 1 :]), times, self._count + 1)

    def _without(self, event: Event) -> Window:
        number, index = self._place(key_of(event))
        block = self._blocks[number]
        shrunk = block[:index] + block[index + 1 :]
        blocks = (*self._blocks[:number], *((Block(shrunk),) if shrunk else ()), *self._blocks[number + 1 :])
        return Window(blocks, self._times.minus(event), self._count - 1)

    def _exchange(self, old: Event, new: Event) -> Window:
        number, index = self._place(key_of(old))
        block = self._blocks[number]
        return Window(replaced(self._blocks, number, Block((*block[:index], new, *block[index + 1 :]))), self._times, self._count)


def _first_key(block: Block) -> Key:
    return key_of(block[0])


class EventsInForce(NamedTuple):
    """The events that a memory is the fold of: a region's window, and its sources."""

    window: Window
    sources: Window = Window()

    @classmethod
    def of(cls, events: tuple[Event, ...], region: Region) -> EventsInForce:
        """Divide the events of both, in any order, into those at or above completeness and the sources."""
        lowest = region.magnitude_of_completeness
        parts = ([event for event in events if ((event.magnitude or 0.0) < lowest) is below] for below in (False, True))
        return cls(*map(Window.of, parts))

    @property
    def events(self) -> tuple[Event, ...]:
        return self.after(None)

    def __bool__(self) -> bool:
        return bool(self.window or self.sources)

    def after(self, key: Key | None) -> tuple[Event, ...]:
        """Return the events after a position, in the order of the window; all of them for None."""
        later = self.window.after(key)
        return tuple(merge(later, self.sources.after(key), key=key_of)) if self.sources else later

    def find(self, event_id: str) -> Event | None:
        return self.window.find(event_id) or self.sources.find(event_id)

    def expire(self, cutoff: Instant) -> tuple[EventsInForce, tuple[Event, ...]]:
        """Return them without the events before the cutoff, and these events, in the order of the window."""
        (window, expired), (sources, older) = self.window.expire(cutoff), self.sources.expire(cutoff)
        return EventsInForce(window, sources), tuple(merge(expired, older, key=key_of)) if older else expired


def belongs_in_window(event: Event, region: Region, cutoff: Instant) -> bool:
    """Return whether an event is used for the region's forecasts, and counted."""
    return (
        event.type == EARTHQUAKE
        and event.magnitude is not None
        and event.magnitude >= region.magnitude_of_completeness
        and event.time >= cutoff
    )


def is_source(event: Event, region: Region, cutoff: Instant, depth: float) -> bool:
    """Return whether an event is used as a source by a model that reads those down to `depth` below completeness."""
    return (
        depth > 0.0
        and event.type == EARTHQUAKE
        and event.magnitude is not None
        and region.magnitude_of_completeness > event.magnitude >= region.magnitude_of_completeness - depth - _ROUNDING
        and event.time >= cutoff
    )


def same_for_forecasts(one: Event, other: Event) -> bool:
    """Return whether two versions of an event agree in everything that a forecaster may use: time, epicentre, depth, magnitude."""
    return (one.time, one.latitude, one.longitude, one.depth_km, one.magnitude) == (
        other.time, other.latitude, other.longitude, other.depth_km, other.magnitude,
    )  # fmt: skip
