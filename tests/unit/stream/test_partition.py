"""A partition of the input: the same records give the same bytes, with restarts anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import EARTHQUAKE, Change, Event, InputRecord, decode, encode
from stream.alerts.rules import Rule
from stream.core.position import BEGINNING, RegionChange, SavedRegion
from stream.core.window import key_of
from stream.partition import Partition
from stream.records.alert import decode_alerts, encode_alerts
from stream.records.forecast import decode_forecast
from stream.store.memory_parts import encode_part, memory_of, parts_change
from stream.store.protocol import decode_scoring, encode_scoring
from tests.support.simulated import (
    NEIGHBOUR,
    REGION,
    SumForecaster,
    at,
    beat,
    change,
    event,
    fold_events,
    records_by_partition,
    simulated_polls,
    table,
)

TABLE = table()


RULES = (
    Rule("seen", "magnitude", at_least=4.5, release=4.2),
    Rule("likely", "probability", magnitude=5.0, within="1d", at_least=0.1, release=0.07, change=1.1, minimum_interval_minutes=20),
    Rule("busier", "busy", at_most=0.05, release=0.2, weeks=1),
    Rule("silent", "feed", at_least=300.0),
)


DEPTHS = pytest.mark.parametrize("depth", [0.0, 0.3, 2.0])
"""How far below completeness the forecaster reads sources; the simulated feed goes 0.4 (in `neighbour` 0.9) below it."""


def partition(number: int = 4, depth: float = 0.0) -> Partition:
    return Partition(number, TABLE, SumForecaster(source_depth=depth), rules=RULES)


def fold(into: Partition, records: Iterable[InputRecord]) -> list[bytes]:
    """Fold all records, each at the offset three times its number (a log may leave holes); return what was issued."""
    return [body for record in records for _, body in into.take(record, 3 * record.sequence)]


def records_of_both_regions(seed: int = 1, count: int = 60, every_hours: float = 0.5) -> list[InputRecord]:
    """Return the records of a simulated sequence with both its regions in one partition."""
    records: list[InputRecord] = []
    for changes, heartbeat in simulated_polls(seed, count, every_hours):
        for one in changes:
            records.append(msgspec.structs.replace(one, sequence=len(records)))
        records.append(msgspec.structs.replace(heartbeat, sequence=len(records)))
    return records


class FakeStore:
    """A store in memory: the changes applied, with each part of a memory encoded and decoded."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Event]] = {}
        self.rest: dict[str, RegionChange] = {}
        self.parts: dict[str, dict[int, bytes]] = {}

    def save(self, of: Partition) -> None:
        for region_id, edit in of.changes().items():
            events = self.events.setdefault(region_id, {})
            for event_id in edit.removed:
                events.pop(event_id, None)
            events.update({one.id: one for one in edit.written})
            self.rest[region_id] = edit
            parts, (written, removed) = self.parts.setdefault(region_id, {}), parts_change(edit.memory_before, edit.memory)
            for ordinal in removed:
                del parts[ordinal]
            parts |= {part.ordinal: encode_part(part) for part in written}
        of.mark_saved()

    def regions(self) -> dict[str, SavedRegion]:
        return {region_id: self.region(region_id) for region_id in self.rest}

    def region(self, region_id: str) -> SavedRegion:
        rest, events = self.rest[region_id], tuple(self.events[region_id].values())
        memory, scoring = memory_of(self.parts[region_id].values()), decode_scoring(encode_scoring(rest.scoring))
        return SavedRegion(events, memory, rest.due_at, rest.forecast, scoring, decode_alerts(encode_alerts(rest.alerts)))


def test_the_simulated_sequence_has_every_kind_of_change() -> None:
    records = records_of_both_regions()
    kinds = [record.kind for record in records if isinstance(record, Change)]
    assert {"added", "updated", "deleted", "merged"} == set(kinds)
    added = [record.event for record in records if isinstance(record, Change) and record.kind == "added"]
    times = [one.time for one in added if one is not None]
    assert times != sorted(times)
    assert {record.region for record in records if isinstance(record, Change)} == {REGION.id, NEIGHBOUR.id}
    assert [record.sequence for record in records] == list(range(len(records)))


def test_the_same_records_give_the_same_bytes() -> None:
    assert fold(partition(), records_of_both_regions()) == fold(partition(), records_of_both_regions())


def test_every_forecast_has_an_id_of_its_own() -> None:
    forecasts = [decode_forecast(body) for body in fold(partition(), records_of_both_regions()) if b"quakecast.forecast/1" in body]
    assert len({forecast.id for forecast in forecasts}) == len(forecasts) > 100
    assert {forecast.region for forecast in forecasts} == {REGION.id, NEIGHBOUR.id}


