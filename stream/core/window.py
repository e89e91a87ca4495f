"""The rolling window of a region: its recent earthquakes in the order of origin time.

          cutoff = now − window_days                    now
    ────────┼──●───●●──●────────●──●●●●─●───●────●───────┼──▶ origin time
    expired │  events at or above completeness           │
            │ ○  ○ ○○○ ○  ○   ○ ○ ○○○○○○ ○  ○  ○ ○ ○  ○  │    sources: events below it, in a window of their own

A window is immutable; each operation returns a new window and the earliest position at which the two differ. Sources excite the rate of
models that read them (`Forecaster.source_depth`); they are neither counted nor scored, and no alert or outlook counts them.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import merge
from typing import NamedTuple

from ingest.event import EARTHQUAKE, Change, Event
from ingest.instant import Instant
from ingest.region import Region

_ROUNDING = 1e-9
"""Of magnitudes, which are decimal fractions."""
Key = tuple[int, str]
"""Origin time and id: the order of the window."""


def key_of(event: Event) -> Key:
    return (int(event.time), event.id)


class Edit(NamedTuple):
    """A window after a change."""

    window: Window
    changed_from: Key | None
    """The earliest position whose event differs from before; None when the windows are equal for forecasts."""
    removed: Event | None = None
    added: Event | None = None


class Window(NamedTuple):
    """Events sorted by key; events with equal times are sorted by their ids."""

    events: tuple[Event, ...] = ()
    origin_times: dict[str, Instant] = {}  # noqa: RUF012 - a window is never written to
    """By id, the origin time under which the event is found."""

    @classmethod
    def of(cls, events: list[Event]) -> Window:
        return cls(tuple(sorted(events, key=key_of)), {event.id: event.time for event in events})

    def find(self, event_id: str) -> Event | None:
        time = self.origin_times.get(event_id)
        return None if time is None else self.events[bisect_left(self.events, (int(time), event_id), key=key_of)]

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
        count = bisect_left(self.events, (int(cutoff), ""), key=key_of)
        if count == 0:
            return self, ()
        expired = self.events[:count]
        return Window(self.events[count:], {event.id: event.time for event in self.events[count:]}), expired

    def after(self, key: Key | None) -> tuple[Event, ...]:
        """Return the events after a position; all of them for None."""
        if key is None:
            return self.events
        index = bisect_left(self.events, key, key=key_of)
        return self.events[index + 1 :] if index < len(self.events) and key_of(self.events[index]) == key else self.events[index:]

    def _with(self, event: Event) -> Window:
        index = bisect_left(self.events, key_of(event), key=key_of)
        return Window((*self.events[:index], event, *self.events[index:]), {**self.origin_times, event.id: event.time})

    def _without(self, event: Event) -> Window:
        index = bisect_left(self.events, key_of(event), key=key_of)
        return Window(self.events[:index] + self.events[index + 1 :], {i: t for i, t in self.origin_times.items() if i != event.id})

    def _exchange(self, old: Event, new: Event) -> Window:
        index = bisect_left(self.events, key_of(old), key=key_of)
        return Window((*self.events[:index], new, *self.events[index + 1 :]), self.origin_times)


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

    def after(self, key: Key | None) -> tuple[Event, ...]:
        """Return the events after a position, in the order of the window; all of them for None."""
        later = self.window.after(key)
        return tuple(merge(later, self.sources.after(key), key=key_of)) if self.sources.events else later

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
