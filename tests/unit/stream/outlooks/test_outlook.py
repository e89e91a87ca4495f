"""The schedule of outlooks, the events that they depend on, and the fields of the record."""

from __future__ import annotations

import json
from itertools import pairwise

import jsonschema
import msgspec
import pytest

from ingest.event import Event, Heartbeat, InputRecord, encode
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from stream.core.window import Window
from stream.outlooks.partition import OutlookPartition, last_outlook_of
from stream.outlooks.schedule import LastOutlook, cause_at, mainshock_of, next_after
from stream.outlooks.simulator import magnitudes_of
from stream.records.outlook import RegionOutlook, counts_since, decode_outlook
from stream.records.schema import schemas
from tests.support.outlooks import RateSimulator, issue_outlooks
from tests.support.simulated import REGION, at, beat, change, event, records_by_partition, simulated_polls, table

WIDE = msgspec.structs.replace(REGION, window_days=400.0)
SHOCK = event("main", 0.0, 7.8)
USGS_ROOT = {
    "creationTime", "expireTime", "advisoryTimeFrame", "template", "injectableText", "observations", "model", "fractileProbabilities",
    "forecast", "nextForecastTime",
}  # fmt: skip
USGS_BIN = {"magnitude", "p95minimum", "p95maximum", "probability", "median", "fractileValues"}


def minutes_after_the_shock(until_days: float, known_hours: float = 0.0, step_minutes: int = 1) -> list[int]:
    """Return the minutes after the mainshock at which outlooks are issued if the clock moves in steps of `step_minutes`."""
    issued, found = LastOutlook("before", at(-1.0)), []
    for minute in range(0, round(until_days * 1_440) + 1, step_minutes):
        now, known = at(minute / 60.0), minute >= known_hours * 60.0
        window = Window.of([SHOCK]) if known else Window()
        shock = SHOCK if known else None
        if known and cause_at(issued, window, shock, WIDE, now) is not None:
            found.append(minute)
            issued = LastOutlook(str(minute), now, SHOCK.id, SHOCK.time, 7.8)
    return found


def test_after_a_mainshock_the_schedule_is_that_of_the_usgs() -> None:
    first_day = [10, 30, 50, 120, 240, 360, 480, 720, 1080, 1440]
    two_weeks = [days * 1_440 for days in range(2, 15)]
    assert minutes_after_the_shock(14.0) == first_day + two_weeks


def test_a_mainshock_known_late_has_an_outlook_at_once_and_then_on_schedule() -> None:
    assert minutes_after_the_shock(0.1, known_hours=32 / 60) == [32, 50, 120]


def test_after_two_weeks_there_is_one_a_day_and_one_a_week_after_the_mainshock() -> None:
    found = minutes_after_the_shock(30.0, step_minutes=10)
    late = [minute for minute in found if minute > 14 * 1_440]
    assert {21 * 1_440, 28 * 1_440} <= set(late)
    assert len(late) == 16 + 2


def test_a_region_without_a_mainshock_has_one_a_day_at_its_own_minute() -> None:
    first = next_after(at(0.0), None, REGION)
    assert at(0.0) < first <= at(24.0)
    assert next_after(first, None, REGION) - first == MILLISECONDS_PER_DAY
    other = next_after(at(0.0), None, msgspec.structs.replace(REGION, id="other"))
    assert (other - first) % MILLISECONDS_PER_DAY != 0


def test_a_mainshock_is_larger_than_all_events_of_the_thirty_days_before() -> None:
    def found(*events: Event) -> str | None:
        shock = mainshock_of(Window.of(list(events)), WIDE, at(24.0 * 90))
        return None if shock is None else shock.id

    foreshock, aftershock = event("fore", -24.0, 6.4), event("after", 9.0, 7.5)
    assert found(SHOCK, aftershock) == "main"
    assert found(foreshock, SHOCK) == "main"
    assert found(foreshock) == "fore"
    assert found(SHOCK, event("later", 24.0 * 40, 6.3)) == "later"
    assert found(event("small", 0.0, 4.9)) is None
    assert mainshock_of(Window.of([event("x", 0.0, 5.5)]), msgspec.structs.replace(WIDE, magnitude_of_completeness=4.5), at(1.0)) is None


@pytest.mark.parametrize(
    ("now_known", "expected"),
    [
        ([event("main", 0.0, 7.5)], "revision"),
        ([event("main", 0.0, 7.6)], None),
        ([event("small", 0.0, 4.0)], "revision"),
        ([], "revision"),
        ([SHOCK, event("larger", 0.01, 8.0)], "mainshock"),
    ],
)
def test_a_revised_or_deleted_mainshock_leads_to_an_outlook_at_once(now_known: list[Event], expected: str | None) -> None:
    issued, window = LastOutlook("first", at(0.5), "main", SHOCK.time, 7.8), Window.of(now_known)
    assert cause_at(issued, window, mainshock_of(window, WIDE, at(0.6)), WIDE, at(0.6)) == expected


def numbered(*records: InputRecord) -> list[InputRecord]:
    return [msgspec.structs.replace(record, sequence=number) for number, record in enumerate(records)]