@DEPTHS
def test_the_state_at_the_end_is_the_fold_of_the_last_versions(depth: float) -> None:
    """Invariant 3: live state equals offline state for the same final window."""
    live, last = partition(depth=depth), dict[str, Event | None]()
    records = [record for record in records_of_both_regions() if record.observed_at < at(100)]  # before anything expires
    fold(live, records)
    for record in records:
        if isinstance(record, Change):
            last |= {record.id: record.event if record.region == REGION.id and record.event is not None else None}
    lowest, state = REGION.magnitude_of_completeness - depth, live.state(REGION.id)
    known = [one for one in last.values() if one is not None and one.type == EARTHQUAKE and (one.magnitude or 0.0) >= lowest]
    assert state.in_force.events == tuple(sorted(known, key=key_of))
    assert len(state.window.events) > 20
    assert bool(state.sources.events) == bool(depth)
    assert all(REGION.magnitude_of_completeness > (one.magnitude or 0.0) >= lowest for one in state.sources.events)
    assert state.memory.head == fold_events(SumForecaster(), known and state.in_force.events, state.memory.base)
    assert state.memory.base == SumForecaster().start(REGION)


def test_sources_are_neither_counted_nor_scored() -> None:
    """A source leads to a forecast, because it changes the rate; the counts of every forecast are those of the events above it."""
    records, reading, plain = records_of_both_regions(), partition(depth=2.0), partition()
    issued, fewer = ({one.id: one for one in map(decode_forecast, filter(is_forecast, fold(live, records)))} for live in (reading, plain))
    of_changes = [one for one in fewer.values() if one.cause != "heartbeat"]
    assert len(issued) > len(fewer)
    assert all(issued[one.id].events_in_window == one.events_in_window for one in of_changes)
    assert all(issued[one.id].last_event_at == one.last_event_at for one in of_changes)
    assert any(issued[one.id].wait != one.wait for one in of_changes)
    totals = [live.state(REGION.id).scoring.total.events for live in (reading, plain)]
    assert totals[0] == totals[1] > 20


def is_forecast(body: bytes) -> bool:
    return b"quakecast.forecast/1" in body


def test_an_event_revised_across_completeness_is_in_one_window_only() -> None:
    live = partition(depth=1.0)
    for number, magnitude in enumerate((2.4, 2.6, 2.0, 2.5, 1.4)):
        live.take(change(event("a", 1, magnitude), sequence=number, kind="updated" if number else "added"), number)
        counted, sources = live.state(REGION.id).in_force
        assert len(counted.events) == (magnitude >= 2.5)
        assert len(sources.events) == (1.5 <= magnitude < 2.5)
        assert [one.id for one in live.changes()[REGION.id].written] == ["a"] * (magnitude >= 1.5)
    assert live.changes()[REGION.id].removed == ("a",)
    assert live.changes()[REGION.id].window_digest == 0


def test_a_record_delivered_twice_does_nothing_the_second_time() -> None:
    once, twice = partition(), partition()
    records = records_of_both_regions(count=20)
    doubled = [record for start in range(0, len(records), 5) for record in records[start : start + 5] * 2]
    assert fold(once, records) == fold(twice, doubled)
    assert once.position == twice.position
    assert once.state(REGION.id) == twice.state(REGION.id)


def test_the_position_moves_past_a_repeated_record() -> None:
    live = partition()
    live.take(beat(1, sequence=0), 0)
    assert live.take(beat(1, sequence=0), 7) == []
    assert (live.position.offset, live.position.sequence) == (8, 0)


def test_the_clock_never_goes_back() -> None:
    live = partition()
    assert live.position.clock == BEGINNING
    live.take(beat(5, sequence=0), 0)
    ((forecast, _),) = live.take(change(event("a", 1), sequence=1, observed=at(2)), 1)
    assert forecast.issued_at == at(5) == live.position.clock


def test_a_heartbeat_leads_to_forecasts_of_the_due_regions_in_the_order_of_their_ids() -> None:
    live = Partition(4, TABLE, SumForecaster())
    live.take(change(event("t", 0), sequence=0), 0)
    live.take(change(event("n", 0.25, longitude=44.0), region=NEIGHBOUR.id, sequence=1), 1)
    assert [issued.region for issued, _ in live.take(beat(0.99, 2), 2)] == []
    assert [issued.region for issued, _ in live.take(beat(1.1, 3), 3)] == [REGION.id]
    assert [issued.region for issued, _ in live.take(beat(9.0, 4), 4)] == [NEIGHBOUR.id, REGION.id]


