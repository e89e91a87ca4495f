"""The rolling window of a region: its recent earthquakes in the order of origin time.

          cutoff = now − window_days                    now
    ────────┼──●───●●──●────────●──●●●●─●───●────●───────┼──▶ origin time
    expired │  events at or above completeness           │

A window never changes; each operation gives a new one and the earliest place at which it differs.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from ingest.event import EARTHQUAKE, Change, Event
from ingest.instant import Instant
from ingest.region import Region

Key = tuple[int, str]
"""Origin time and id: the order of the window."""


def key_of(event: Event) -> Key:
    return (int(event.time), event.id)


class Edit(NamedTuple):
    """A window after a change."""

    window: Window
    changed_from: Key | None
    """The earliest place whose content differs from before; none when nothing differs."""
    removed: Event | None = None
    added: Event | None = None


class Window(NamedTuple):
    """Events sorted by key. Events with equal times are told apart by their ids."""

    events: tuple[Event, ...] = ()
    origin_times: dict[str, Instant] = {}  # noqa: RUF012 - a window is never written to
    """By id, where in the window it stands."""

    @classmethod
    def of(cls, events: list[Event]) -> Window:
        return cls(tuple(sorted(events, key=key_of)), {event.id: event.time for event in events})

    def find(self, event_id: str) -> Event | None:
        time = self.origin_times.get(event_id)
        return None if time is None else self.events[bisect_left(self.events, (int(time), event_id), key=key_of)]

    def apply(self, change: Change, region: Region, cutoff: Instant) -> Edit:
        """The window after a change, for a window already expired to `cutoff`.

        What the forecaster could not tell apart (a new status, a new `updated`) is no difference. An event below completeness,
        without a magnitude, before the cutoff, or that is no earthquake, is not in the window; revised into that, it leaves it.
        """
        old = self.find(change.id)
        new = change.event if change.event is not None and belongs(change.event, region, cutoff) else None
        if old is not None and new is not None and same_for_forecasts(old, new):
            return Edit(self._replaced(old, new), None, old, new)
        if old is None and new is None:
            return Edit(self, None)
        window = self if old is None else self._without(old)
        window = window if new is None else window._with(new)
        return Edit(window, min(key_of(event) for event in (old, new) if event is not None), old, new)

    def expire(self, cutoff: Instant) -> tuple[Window, tuple[Event, ...]]:
        """The window without what is older than the cutoff, and what left it."""
        count = bisect_left(self.events, (int(cutoff), ""), key=key_of)
        if count == 0:
            return self, ()
        gone = self.events[:count]
        return Window(self.events[count:], {event.id: event.time for event in self.events[count:]}), gone

    def after(self, key: Key | None) -> tuple[Event, ...]:
        """The events that come after a place, all for none."""
        if key is None:
            return self.events
        place = bisect_left(self.events, key, key=key_of)
        return self.events[place + 1 :] if place < len(self.events) and key_of(self.events[place]) == key else self.events[place:]

    def _with(self, event: Event) -> Window:
        place = bisect_left(self.events, key_of(event), key=key_of)
        return Window((*self.events[:place], event, *self.events[place:]), {**self.origin_times, event.id: event.time})

    def _without(self, event: Event) -> Window:
        place = bisect_left(self.events, key_of(event), key=key_of)
        return Window(self.events[:place] + self.events[place + 1 :], {i: t for i, t in self.origin_times.items() if i != event.id})

    def _replaced(self, old: Event, new: Event) -> Window:
        place = bisect_left(self.events, key_of(old), key=key_of)
        return Window((*self.events[:place], new, *self.events[place + 1 :]), self.origin_times)


def belongs(event: Event, region: Region, cutoff: Instant) -> bool:
    """Whether an event is one that the region's forecasts are made of."""
    return (
        event.type == EARTHQUAKE
        and event.magnitude is not None
        and event.magnitude >= region.magnitude_of_completeness
        and event.time >= cutoff
    )


def same_for_forecasts(one: Event, other: Event) -> bool:
    """Whether two versions agree in all that a forecaster may look at: time, place, depth, magnitude."""
    return (one.time, one.latitude, one.longitude, one.depth_km, one.magnitude) == (
        other.time, other.latitude, other.longitude, other.depth_km, other.magnitude,
    )  # fmt: skip
