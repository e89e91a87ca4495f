"""The life of alerts: when they begin, are revised, renewed, ended and retracted."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from statistics import stdev
from typing import Any

import msgspec
import pytest
from scipy.stats import poisson  # type: ignore[import-untyped, unused-ignore]

from ingest.event import Change, Event, InputRecord, Outage
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region
from stream.alerts.earthquakes import life_days
from stream.alerts.rules import BUILT_IN, Rule, load_rules
from stream.alerts.values import Situation, busy, calibration, quiet
from stream.core.forecaster import Expectation, Hazard
from stream.core.score import Scoring, Tally, Week
from stream.core.window import Window
from stream.partition import Partition
from stream.records.alert import Alert, decode_alert
from stream.records.forecast import Exceedance, Forecast
from tests.support.simulated import NEIGHBOUR, REGION, SumForecaster, at, beat, change, event, simulated_polls, table

OBSERVED = Rule("seen", "magnitude", at_least=6.0, release=5.8, expires_hours=24.0, minimum_interval_minutes=10.0)
LIKELY = Rule(
    "likely", "probability", magnitude=6.0, within="1d", at_least=0.2, release=0.1, minimum_interval_minutes=60.0, expires_hours=12.0
)
SILENT = Rule("silent", "feed", at_least=300.0, minimum_interval_minutes=10.0)


class SizeForecaster(SumForecaster):
    """A forecaster whose P(M ≥ 6 within a day) grows with the sizes of the events and decays with the days of silence.

    The memory is the magnitude and time of each event, as text.
    """

    def start(self, region: Region) -> bytes:
        return b""

    def observe(self, memory: bytes, event: Event, region: Region) -> bytes:
        return memory + f"{event.magnitude} {int(event.time)};".encode()

    def expect(self, memory: bytes, region: Region, now: Instant) -> Expectation:
        expectation = super().expect(super().start(region), region, now)
        events = [one.split() for one in memory.decode().split(";") if one]
        size = sum(10.0 ** (float(magnitude) - 6.5) for magnitude, _ in events)
        days = (int(now) - int(events[-1][1])) / 86_400_000 if events else 0.0
        chance = -math.expm1(-size / (1.0 + 4.0 * days))
        return expectation._replace(exceedance=Exceedance({"6": {"1d": chance}}, {"6": {"1d": chance / 0.01}}))

    def hazards(self, memory: bytes, region: Region, since: Instant, until: Instant) -> tuple[Hazard, ...]:
        days = (until - since) / 86_400_000
        return (Hazard(days, 0.0, 0.0), Hazard(days, 0.0, 0.0), Hazard(days, 0.0, 0.0))


class Stream:
    """A partition that folds one record after another and returns the alerts of each."""

    def __init__(self, *rules: Rule) -> None:
        self.partition = Partition(0, table(), SizeForecaster(), rules=rules)
        self.sequence = -1

    def __call__(self, record: InputRecord) -> list[Alert]:
        """Fold a record, and return its alerts, decoded from their encoded form."""
        self.sequence += 1
        issued = self.partition.take(msgspec.structs.replace(record, sequence=self.sequence), self.sequence)
        return [decode_alert(body) for one, body in issued if isinstance(one, Alert)]


def addition(hours: float, magnitude: float | None, id: str = "big", observed: float | None = None, **fields: Any) -> Change:
    """Return the addition of an event."""
    return change(event(id, hours, magnitude, **fields), observed=at(hours if observed is None else observed))


def revision(hours: float, magnitude: float, observed: float, id: str = "big", **fields: Any) -> Change:
    return change(event(id, hours, magnitude, **fields), kind="updated", observed=at(observed))


def deletion(observed: float, id: str = "big", merged_into: str | None = None) -> Change:
    return change(id, kind="merged" if merged_into else "deleted", observed=at(observed), merged_into=merged_into)


def test_a_large_earthquake_begins_an_alert_that_names_its_event() -> None:
    stream = Stream(OBSERVED)
    assert stream(addition(0, 5.9, "small")) == []
    (alert,) = stream(addition(1, 6.2))
    assert (alert.alert_type, alert.revision, alert.supersedes, alert.active) == ("initial", 0, None, True)
    assert (alert.rule, alert.kind, alert.region, alert.value, alert.threshold) == ("seen", "magnitude", REGION.id, 6.2, 6.0)
    assert (alert.id, alert.events, alert.input_sequence) == ("seen:test:0-1", ["big"], 1)
    assert (alert.issued_at, alert.began_at, alert.expires_at) == (at(1), at(1), at(1).plus(days=life_days(6.2)))
    assert alert.headline == "M 6.2 earthquake, near Pazarcık"
    assert alert.reason == "The magnitude is M 6.2; this alert begins at M 6.0."
    assert alert.description.startswith(
        "An earthquake of M 6.2 happened at 02:17 UTC on 6 February 2023, about 10 km deep, near Pazarcık. Its magnitude and place may"
    )
    assert "about M 5.0 on average" in alert.description
    assert alert.earthquake is not None
    assert (alert.earthquake.id, alert.earthquake.magnitude, alert.earthquake.latitude) == ("big", 6.2, 37.0)


@pytest.mark.parametrize(("size", "days"), [(6.0, 1.2), (7.0, 8.4), (7.7, 30.0), (9.5, 30.0)])
def test_an_alert_lasts_as_long_as_its_sequence(size: float, days: float) -> None:
    stream = Stream(OBSERVED)
    (alert,) = stream(addition(1, size))
    assert alert.expires_at - alert.issued_at == pytest.approx(days * 86_400_000, rel=0.02)
    assert [one for hours in range(2, 24, 2) for one in stream(beat(hours))] == []


def test_a_deleted_earthquake_retracts_its_alert_once() -> None:
    stream = Stream(OBSERVED)
    (first,) = stream(addition(1, 6.2))
    (retraction,) = stream(msgspec.structs.replace(deletion(2), reason="it was a software error"))
    assert (retraction.id, retraction.alert_type, retraction.revision, retraction.supersedes) == (
        first.id,
        "retraction",
        1,
        f"{first.id}.0",
    )
    assert (retraction.active, retraction.expires_at) == (False, at(2))
    assert retraction.reason == (
        "The source has withdrawn the M 6.2 earthquake, near Pazarcık: it was probably no earthquake (it was a software error)."
    )
    assert retraction.headline == f"Retracted: {first.headline}"
    assert [stream(deletion(3)), stream(beat(4)), stream(beat(30))] == [[], [], []]


def test_a_deletion_retracts_even_after_the_alert_has_expired() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    assert [one.alert_type for one in stream(deletion(60))] == ["retraction"]


def test_an_earthquake_added_again_after_its_deletion_is_a_new_alert() -> None:
    stream = Stream(OBSERVED)
    (first,) = stream(addition(1, 6.2))
    stream(deletion(2))
    (again,) = stream(addition(1, 6.2, observed=3))
    assert again.alert_type == "initial"
    assert again.id != first.id


def test_a_small_revision_of_the_magnitude_changes_no_alert() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    assert stream(revision(1, 6.25, 2)) == []


def test_a_magnitude_between_release_and_threshold_keeps_the_alert_alive_and_a_smaller_one_ends_it_without_a_retraction() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    (update,) = stream(revision(1, 5.9, 2))
    assert (update.alert_type, update.value, update.active) == ("update", 5.9, True)
    assert update.reason == "The magnitude was revised from 6.2 to 5.9."
    (end,) = stream(revision(1, 5.7, 3))
    assert (end.alert_type, end.active, end.headline) == ("update", False, "Ended: M 5.7 earthquake, near Pazarcık")
    assert end.reason.startswith("The magnitude was revised from 5.9 to 5.7.")
    assert stream(revision(1, 5.75, 4)) == []
    assert [one.alert_type for one in stream(revision(1, 6.1, 5))] == ["initial"]


def test_revisions_wait_for_the_minimum_interval_and_are_then_issued() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    assert stream(revision(1, 6.6, 1.1)) == []
    (update,) = stream(beat(2.2))
    assert (update.value, update.expires_at) == (6.6, at(1).plus(days=life_days(6.6)))  # a larger one has a longer sequence


def test_an_earthquake_that_turns_out_to_be_a_blast_is_retracted() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    (retraction,) = stream(revision(1, 6.2, 2, type="explosion"))
    assert (retraction.alert_type, retraction.reason) == (
        "retraction",
        "It was not an earthquake: its source now lists it as one of the type explosion.",
    )


def test_an_earthquake_that_becomes_known_when_its_sequence_is_over_begins_no_alert() -> None:
    assert Stream(OBSERVED)(addition(0, 6.0, observed=30)) == []
    assert len(Stream(OBSERVED)(addition(0, 7.0, observed=30))) == 1


def test_a_merged_earthquake_keeps_its_alert_under_the_new_id() -> None:
    stream = Stream(OBSERVED)
    (first,) = stream(addition(1, 6.2))
    (update,) = stream(deletion(2, merged_into="other"))
    assert (update.id, update.events, update.active, update.reason) == (first.id, ["other"], True, "The earthquake big is now other.")
    assert stream(addition(1, 6.2, "other", observed=2)) == []
    assert [one.alert_type for one in stream(deletion(3, "other"))] == ["retraction"]


def test_two_reports_that_turn_out_to_be_one_leave_one_alert_and_retract_none() -> None:
    stream = Stream(OBSERVED)
    (early,) = stream(addition(1, 8.0, "early"))
    (late,) = stream(addition(1.001, 8.7, "late"))
    (end,) = stream(deletion(1.2, "late", merged_into="early"))
    assert (end.id, end.alert_type, end.active, end.events) == (late.id, "update", False, ["early"])
    assert end.headline == "One earthquake, not two: M 8.0 earthquake, near Pazarcık"
    assert end.reason == f"Two reports were of one earthquake; the alert {early.id} goes on. The earthquake is not withdrawn."
    (update,) = stream(revision(1, 8.7, 1.3, "early"))
    assert (update.id, update.value, update.active) == (early.id, 8.7, True)
    assert [(one.id, one.alert_type) for one in stream(deletion(1.4, "early"))] == [(early.id, "retraction")]


def test_another_id_at_the_source_is_an_update_of_the_alert() -> None:
    stream = Stream(OBSERVED)
    (first,) = stream(addition(1, 8.0, source_id="at00t0a6b3", url="https://quakes.example/at00t0a6b3"))
    (update,) = stream(revision(1, 8.7, 1.3, source_id="us6000qw60", url="https://quakes.example/us6000qw60", other_ids=("us6000qw60",)))
    assert (update.id, update.alert_type, update.value, update.events) == (first.id, "update", 8.7, ["big"])
    assert update.reason == "Its source now lists it as us6000qw60, M 8.7; before it was at00t0a6b3, M 8.0. It is the same earthquake."
    assert update.earthquake is not None
    assert (update.earthquake.source_id, update.earthquake.url) == ("us6000qw60", "https://quakes.example/us6000qw60")


def test_an_earthquake_that_is_relocated_to_another_region_is_not_retracted() -> None:
    stream = Stream(OBSERVED)
    (first,) = stream(addition(1, 6.2))
    (end,) = stream(msgspec.structs.replace(deletion(2), reason=f"moved to {NEIGHBOUR.id}"))
    assert (end.id, end.alert_type, end.active) == (first.id, "update", False)
    assert end.reason.endswith("The earthquake is not withdrawn.")


def test_while_the_past_is_read_no_alert_begins_and_then_those_that_still_hold_do() -> None:
    stream, past = Stream(OBSERVED, LIKELY), {"catching_up": True}
    assert stream(msgspec.structs.replace(addition(0, 7.5, observed=40), **past)) == []
    assert stream(msgspec.structs.replace(addition(1, 6.0, "over", observed=40), **past)) == []
    assert stream(msgspec.structs.replace(beat(40.0), **past)) == []
    issued = stream(beat(40.01))  # the first record after the past: it does not wait until a forecast of an hour is over
    assert [(one.rule, one.events[0]) for one in issued if one.alert_type == "initial"] == [("seen", "big"), ("likely", "big")]


def test_while_the_past_is_read_an_alert_is_still_retracted() -> None:
    stream = Stream(OBSERVED)
    stream(addition(1, 6.2))
    assert [one.alert_type for one in stream(msgspec.structs.replace(deletion(9), catching_up=True))] == ["retraction"]


def test_what_is_not_live_stays_so() -> None:
    stream = Stream(OBSERVED)
    stream(msgspec.structs.replace(addition(1, 6.2), test=True, why_not_live="exercise"))
    (retraction,) = stream(deletion(2))
    assert (retraction.test, retraction.why_not_live) == (True, "exercise")


def test_a_second_earthquake_that_a_report_of_the_first_turned_out_to_be_of_begins_an_alert_of_its_own() -> None:
    """Seen on 2022-11-09 south of Fiji: the report `at00rl2rd0` of a M 7.0 was relocated to a M 6.6 of 23 minutes later."""
    stream = Stream(OBSERVED)
    stream(addition(1, 7.0))
    (second,) = stream(addition(1.4, 6.6, "big~2", observed=2, source_id="big", other_ids=("big",)))
    assert (second.alert_type, second.events) == ("initial", ["big~2"])


def test_a_probability_begins_at_its_threshold_and_ends_only_below_its_release() -> None:
    stream = Stream(LIKELY)
    (alert,) = stream(addition(0, 6.0))
    assert (alert.kind, alert.forecast, alert.events, alert.model) == ("probability", "test-0-0", ["big"], "sum-1")
    assert alert.value == pytest.approx(-math.expm1(-(10.0**-0.5)), rel=1e-5)
    assert alert.headline == "Test: 27 % chance of M 6 or more within a day, 27 times the usual"
    following = [one for hours in range(1, 40) for one in stream(beat(hours))]
    for before, after in pairwise([alert, *following]):
        moved = (before.value or 0.0) >= 1.5 * (after.value or 1.0)
        assert moved or not after.active or " is still " in after.reason
    last = following[-1]
    assert (last.alert_type, last.active) == ("update", False)
    assert re.fullmatch(r"The chance is now 9\.\d %, where this alert ends \(at 10 %\); it was 1\d %? ?at .*\.", last.reason)
    assert last.value is not None
    assert 0.08 < last.value < 0.1  # not at 0.2, where it began


def test_an_alert_that_continues_is_renewed_before_it_expires() -> None:
    stream = Stream(Rule("likely", "probability", magnitude=6.0, within="1d", at_least=0.2, release=0.01, change=100.0, expires_hours=4.0))
    issued = [*stream(addition(0, 7.0)), *(one for hours in range(1, 20) for one in stream(beat(hours)))]
    assert len(issued) > 3
    for before, after in pairwise(issued):
        assert after.issued_at < before.expires_at
        assert after.supersedes == f"{before.id}.{before.revision}"


def test_a_deleted_event_retracts_the_probability_alert_based_on_it() -> None:
    stream = Stream(LIKELY)
    (first,) = stream(addition(0, 6.5))
    (retraction,) = stream(deletion(1))
    assert (retraction.id, retraction.alert_type, retraction.forecast) == (first.id, "retraction", "test-0-1")
    assert retraction.value == 0.0


def test_a_probability_that_holds_without_the_deleted_event_is_revised() -> None:
    stream = Stream(LIKELY)
    stream(addition(0, 6.5, "first"))
    stream(addition(0.1, 6.5, "second"))
    (update,) = stream(deletion(0.2, "first"))
    assert (update.alert_type, update.active, update.events) == ("update", True, ["second"])
    assert "withdrawn the M 6.5 earthquake, near Pazarcık" in update.reason
    assert update.reason.endswith("The chance without it is 63 %; it was 63 %.")


def test_after_its_end_an_alert_waits_before_it_begins_anew_but_not_after_a_retraction() -> None:
    ended, retracted = Stream(LIKELY), Stream(LIKELY)
    ended(addition(0, 6.0))
    end = next(one for minutes in range(1, 3_000) for one in ended(beat(minutes / 60.0)) if not one.active)
    soon = (end.issued_at - at(0)) / 3_600_000 + 0.1
    assert ended(addition(soon, 6.5, "next")) == []
    assert [one.alert_type for one in ended(beat(soon + 1.1))] == ["initial"]
    retracted(addition(0, 6.0))
    retracted(deletion(1))
    assert [one.alert_type for one in retracted(addition(1.1, 6.5, "next"))] == ["initial"]


def test_a_rule_may_apply_to_some_regions_only() -> None:
    elsewhere = msgspec.structs.replace(OBSERVED, regions=(NEIGHBOUR.id,))
    stream = Stream(elsewhere)
    assert stream(addition(1, 6.2)) == []
    moved = change(event("n", 1, 6.2, longitude=44.0), region=NEIGHBOUR.id)
    assert [one.region for one in stream(moved)] == [NEIGHBOUR.id]


def test_an_outage_is_reported_again_and_ends_with_the_next_heartbeat() -> None:
    stream = Stream(SILENT)
    assert stream(beat(1)) == []
    (first,) = stream(Outage(0, at(1), "all_day", 301.0, "HTTP status 503"))
    assert (first.region, first.kind, first.value, first.issued_at) == (None, "feed", 301.0, at(1).plus(seconds=301))
    assert first.headline == "Feed: no news of earthquakes since 02:17 UTC on 6 February 2023 (5 min)"
    assert first.description.startswith("The source all_day has not been heard since 02:17 UTC on 6 February 2023: HTTP status 503. ")
    assert stream(Outage(0, at(1), "all_day", 601.0, "HTTP status 503")) == []
    (update,) = stream(Outage(0, at(1), "all_day", 901.0, "HTTP status 503"))
    assert (update.id, update.revision, update.value) == (first.id, 1, 901.0)
    (end,) = stream(beat(2))
    assert (end.id, end.alert_type, end.active, end.reason) == (
        first.id,
        "update",
        False,
        "The source reports again, after 15 min or more.",
    )
    assert stream(beat(3)) == []


def test_alerts_of_replays_are_marked() -> None:
    stream = Stream(OBSERVED)
    (alert,) = stream(msgspec.structs.replace(addition(1, 6.2), test=True))
    assert alert.test


def test_every_chain_of_revisions_is_complete_on_a_stream_with_every_kind_of_change() -> None:
    rules = (msgspec.structs.replace(OBSERVED, at_least=4.5, release=4.3), msgspec.structs.replace(LIKELY, at_least=0.05, release=0.03))
    stream, last, live = Stream(*rules), dict[str, Alert](), 0
    for changes, heartbeat in simulated_polls(1, 200, 0.5):
        records: list[InputRecord] = [*changes, heartbeat]
        for one in [alert for record in records for alert in stream(record)]:
            before = last.get(one.id)
            assert (one.alert_type == "initial") == (before is None) == (one.supersedes is None)
            if before is not None:
                assert (one.revision, one.supersedes) == (before.revision + 1, f"{before.id}.{before.revision}")
                assert before.alert_type != "retraction"
                assert before.active or one.alert_type == "retraction"
            last[one.id] = one
            live += 1
    assert live > 30
    assert {one.alert_type for one in last.values()} >= {"retraction"}


def situation(
    events: int, expected: float, log_rates: tuple[float, float] = (0.0, 0.0), rates: tuple[float, float] | None = None
) -> Situation:
    tally = Tally(events, log_rates, rates or (expected, expected))
    return Situation("test", _forecast(), Window(), Scoring(since=0, total=tally, weeks=(Week(100, tally),)))


def _forecast() -> Forecast:
    partition = Partition(0, table(), SizeForecaster())
    ((forecast, _),) = partition.take(change(event("a", 0, 4.0), sequence=0), 0)
    assert isinstance(forecast, Forecast)
    return forecast


def test_counts_far_from_the_forecast_have_the_poisson_tail_probability() -> None:
    rule = Rule("busier", "busy", at_most=1e-3, weeks=2)
    many, few = busy(rule, situation(30, 10.0)), quiet(msgspec.structs.replace(rule, kind="quiet"), situation(2, 10.0))
    assert many is not None
    assert few is not None
    assert many.value == pytest.approx(poisson.sf(29, 10.0), rel=1e-6)
    assert few.value == pytest.approx(poisson.cdf(2, 10.0), rel=1e-9)
    assert many.account().headline == (
        "30 earthquakes of M 2.5 or more from 00:00 UTC on 25 November 1971 to 00:00 UTC on 9 December 1971, 10 were forecast"
    )


def test_no_earthquakes_at_all_are_quiet_and_never_busy() -> None:
    none = situation(0, 30.0)
    found, busier = quiet(Rule("q", "quiet", at_most=1e-3, weeks=2), none), busy(Rule("b", "busy", at_most=1e-3, weeks=2), none)
    assert found is not None
    assert busier is not None
    assert found.value == pytest.approx(math.exp(-30.0))
    assert busier.value == 1.0


def weekly(gains: list[float]) -> Situation:
    """Return a situation with ten earthquakes a week, given the model's weekly gain in log score over the Poisson baseline."""
    total, weeks = Tally(), list[Week]()
    for number, gained in enumerate(gains):
        total = total.plus(Tally(10, (gained - 5.0, -5.0), (10.0, 10.0)))
        weeks.append(Week(100 + number, total))
    return Situation("test", _forecast(), Window(), Scoring(since=0, total=total, weeks=tuple(weeks)))


