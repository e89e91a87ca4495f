"""The events that are known: current version, first sight, versions, what became of them. A fold of changes without IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ingest.event import Change, Event
from ingest.instant import Instant

MOST_EVENTS = 200_000


class KnownEvent(Event, frozen=True, kw_only=True):
    """An event as it is known now."""

    region: str
    observed_at: Instant
    """The feed's time when it was first seen."""
    versions: int
    deleted: bool
    merged_into: str | None = None
    """The id that it was given up for."""
    test: bool = False


class Told(NamedTuple):
    """What a region's records say of an id."""

    event: Event
    region: str
    observed_at: Instant
    changed_at: Instant
    versions: int
    deleted: bool
    merged_into: str | None
    test: bool


class KnownEvents:
    """By id, what each region says of it: one that moved across a border is deleted in one region and added in another."""

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Told]] = {}

    def __len__(self) -> int:
        """Events that were not deleted."""
        return sum(1 for event_id in self._told if not self._now(event_id).deleted)

    def take(self, change: Change) -> None:
        """Fold one change in."""
        regions = self._told.setdefault(change.id, {})
        before = regions.get(change.region)
        if change.event is not None:
            seen = change.observed_at if before is None else before.observed_at
            versions = 1 if before is None else before.versions + 1
            regions[change.region] = Told(change.event, change.region, seen, change.observed_at, versions, False, None, change.test)
        elif before is not None:
            regions[change.region] = before._replace(changed_at=change.observed_at, deleted=True, merged_into=change.merged_into)
        elif not regions:
            del self._told[change.id]  # it came before all that was read

    def forget(self, before: Instant) -> None:
        """Let go of what happened before a moment, and of the oldest when there are too many."""
        old = [event_id for event_id in self._told if self._now(event_id).event.time < before]
        for event_id in old:
            del self._told[event_id]
        if len(self._told) > MOST_EVENTS:
            oldest = sorted(self._told, key=lambda event_id: self._now(event_id).event.time)
            for event_id in oldest[: len(self._told) - MOST_EVENTS]:
                del self._told[event_id]

    def get(self, event_id: str) -> KnownEvent | None:
        """An event by its id."""
        return _known(self._now(event_id), self._told[event_id]) if event_id in self._told else None

    def by_region(self) -> dict[str, list[Event]]:
        """Those that were not deleted, in no order."""
        found: dict[str, list[Event]] = {}
        for regions in self._told.values():
            for region, told in regions.items():
                if not told.deleted:
                    found.setdefault(region, []).append(told.event)
        return found

    def of_region(self, region: str) -> list[Event]:
        """A region's events that were not deleted, in no order."""
        found = (regions[region] for regions in self._told.values() if region in regions)
        return [told.event for told in found if not told.deleted]

    def newest_first(self) -> Iterator[KnownEvent]:
        """All, by origin time."""
        for event_id in sorted(self._told, key=lambda one: (self._now(one).event.time, one), reverse=True):
            yield _known(self._now(event_id), self._told[event_id])

    def _now(self, event_id: str) -> Told:
        """Where it is: the region that has it, else the last that had."""
        return max(self._told[event_id].values(), key=lambda told: (not told.deleted, told.changed_at))


def _known(now: Told, regions: dict[str, Told]) -> KnownEvent:
    fields = {name: getattr(now.event, name) for name in Event.__struct_fields__}
    first = min(told.observed_at for told in regions.values())
    versions = sum(told.versions for told in regions.values())
    return KnownEvent(
        **fields, region=now.region, observed_at=first, versions=versions, deleted=now.deleted, merged_into=now.merged_into, test=now.test
    )
