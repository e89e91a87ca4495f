"""Index of the known events: current version, time of the first report, number of versions. A fold of changes without IO."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ingest.event import Change, Event
from ingest.instant import Instant
from stream.records import KnownEvent

MOST_EVENTS = 200_000


class EventState(NamedTuple):
    """The state of one event id in one region, after the region's changes so far."""

    event: Event
    region: str
    observed_at: Instant
    changed_at: Instant
    versions: int
    deleted: bool
    merged_into: str | None
    test: bool


class EventIndex:
    """Events by id. An event that moved across a border is deleted in one region and added in another, so each region has a state of it."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, EventState]] = {}
        """By event id and region."""
        self._current: dict[str, EventState] = {}
        """By event id, the state in the region where the event is, or was last."""
        self._aliases: dict[str, str] = {}
        """By any other id that an event was reported under, its id."""
        self._newest_first: list[EventState] | None = None
        """The current states sorted by origin time; None after a change."""

    def __len__(self) -> int:
        """Return the number of events that are not deleted."""
        return sum(not state.deleted for state in self._sorted())

    def apply(self, change: Change) -> None:
        """Apply one change."""
        regions = self._states.get(change.id, {})
        before = regions.get(change.region)
        if change.event is not None:
            observed_at = change.observed_at if before is None else before.observed_at
            versions = 1 if before is None else before.versions + 1
            self._aliases |= dict.fromkeys(change.event.other_ids, change.id)
            state = EventState(change.event, change.region, observed_at, change.observed_at, versions, False, None, change.test)
        elif before is not None:
            state = before._replace(changed_at=change.observed_at, deleted=True, merged_into=change.merged_into)
        else:
            return  # a deletion of an event that came before the records that were read
        self._states[change.id] = regions | {change.region: state}
        self._current[change.id] = max(self._states[change.id].values(), key=lambda one: (not one.deleted, one.changed_at))
        self._newest_first = None

    def drop_before(self, time: Instant) -> None:
        """Drop the events whose origin is before a time, and the oldest ones beyond `MOST_EVENTS`."""
        for number, state in enumerate(self._sorted()):
            if number >= MOST_EVENTS or state.event.time < time:
                del self._states[state.event.id], self._current[state.event.id]
                for alias in state.event.other_ids:
                    if self._aliases.get(alias) == state.event.id:
                        del self._aliases[alias]
                self._newest_first = None

    def get(self, event_id: str) -> KnownEvent | None:
        """Return an event by its id, or by any id that it was reported under; the event that it was merged into, if it was."""
        known = self._current.get(event_id) or self._current.get(self._aliases.get(event_id, ""))
        if known is not None and known.merged_into is not None:
            known = self._current.get(known.merged_into, known)
        return None if known is None else self._known_event(known)

    def by_region(self) -> dict[str, list[Event]]:
        """Return the events that are not deleted, by region, in no particular order."""
        events: dict[str, list[Event]] = {}
        for state in self._current.values():
            if not state.deleted:
                events.setdefault(state.region, []).append(state.event)
        return events

    def of_region(self, region: str) -> list[Event]:
        """Return a region's events that are not deleted, in no particular order."""
        return [state.event for state in self._current.values() if state.region == region and not state.deleted]

    def newest_first(self, matches: Callable[[EventState], bool] = lambda _: True) -> Iterator[KnownEvent]:
        """Return the matching events, deleted ones included, from the newest origin time to the oldest."""
        return (self._known_event(state) for state in self._sorted() if matches(state))

    def _sorted(self) -> list[EventState]:
        if self._newest_first is None:
            self._newest_first = sorted(self._current.values(), key=lambda state: (state.event.time, state.event.id), reverse=True)
        return self._newest_first

    def _known_event(self, current: EventState) -> KnownEvent:
        states = self._states[current.event.id].values()
        fields = {name: getattr(current.event, name) for name in Event.__struct_fields__}
        return KnownEvent(
            **fields,
            region=current.region,
            observed_at=min(state.observed_at for state in states),
            versions=sum(state.versions for state in states),
            deleted=current.deleted,
            merged_into=current.merged_into,
            test=current.test,
        )
