"""What the feed said before against what it says now."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import pytest

from ingest.changes import Ledger
from ingest.event import Change, Event
from tests.support.simulated import NEIGHBOUR, REGION, at, by_partition, event, table, turns

TABLE = table()


def ledger() -> Ledger:
    return Ledger(TABLE)


def kinds(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.kind, change.region) for change in changes]


def test_a_first_version_is_added_a_second_is_updated_and_the_same_again_is_nothing() -> None:
    seen = ledger()
    (added,) = seen.observe(event("a"), at(1), "all_day")
    assert (added.kind, added.region, added.id, added.event, added.observed_at) == ("added", REGION.id, "a", event("a"), at(1))
    assert seen.observe(event("a"), at(2), "all_day") == []
    (updated,) = seen.observe(event("a", magnitude=4.4), at(3), "all_week")
    assert (updated.kind, updated.event, updated.source) == ("updated", event("a", magnitude=4.4), "all_week")


def test_a_version_is_said_once_whichever_sources_show_it() -> None:
    seen = ledger()
    told = [
        seen.observe(event("a"), at(hour), source)
        for hour, source in ((1, "all_day"), (1, "all_week"), (2, "fdsn_updates"), (3, "2.5_month"))
    ]
    assert [len(changes) for changes in told] == [1, 0, 0, 0]


def test_a_deletion_and_a_merger_end_an_event_once() -> None:
    seen = ledger()
    seen.observe(event("a"), at(1), "all_day")
    seen.observe(event("b"), at(1), "all_day")
    (deleted,) = seen.remove("a", at(2), "all_day", "its detail address says so")
    assert (deleted.kind, deleted.event, deleted.merged_into, deleted.reason) == ("deleted", None, None, "its detail address says so")
    (merged,) = seen.remove("b", at(2), "all_day", "another id", "c")
    assert (merged.kind, merged.merged_into) == ("merged", "c")
    assert seen.remove("a", at(3), "all_day", "again") == seen.remove("b", at(3), "all_day", "again", "c") == []


def test_the_end_of_an_unknown_event_is_nothing() -> None:
    assert ledger().remove("never-seen", at(1), "fdsn_updates", "deleted") == []


def test_a_move_across_the_border_is_a_deletion_there_and_an_addition_here() -> None:
    seen = ledger()
    seen.observe(event("a", longitude=39.9), at(1), "all_day")
    moved = seen.observe(event("a", longitude=40.1), at(2), "all_day")
    assert kinds(moved) == [("deleted", REGION.id), ("added", NEIGHBOUR.id)]
    assert [change.event for change in moved] == [None, event("a", longitude=40.1)]
    assert moved[0].reason == "moved to neighbour"
    assert kinds(seen.remove("a", at(3), "all_day", "deleted")) == [("deleted", NEIGHBOUR.id)]


def test_a_stale_statement_takes_nothing_back() -> None:
    seen = ledger()
    seen.observe(event("a", magnitude=4.4), at(5), "all_day")
    assert seen.observe(event("a", magnitude=4.0), at(4), "all_week") == []
    assert seen.remove("a", at(4), "all_week", "it is not there") == []
    assert seen.entries["a"].event.magnitude == 4.4


def test_a_repeated_statement_counts_as_a_new_one_in_time() -> None:
    seen = ledger()
    seen.observe(event("a"), at(1), "all_day")
    seen.observe(event("a"), at(5), "all_day")
    assert seen.remove("a", at(4), "all_week", "it is not there") == []


@pytest.mark.parametrize(("hour", "expected"), [(1.5, []), (2.0, []), (2.5, [("added", REGION.id)])])
def test_a_deleted_event_returns_only_by_a_newer_statement(hour: float, expected: list[tuple[str, str]]) -> None:
    seen = ledger()
    seen.observe(event("a"), at(1), "all_day")
    seen.remove("a", at(2), "all_day", "deleted")
    assert kinds(seen.observe(event("a"), at(hour), "all_week")) == expected


def test_what_a_feed_should_show_is_known_by_time_and_magnitude() -> None:
    seen = ledger()
    for one in (event("old", 1, 5.0), event("small", 3, 2.4), event("none", 3, None), event("a", 3, 2.5)):
        seen.observe(one, at(4), "all_day")
    assert seen.expected(at(2), None) == {"small", "none", "a"}
    assert seen.expected(at(2), 2.5) == {"a"}


def test_forgetting_drops_events_and_tombstones_beyond_the_horizon() -> None:
    seen = ledger()
    seen.observe(event("old", 0), at(1), "all_day")
    seen.observe(event("new", 20), at(21), "all_day")
    seen.observe(event("ended", 0), at(1), "all_day")
    seen.remove("ended", at(2), "all_day", "deleted")
    seen.forget(at(10))
    assert set(seen.entries) == {"new"}
    assert kinds(seen.observe(event("ended", 0), at(1.5), "all_day")) == [("added", REGION.id)]


def test_changes_of_a_replay_say_so() -> None:
    (added,) = Ledger(TABLE, test=True).observe(event("a"), at(1), "file")
    assert added.test


def recalled(*partitions: Iterable[Change]) -> Ledger:
    again = ledger()
    for changes in partitions:
        for change in changes:
            again.recall(change)
    return again


def by_region(changes: Iterable[Change]) -> list[list[Change]]:
    """As a log keeps them: each region's changes in order, the regions apart."""
    told = list(changes)
    return [[change for change in told if change.region == region] for region in (REGION.id, NEIGHBOUR.id)]


MOVES: dict[str, list[Event | None]] = {
    "there": [event("a"), event("a", longitude=44.0)],
    "there and back": [event("a"), event("a", longitude=44.0), event("a")],
    "there and deleted": [event("a"), event("a", longitude=44.0), None],
    "deleted here": [event("a"), None],
    "deleted and returned": [event("a"), None, event("a")],
    "back and forth": [event("a"), event("a", longitude=44.0), event("a"), event("a", longitude=44.0), event("a", magnitude=4.5)],
}


@pytest.mark.parametrize("versions", MOVES.values(), ids=MOVES.keys())
def test_a_ledger_recalled_from_the_log_knows_where_an_event_is_in_whichever_order_partitions_are_read(
    versions: list[Event | None],
) -> None:
    first, told = ledger(), list[Change]()
    for hour, version in enumerate(versions):
        told += first.observe(version, at(hour), "all_day") if version else first.remove("a", at(hour), "all_day", "deleted")
    for order in permutations(by_region(told)):
        again = recalled(*order)
        assert again.entries == first.entries
        shown = versions[-1] or event("a")
        stale, fresh = at(len(versions) - 1.5), at(len(versions))
        assert again.observe(shown, stale, "all_week") == []
        assert kinds(again.observe(shown, fresh, "all_day")) == ([] if versions[-1] else [("added", REGION.id)])


def test_a_ledger_recalled_from_a_long_history_repeats_nothing() -> None:
    made = turns(3, 80, 0.5)
    changes = [change for turn in made for change in turn.changes]
    first = recalled(changes)
    for order in permutations(
        [r for r in records if isinstance(r, Change)] for records in by_partition(made).values() if len(records) > len(made)
    ):
        again = recalled(*order)
        assert {known.event for known in again.entries.values()} == {known.event for known in first.entries.values()}
        assert [again.observe(known.event, at(500), "all_day") for known in first.entries.values()] == [[]] * len(first.entries)
