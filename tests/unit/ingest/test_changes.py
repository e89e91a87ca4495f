"""The ledger derives changes from reports, and from the log after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, permutations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.changes import Ledger
from ingest.event import Change, Event
from tests.support.simulated import NEIGHBOUR, REGION, at, event, records_by_partition, simulated_polls, table

TABLE = table()


def new_ledger() -> Ledger:
    return Ledger(TABLE)


def kinds(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.region) for change in changes]


def test_the_first_version_is_added_the_next_updated_and_the_same_version_is_no_change() -> None:
    ledger = new_ledger()
    (added,) = ledger.observe(event("a"), at(1), "all_day")
    assert (added.kind, added.region, added.id, added.event, added.observed_at) == ("added", REGION.id, "a", event("a"), at(1))
    assert ledger.observe(event("a"), at(2), "all_day") == []
    (updated,) = ledger.observe(event("a", magnitude=4.4), at(3), "all_week")
    assert (updated.kind, updated.event, updated.source) == ("updated", event("a", magnitude=4.4), "all_week")


def test_a_version_that_several_channels_report_is_one_change() -> None:
    ledger = new_ledger()
    reports = [
        ledger.observe(event("a"), at(hour), source)
        for hour, source in ((1, "all_day"), (1, "all_week"), (2, "fdsn_updates"), (3, "2.5_month"))
    ]
    assert [len(changes) for changes in reports] == [1, 0, 0, 0]


def test_a_deletion_and_a_merge_end_an_event_once() -> None:
    ledger = new_ledger()
    ledger.observe(event("a"), at(1), "all_day")
    ledger.observe(event("b", 0.5), at(1), "all_day")
    (deleted,) = ledger.remove("a", at(2), "all_day", "its detail address says so")
    assert (deleted.kind, deleted.event, deleted.merged_into, deleted.reason) == ("deleted", None, None, "its detail address says so")
    (merged,) = ledger.remove("b", at(2), "all_day", "another id", "c")
    assert (merged.kind, merged.merged_into) == ("merged", "c")
    assert ledger.remove("a", at(3), "all_day", "again") == ledger.remove("b", at(3), "all_day", "again", "c") == []


def test_the_deletion_of_an_unknown_event_is_no_change() -> None:
    assert new_ledger().remove("never-seen", at(1), "fdsn_updates", "deleted") == []


def test_a_move_to_another_region_is_a_deletion_from_one_and_an_addition_to_the_other() -> None:
    ledger = new_ledger()
    ledger.observe(event("a", longitude=39.9), at(1), "all_day")
    moved = ledger.observe(event("a", longitude=40.1), at(2), "all_day")
    assert kinds(moved) == [("deleted", REGION.id), ("added", NEIGHBOUR.id)]
    assert [change.event for change in moved] == [None, event("a", longitude=40.1)]
    assert moved[0].reason == "moved to neighbour"
    assert kinds(ledger.remove("a", at(3), "all_day", "deleted")) == [("deleted", NEIGHBOUR.id)]


def test_an_older_report_changes_nothing() -> None:
    ledger = new_ledger()
    ledger.observe(event("a", magnitude=4.4), at(5), "all_day")
    assert ledger.observe(event("a", magnitude=4.0), at(4), "all_week") == []
    assert ledger.remove("a", at(4), "all_week", "it is not there") == []
    assert ledger.entries["a"].event.magnitude == 4.4


def revision(hours: float, magnitude: float = 4.0, place: str = "here") -> Event:
    """Return a version of the event `a` of the hour 0 that was revised at an hour."""
    return event("a", magnitude=magnitude, updated=at(hours), place=place)


def test_the_time_of_revision_decides_which_version_is_newer_whatever_the_clocks_of_the_channels() -> None:
    ledger = new_ledger()
    ledger.observe(revision(1.0, 4.0), at(25), "2.5_month")
    assert kinds(ledger.observe(revision(2.0, 4.4), at(2), "all_day")) == [("updated", REGION.id)]
    assert ledger.observe(revision(1.0, 4.0), at(26), "2.5_month") == []
    assert ledger.entries["a"].event == revision(2.0, 4.4)


def test_a_channel_whose_clock_is_hours_behind_does_not_lend_its_news_to_be_undone() -> None:
    """It has the newest version first, which lies in its own future; a cache whose clock is right shows the version before."""
    ledger = new_ledger()
    ledger.observe(revision(1.0, 4.0), at(1), "all_day")
    ledger.observe(event("other", -50.0, longitude=31.0), at(5), "all_day")
    assert kinds(ledger.observe(revision(4.5, 4.4), at(2), "behind")) == [("updated", REGION.id)]
    assert ledger.observe(revision(1.0, 4.0), at(5), "all_day") == []


def test_a_change_without_a_new_time_of_revision_counts_once() -> None:
    """Seen in the recorded feed in one update of nine, nearly always a place that is named differently; never the way back."""
    ledger = new_ledger()
    ledger.observe(revision(1.0), at(1), "all_day")
    assert kinds(ledger.observe(revision(1.0, place="there"), at(2), "all_day")) == [("updated", REGION.id)]
    assert ledger.observe(revision(1.0), at(3), "2.5_month") == []
    assert ledger.observe(revision(1.0, place="elsewhere"), at(1.5), "all_week") == []
    again = recalled_ledger(changes := ledger.observe(revision(2.0), at(4), "all_day"))
    assert len(changes) == 1
    assert again.observe(revision(2.0), at(5), "all_day") == []


def test_a_recalled_ledger_knows_the_versions_of_the_present_revision() -> None:
    ledger = new_ledger()
    changes = [
        change for hour, place in ((1, "here"), (2, "there")) for change in ledger.observe(revision(1.0, place=place), at(hour), "x")
    ]
    assert recalled_ledger(changes).observe(revision(1.0), at(3), "2.5_month") == []


@pytest.mark.parametrize("updated", [0.0, 900.0], ids=["missing", "in the future"])
def test_a_time_of_revision_that_is_missing_or_damaged_hides_no_later_report(updated: float) -> None:
    ledger = new_ledger()
    for hour, version in enumerate((revision(0.5), revision(updated, 4.4), revision(3.0, 4.5), revision(updated, 4.4), revision(updated))):
        assert len(ledger.observe(version, at(1 + hour), "all_day")) == 1
        assert ledger.entries["a"].event == version


class Skewed(NamedTuple):
    """A channel whose clock is off, and which shows what was true some time ago."""

    clock_hours: float
    lag_hours: float


CHANNELS = st.lists(st.builds(Skewed, st.floats(-3, 3), st.floats(0, 2)), min_size=1, max_size=4)
OTHER = event("other", -50.0, longitude=31.0)
"""What a channel whose clock is right reports at each turn: by one that is behind alone, times of revision lie in the future."""
REVISIONS = st.lists(st.tuples(st.floats(0.1, 3.0), st.booleans()), max_size=6)
"""By version, hours since the one before, and whether its time of revision is that of the one before."""


def history_of(revisions: list[tuple[float, bool]]) -> list[tuple[float, Event]]:
    """Return the versions of an event with the hours of their publication."""
    versions, hours, updated = [(0.5, revision(0.5))], 0.5, 0.5
    for number, (pause, keeps_time) in enumerate(revisions):
        hours += pause
        updated = updated if keeps_time else hours
        versions.append((hours, revision(updated, place=f"place {number}")))
    return versions


@given(CHANNELS, REVISIONS, st.lists(st.tuples(st.floats(0.01, 1.0), st.integers(0, 3)), max_size=40), st.integers(0, 40))
def test_channels_with_other_clocks_and_caches_never_repeat_a_change(
    channels: list[Skewed], revisions: list[tuple[float, bool]], polls: list[tuple[float, int]], restart: int
) -> None:
    versions, ledger, changes, now = history_of(revisions), new_ledger(), list[Change](), 0.6
    for number, (pause, channel) in enumerate([*polls, *((20.0, channel) for channel in range(len(channels)))]):
        now += pause
        clock_hours, lag_hours = channels[channel % len(channels)]
        shown = [version for since, version in versions if since <= now - lag_hours]
        if number == restart:
            ledger = recalled_ledger(changes)
        ledger.observe(OTHER, at(now), "all_day")
        if shown:
            changes += ledger.observe(shown[-1], at(now + clock_hours), f"channel {channel % len(channels)}")
    published = [change.event for change in changes if change.event is not None]
    assert len(set(published)) == len(published)
    assert all(before.updated <= after.updated for before, after in pairwise(published))
    assert published[-1].updated == versions[-1][1].updated


def test_a_repeated_report_counts_with_its_own_time() -> None:
    ledger = new_ledger()
    ledger.observe(event("a"), at(1), "all_day")
    ledger.observe(event("a"), at(5), "all_day")
    assert ledger.remove("a", at(4), "all_week", "it is not there") == []


@pytest.mark.parametrize(("hour", "expected"), [(1.5, []), (2.0, []), (2.5, [("added", REGION.id)])])
def test_a_deleted_event_returns_only_by_a_newer_report(hour: float, expected: list[tuple[str, str]]) -> None:
    ledger = new_ledger()
    ledger.observe(event("a"), at(1), "all_day")
    ledger.remove("a", at(2), "all_day", "deleted")
    assert kinds(ledger.observe(event("a"), at(hour), "all_week")) == expected


def test_a_channel_is_expected_to_list_events_by_time_and_magnitude() -> None:
    ledger = new_ledger()
    for one in (event("old", 1, 5.0), event("small", 3, 2.4), event("none", 3, None), event("a", 3, 2.5)):
        ledger.observe(one, at(4), "all_day")
    assert ledger.expected(at(2), None) == {"small", "none", "a"}
    assert ledger.expected(at(2), 2.5) == {"a"}


def test_old_events_and_ends_are_forgotten() -> None:
    ledger = new_ledger()
    ledger.observe(event("old", 0), at(1), "all_day")
    ledger.observe(event("new", 20), at(21), "all_day")
    ledger.observe(event("ended", 0), at(1), "all_day")
    ledger.remove("ended", at(2), "all_day", "deleted")
    ledger.forget(at(10))
    assert set(ledger.entries) == {"new"}
    assert kinds(ledger.observe(event("ended", 0), at(1.5), "all_day")) == [("added", REGION.id)]


def recalled_ledger(*partitions: Iterable[Change]) -> Ledger:
    again = new_ledger()
    for changes in partitions:
        for change in changes:
            again.recall(change)
    again.rebuild()
    return again


def changes_by_region(changes: Iterable[Change]) -> list[list[Change]]:
    """Return the changes as a log keeps them: those of each region in order, the regions apart."""
    in_order = list(changes)
    return [[change for change in in_order if change.region == region] for region in (REGION.id, NEIGHBOUR.id)]


MOVES: dict[str, list[Event | None]] = {
    "there": [event("a"), event("a", longitude=44.0)],
    "there and back": [event("a"), event("a", longitude=44.0), event("a")],
    "there and deleted": [event("a"), event("a", longitude=44.0), None],
    "deleted here": [event("a"), None],
    "deleted and returned": [event("a"), None, event("a")],
    "back and forth": [event("a"), event("a", longitude=44.0), event("a"), event("a", longitude=44.0), event("a", magnitude=4.5)],
}


@pytest.mark.parametrize("versions", MOVES.values(), ids=MOVES.keys())
def test_a_recalled_ledger_has_each_event_in_its_region_in_whichever_order_partitions_are_read(
    versions: list[Event | None],
) -> None:
    first, changes = new_ledger(), list[Change]()
    for hour, version in enumerate(versions):
        changes += first.observe(version, at(hour), "all_day") if version else first.remove("a", at(hour), "all_day", "deleted")
    for order in permutations(changes_by_region(changes)):
        again = recalled_ledger(*order)
        assert again.entries == first.entries
        shown = versions[-1] or event("a")
        stale, fresh = at(len(versions) - 1.5), at(len(versions))
        assert again.observe(shown, stale, "all_week") == []
        assert kinds(again.observe(shown, fresh, "all_day")) == ([] if versions[-1] else [("added", REGION.id)])


def test_a_recalled_ledger_repeats_no_change() -> None:
    history = simulated_polls(3, 80, 0.5)
    changes = [change for turn in history for change in turn.changes]
    first = recalled_ledger(changes)
    for order in permutations(
        [r for r in records if isinstance(r, Change)] for records in records_by_partition(history).values() if len(records) > len(history)
    ):
        again = recalled_ledger(*order)
        assert {entry.event for entry in again.entries.values()} == {entry.event for entry in first.entries.values()}
        assert [again.observe(entry.event, at(500), "all_day") for entry in first.entries.values()] == [[]] * len(first.entries)