def test_calibration_is_lost_when_the_gain_over_the_long_run_rate_is_negative_beyond_its_error() -> None:
    rule = Rule("lost", "calibration", at_most=0.0, weeks=26, least_events=50)
    worse, unclear, short = ([-2.0, -1.0] * 10, [-8.0, 7.0] * 10, [-2.0] * 7)
    found = calibration(rule, weekly(worse))
    assert found is not None
    assert found.value == pytest.approx((-30.0 + 2.0 * stdev(worse) * math.sqrt(20)) / 200.0)
    assert rule.begins(found.value)
    unsure = calibration(rule, weekly(unclear))
    assert unsure is not None
    assert not rule.begins(unsure.value)
    assert calibration(rule, weekly(short)) is None


def test_the_built_in_rules_have_every_kind() -> None:
    assert {rule.kind for rule in load_rules()} == {"probability", "gain", "magnitude", "busy", "quiet", "calibration", "feed"}
    assert load_rules() == load_rules(BUILT_IN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "is not a table of alert rules"),
        ('[[rule]]\nname = "x"\nkind = "loud"\n', "Invalid enum value 'loud'"),
        ('[[rule]]\nname = "x"\nkind = "gain"\nat_least = 2.0\n', "needs magnitude, within"),
        ('[[rule]]\nname = "x"\nkind = "probability"\nmagnitude = 5.0\nwithin = "2d"\nat_least = 0.1\n', "one of 1h, 1d, 7d, 30d"),
        ('[[rule]]\nname = "x"\nkind = "probability"\nmagnitude = 5.5\nwithin = "1d"\nat_least = 0.1\n', "one of 4, 5, 6, 7"),
        ('[[rule]]\nname = "x"\nkind = "magnitude"\nat_least = 6.0\nrelease = 7.0\n', "would end at the value where it begins"),
        ('[[rule]]\nname = "x"\nkind = "magnitude"\nat_least = 6.0\nexpires_hours = 0.0\n', "expires_hours"),
        ('[[rule]]\nname = "x"\nkind = "magnitude"\nat_least = 6.0\nexpires_hours = inf\n', "both at most ten years"),
        ('[[rule]]\nname = "x"\nkind = "feed"\nat_least = 6.0\nminimum_interval_minutes = 1e300\n', "both at most ten years"),
        (f'[[rule]]\nname = {"[" * 5_000}', "is not a table of alert rules"),
        ('[[rule]]\nname = "x"\nkind = "magnitude"\nat_lest = 6.0\n', "unknown field `at_lest`"),
        ('[[rule]]\nname = "a b"\nkind = "magnitude"\nat_least = 6.0\n', "may have letters, digits, - and _ only"),
        (2 * '[[rule]]\nname = "x"\nkind = "feed"\nat_least = 6.0\n', "two rules of the same name"),
    ],
)  # fmt: skip
def test_an_invalid_rule_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Problem, match=re.escape(message)) as caught:
        load_rules(file)
    assert "\n" not in str(caught.value)


def test_a_file_of_rules_adds_replaces_and_disables_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[rule]]\nname = "quieter"\nkind = "quiet"\nat_most = 0.1\nweeks = 1\nenabled = false\n', encoding="utf-8")
    assert {rule.name for rule in load_rules()} - {rule.name for rule in load_rules(file)} == {"quieter"}
    with pytest.raises(Problem, match="cannot read the alert rules in"):
        load_rules(tmp_path / "missing.toml")