def test_a_record_of_an_unknown_region_changes_nothing() -> None:
    live = partition()
    with pytest.raises(KeyError):
        live.take(change(event("a"), region="atlantis", sequence=0), 0)
    assert (live.position.offset, live.position.sequence) == (0, -1)
    assert live.changes() == live.everything() == {}


def test_another_model_or_another_region_table_is_another_basis() -> None:
    bases = {Partition(0, TABLE, SumForecaster(name)).basis for name in ("sum-1", "sum-2")}
    assert len(bases) == 2
    assert all(TABLE.fingerprint in basis for basis in bases)


def test_a_region_whose_window_stays_empty_needs_no_saving() -> None:
    live = partition()
    assert live.take(change(event("a", magnitude=1.0), sequence=0), 0) == []
    assert live.changes() == live.everything() == {}


def test_a_region_whose_window_stays_empty_is_not_saved_when_models_change() -> None:
    live = partition()
    live.take(change(event("a", magnitude=1.0), sequence=0), 0)
    live.stand_in("its folder is not here")  # folds every region again
    assert live.changes() == live.everything() == {}


def test_a_status_only_revision_is_saved() -> None:
    live = partition()
    live.take(change(event("a"), sequence=0), 0)
    live.mark_saved()
    reviewed = event("a", status="reviewed")
    assert live.take(change(reviewed, sequence=1), 1) == []
    assert live.changes()[REGION.id].written == (reviewed,)


def test_a_save_writes_the_parts_of_a_memory_that_have_changed() -> None:
    live = partition()
    live.take(change(event("a"), sequence=0), 0)
    assert parts_written(live) == {REGION.id: [0, 1]}  # the base, and the memory after the event
    live.take(beat(2.0, sequence=1), 1)
    assert parts_written(live) == {REGION.id: []}
    live.take(change(event("b", 3.0), sequence=2), 2)
    assert parts_written(live) == {REGION.id: [2]}
    live.take(beat(24.0 * REGION.window_days + 1.0, sequence=3), 3)  # the first event expires: the base moves on
    assert parts_written(live) == {REGION.id: [0]}


def parts_written(live: Partition) -> dict[str, list[int]]:
    """Save a partition; return, by region, the ordinals of the parts written."""
    changes = live.changes()
    live.mark_saved()
    return {region: [part.ordinal for part in parts_change(one.memory_before, one.memory).written] for region, one in changes.items()}


def fold_with_restarts(records: Sequence[InputRecord], cuts: Iterable[int], depth: float = 0.0) -> list[bytes]:
    """Return what is issued by a chain of partitions, each restored from what the preceding one has saved."""
    store, issued, current = FakeStore(), list[bytes](), partition(depth=depth)
    bounds = [0, *sorted(cuts), len(records)]
    for start, end in pairwise(bounds):
        issued += fold(current, records[start:end])
        store.save(current)
        position = current.position
        current = Partition(4, TABLE, SumForecaster(source_depth=depth), position, rules=RULES)
        current.restore(store.regions())
    return issued


@settings(max_examples=40)
@given(st.integers(0, 5), st.lists(st.integers(0, 400), max_size=8), st.sampled_from((0.0, 0.3, 2.0)))
def test_a_history_saved_and_restored_anywhere_continues_with_the_same_bytes(seed: int, cuts: list[int], depth: float) -> None:
    records = records_of_both_regions(seed, count=50, every_hours=1.0)
    within = [number for number in cuts if number <= len(records)]
    assert fold_with_restarts(records, within, depth) == fold(partition(depth=depth), records)


@DEPTHS
def test_a_restart_after_every_record_changes_no_byte(depth: float) -> None:
    records = records_of_both_regions(7, count=40, every_hours=2.0)
    assert fold_with_restarts(records, range(1, len(records)), depth) == fold(partition(depth=depth), records)


@DEPTHS
def test_saving_after_every_record_saves_the_same_as_saving_everything(depth: float) -> None:
    store, live = FakeStore(), partition(depth=depth)
    for record in records_of_both_regions(count=40, every_hours=1.0):
        live.take(record, record.sequence)
        store.save(live)
    whole = live.everything()
    assert {region: sorted(events) for region, events in store.events.items() if events} == {
        region: sorted(one.id for one in edit.written) for region, edit in whole.items() if edit.written
    }
    assert {region: edit._replace(written=(), removed=(), memory_before=None) for region, edit in store.rest.items()} == {
        region: edit._replace(written=(), removed=()) for region, edit in whole.items() if region in store.rest
    }


def test_records_are_unchanged_by_encoding_and_decoding() -> None:
    for records in records_by_partition(simulated_polls(2, 30, 4.0)).values():
        assert [decode(encode(record)) for record in records] == records
