"""The events that are known: current version, first sight, versions, what became of them. A fold of changes without IO."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingest.event import Change, Event
from ingest.instant import Instant
from stream.records import KnownEvent

MOST_EVENTS = 200_000


class EventState(NamedTuple):
    """What a region's records say of an id."""

    event: Event
    region: str
    observed_at: Instant
    changed_at: Instant
    versions: int
    deleted: bool
    merged_into: str | None
    test: bool


class EventIndex:
    """By id, what each region says of it: one that moved across a border is deleted in one region and added in another."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, EventState]] = {}
        self._now: dict[str, EventState] = {}
        """By id, what is said by the region where it is, or was last."""
        self._order: list[EventState] | None = None
        """The same newest first; none when something has changed since."""

    def __len__(self) -> int:
        """Events that were not deleted."""
        return sum(not told.deleted for told in self._ordered())

    def take(self, change: Change) -> None:
        """Fold one change in."""
        regions = self._told.get(change.id, {})
        before = regions.get(change.region)
        if change.event is not None:
            seen = change.observed_at if before is None else before.observed_at
            versions = 1 if before is None else before.versions + 1
            told = EventState(change.event, change.region, seen, change.observed_at, versions, False, None, change.test)
        elif before is not None:
            told = before._replace(changed_at=change.observed_at, deleted=True, merged_into=change.merged_into)
        else:
            return  # it came before all that was read
        self._told[change.id] = regions | {change.region: told}
        self._now[change.id] = max(self._told[change.id].values(), key=lambda one: (not one.deleted, one.changed_at))
        self._order = None

    def forget(self, before: Instant) -> None:
        """Let go of what happened before a moment, and of the oldest when there are too many."""
        ordered = self._ordered()
        for number, told in enumerate(ordered):
            if number >= MOST_EVENTS or told.event.time < before:
                del self._told[told.event.id], self._now[told.event.id]
                self._order = None

    def get(self, event_id: str) -> KnownEvent | None:
        """An event by its id."""
        return self._known(self._now[event_id]) if event_id in self._now else None

    def by_region(self) -> dict[str, list[Event]]:
        """Those that were not deleted, in no order."""
        found: dict[str, list[Event]] = {}
        for told in self._now.values():
            if not told.deleted:
                found.setdefault(told.region, []).append(told.event)
        return found

    def of_region(self, region: str) -> list[Event]:
        """A region's events that were not deleted, in no order."""
        return [told.event for told in self._now.values() if told.region == region and not told.deleted]

    def newest_first(self, fits: Callable[[EventState], bool] = lambda _: True) -> Iterator[KnownEvent]:
        """Those that fit, by origin time."""
        return (self._known(told) for told in self._ordered() if fits(told))

    def _ordered(self) -> list[EventState]:
        if self._order is None:
            self._order = sorted(self._now.values(), key=lambda told: (told.event.time, told.event.id), reverse=True)
        return self._order

    def _known(self, now: EventState) -> KnownEvent:
        regions = self._told[now.event.id].values()
        fields = {name: getattr(now.event, name) for name in Event.__struct_fields__}
        first, versions = min(told.observed_at for told in regions), sum(told.versions for told in regions)
        return KnownEvent(
            **fields,
            region=now.region,
            observed_at=first,
            versions=versions,
            deleted=now.deleted,
            merged_into=now.merged_into,
            test=now.test,
        )