def test_an_outlook_depends_on_all_changes_up_to_its_moment() -> None:
    """It includes the second change of its moment, although the first one alone makes an outlook due; no heartbeat is needed."""
    shock, second = change(SHOCK, observed=at(0.4)), change(event("second", 0.1, 5.0), observed=at(0.4))
    later = change(event("third", 0.2, 4.0), observed=at(0.45))
    simulator = RateSimulator()
    issued = issue_outlooks(OutlookPartition(0, table()), simulator, numbered(shock, second, later))
    assert [(one.cause, one.issued_at, one.input_sequence, one.events_in_window) for one in issued] == [("mainshock", at(0.4), 1, 2)]
    assert [len(request.events) for request in simulator.requests] == [2]


def test_a_deleted_mainshock_is_superseded_and_no_longer_named() -> None:
    records = numbered(change(SHOCK, observed=at(0.2)), beat(0.25), change("main", observed=at(0.3)), change(event("b", 0.1)), beat(0.3))
    first, second = issue_outlooks(OutlookPartition(0, table()), RateSimulator(), records)
    assert first.mainshock is not None
    assert (first.cause, first.mainshock.id, first.template) == ("mainshock", "main", "Mainshock")
    assert (second.cause, second.mainshock, second.supersedes) == ("revision", None, first.id)


def simulated_outlooks() -> list[RegionOutlook]:
    records = records_by_partition(simulated_polls(1, 60, 0.1, 3.0))
    return [one for number, part in records.items() for one in issue_outlooks(OutlookPartition(number, table()), RateSimulator(), part)]


def test_outlooks_are_unique_in_order_and_each_supersedes_the_one_before() -> None:
    outlooks = [one for one in simulated_outlooks() if one.region == REGION.id]
    assert len(outlooks) >= 10
    assert len({one.id for one in outlooks}) == len(outlooks)
    assert [one.supersedes for one in outlooks[1:]] == [one.id for one in outlooks[:-1]]
    assert all(one.input_sequence < other.input_sequence for one, other in pairwise(outlooks))


def test_a_partition_restarted_from_the_topic_continues_as_if_it_had_not_stopped() -> None:
    records = records_by_partition(simulated_polls(1, 60, 0.1, 3.0))[4]
    whole = issue_outlooks(OutlookPartition(4, table()), RateSimulator(), records)
    half = len(records) // 2
    first = issue_outlooks(OutlookPartition(4, table()), RateSimulator(), records[:half])
    again = OutlookPartition(4, table(), {one.region: last_outlook_of(one) for one in first})
    for record in records[:half]:
        again.fold(record)
    assert first + issue_outlooks(again, RateSimulator(), records[half:]) == whole


def test_the_record_has_the_field_names_of_the_usgs_and_fits_its_schema() -> None:
    schema = json.loads(schemas()["outlook.1.json"])
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for outlook in simulated_outlooks():
        body = encode(outlook)
        record = json.loads(body)
        assert not list(checker.iter_errors(record))
        assert decode_outlook(body) == outlook
        assert set(record) >= USGS_ROOT
        assert [span["label"] for span in record["forecast"]] == ["1 Day", "1 Week", "1 Month", "1 Year"]
        for span in record["forecast"]:
            assert set(span) == {"timeStart", "timeEnd", "label", "bins", "aboveMainshockMag"}
            assert span["timeStart"] == record["creationTime"]
            assert all(set(one) == USGS_BIN for one in span["bins"])
            assert all(len(one["fractileValues"]) == len(record["fractileProbabilities"]) for one in span["bins"])
        assert record["expireTime"] == record["forecast"][-1]["timeEnd"]
        assert record["nextForecastTime"] > record["creationTime"]


def test_observations_count_the_events_after_the_mainshock() -> None:
    events = [change(event("early", -1.0, 6.0)), change(SHOCK), change(event("a", 0.1, 5.0)), change(event("b", 0.15, 3.0))]
    outlook = issue_outlooks(OutlookPartition(0, table()), RateSimulator(), numbered(*events, beat(0.2)))[-1]
    assert {one.magnitude: one.count for one in outlook.observations} == {3.0: 2, 4.0: 1, 5.0: 1, 6.0: 0, 7.0: 0}
    assert outlook.observed_from == SHOCK.time


def test_events_since_the_outlook_are_counted_for_each_bin() -> None:
    (outlook,) = issue_outlooks(OutlookPartition(0, table()), RateSimulator(), numbered(change(SHOCK), beat(0.2)))
    later = [SHOCK, event("a", 0.5, 5.1), event("b", 30.0, 4.0), event("blast", 1.0, 4.0, type="quarry blast")]
    day, week, _, _ = counts_since(outlook, later, at(48.0))
    assert (day.over, day.counts) == (True, [1, 1, 1, 0, 0])
    assert (week.over, week.counts, week.until) == (False, [2, 2, 1, 0, 0], at(48.0))


def test_magnitudes_are_counted_as_far_as_the_region_is_complete() -> None:
    complete = {level: magnitudes_of(msgspec.structs.replace(REGION, magnitude_of_completeness=level)) for level in (2.5, 3.0, 4.5, 5.0)}
    assert complete[2.5] == complete[3.0] == (3.0, 4.0, 5.0, 6.0, 7.0)
    assert complete[4.5] == (4.5, 5.0, 6.0, 7.0)
    assert complete[5.0] == (5.0, 6.0, 7.0)


def test_a_region_without_events_has_no_outlook() -> None:
    assert not issue_outlooks(OutlookPartition(0, table()), RateSimulator(), [Heartbeat(n, Instant(at(n)), "simulated") for n in range(50)])
