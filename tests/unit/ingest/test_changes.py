"""The ledger derives changes from reports, and from the log after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest

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
    ledger.observe(event("b"), at(1), "all_day")
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


def test_changes_of_a_replay_are_marked_as_test() -> None:
    (added,) = Ledger(TABLE, test=True).observe(event("a"), at(1), "file")
    assert added.test


def recalled_ledger(*partitions: Iterable[Change]) -> Ledger:
    again = new_ledger()
    for changes in partitions:
        for change in changes:
            again.recall(change)
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
