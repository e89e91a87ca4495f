"""The view: a fold of the log's records, tested without a server."""

from __future__ import annotations

import msgspec
import pytest

from ingest.bus.log import ALERTS, DEAD_LETTERS, EVENTS, FORECASTS, MODELS, Record
from ingest.event import Change, DeadLetter, Heartbeat, Outage, Promotion, encode
from ingest.instant import Instant
from stream.partition import Partition
from stream.records.alert import Alert
from stream.records.forecast import Forecast
from stream.serve.event_index import EventIndex
from stream.serve.view import ALERTS_KEPT, FORECASTS_KEPT, View
from tests.support.simulated import NEIGHBOUR, REGION, SumForecaster, at, beat, change, event, records_by_partition, simulated_polls, table


def record(body: msgspec.Struct | bytes, topic: str = EVENTS, partition: int = 0, offset: int = 0, time: Instant | None = None) -> Record:
    value = body if isinstance(body, bytes) else encode(body)
    return Record(topic, partition, offset, b"", value, time or at(0))


def view_of(*bodies: msgspec.Struct | bytes, topic: str = EVENTS) -> View:
    view = View()
    for offset, body in enumerate(bodies):
        view.apply(record(body, topic, offset=offset))
    return view


def alert(number: int = 0, revision: int = 0, **fields: object) -> Alert:
    default = Alert(
        f"rule-test-0-{number}", revision, "initial", None, "rule", "probability", REGION.id, at(number), at(number + 24), True, "high",
        "it rose", 0.5, 0.1, 5.0, "7d", "test-0-1", ["a"], "sum-1", 0, number,
    )  # fmt: skip
    return msgspec.structs.replace(default, **fields)


def test_an_event_has_its_current_version_and_the_time_it_was_first_seen() -> None:
    first, second = event("a", magnitude=4.0), event("a", magnitude=4.4, status="reviewed")
    view = view_of(change(first, observed=at(0.1)), change(second, kind="updated", observed=at(2.0)))
    (found,) = view.events.newest_first()
    assert (found.magnitude, found.status, found.versions, found.observed_at, found.deleted) == (4.4, "reviewed", 2, at(0.1), False)
    assert found.region == REGION.id


def test_a_deleted_event_stays_visible_as_deleted() -> None:
    view = view_of(change(event("a")), change("a", observed=at(1)))
    (found,) = view.events.newest_first()
    assert found.deleted
    assert found.magnitude == 4.0
    assert len(view.events) == 0


def test_a_merged_event_names_its_successor() -> None:
    found = view_of(change(event("a")), change("a", kind="merged", merged_into="b")).events.get("a")
    assert found is not None
    assert (found.deleted, found.merged_into) == (True, "b")


def test_an_event_is_found_by_every_id_that_it_was_reported_under() -> None:
    first = event("at1", other_ids=("us1",), source_id="us1")
    view = view_of(
        change(event("at1")), change(first, kind="updated"), change(event("ak1", 5.0)), change("ak1", kind="merged", merged_into="at1")
    )
    view.apply(record(change(msgspec.structs.replace(first, other_ids=("ak1", "us1")), kind="updated"), offset=9))
    found = [view.events.get(one) for one in ("at1", "us1", "ak1")]
    assert [one and one.id for one in found] == ["at1"] * 3
    assert view.events.get("nobody") is None
    view.events.drop_before(at(1.0))
    assert view.events.get("us1") is None


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_an_event_that_crossed_a_border_is_in_its_new_region_whichever_record_came_first(order: tuple[int, ...]) -> None:
    changes = [
        change(event("a")),
        change("a", observed=at(1)),
        change(event("a", longitude=43.0), region=NEIGHBOUR.id, observed=at(1)),
    ]
    view = View()
    for number in order:
        view.apply(record(changes[number], partition=0 if changes[number].region == REGION.id else 1))
    (found,) = view.events.newest_first()
    assert (found.region, found.deleted, found.versions) == (NEIGHBOUR.id, False, 2)
    assert found.observed_at == at(0)


def test_a_deletion_of_an_unknown_event_is_ignored() -> None:
    assert list(view_of(change("never")).events.newest_first()) == []


def test_events_are_sorted_newest_first_and_old_ones_are_dropped() -> None:
    events = EventIndex()
    for number, hours in enumerate((3.0, 1.0, 2.0, -800.0)):
        events.apply(change(event(f"e{number}", hours)))
    assert [one.id for one in events.newest_first()] == ["e0", "e2", "e1", "e3"]
    events.drop_before(at(-700.0))
    assert [one.id for one in events.newest_first()] == ["e0", "e2", "e1"]


def test_heartbeats_move_the_stream_time_and_are_timed_when_read() -> None:
    view = View()
    view.apply(record(beat(1.0)), read_at=None)
    assert (view.stream_time, view.heartbeat_read_at) == (at(1.0), None)
    view.apply(record(beat(2.0)), read_at=123.0)
    assert (view.stream_time, view.heartbeat_read_at) == (at(2.0), 123.0)


def test_an_outage_lasts_until_the_next_heartbeat() -> None:
    out = Outage(5, at(1.0), "all_day", 400.0, "no answer")
    view = view_of(beat(1.0), out)
    assert view.outage == out
    view.apply(record(Heartbeat(6, at(1.2), "all_day")))
    assert view.outage is None


def test_the_newest_record_says_why_it_is_not_live() -> None:
    view = view_of(Heartbeat(0, at(1), "file", test=True))
    said = [view.why_not_live]
    for beat_of in (Heartbeat(1, at(2), "all_day", test=True, why_not_live="exercise"), beat(3.0)):
        view.apply(record(beat_of))
        said.append(view.why_not_live)
    assert said == ["replay", "exercise", None]  # the first of a log that was written before records gave the reason


def test_a_whole_stream_is_folded() -> None:
    view, forecasts = View(), 0
    for number, records in records_by_partition(simulated_polls(3, 30, 1.0)).items():
        partition = Partition(number, table(), SumForecaster())
        for offset, one in enumerate(records):
            view.apply(record(one, partition=number, offset=offset))
            for issued, body in partition.take(one, offset):
                view.apply(record(body, FORECASTS if isinstance(issued, Forecast) else ALERTS, number))
                if isinstance(issued, Forecast):
                    forecasts += 1
                    assert view.latest_forecast(issued.region) == issued
        assert view.sequences[number] == records[-1].sequence
    assert view.forecasts_read == forecasts > 60
    assert view.unreadable == 0
    assert view.model is not None
    assert view.model[0] == "sum-1"
    assert all(len(recent) <= FORECASTS_KEPT for recent in view.forecasts.values())


def test_records_that_cannot_be_decoded_are_counted_and_skipped() -> None:
    view = view_of(b"not json", b'{"$schema":"quakecast.change/9"}', b"\xff\xfe", change(event("a")))
    for topic in (FORECASTS, ALERTS, MODELS, DEAD_LETTERS):
        view.apply(record(b"[]", topic))
    assert view.unreadable == 7
    assert len(view.events) == 1


def test_delays_are_measured_on_records_that_arrive_while_the_server_runs() -> None:
    view = View()
    partition = Partition(0, table(), SumForecaster())
    view.apply(record(change(event("old", -5.0), observed=at(0.0))), read_at=None)
    late = Change(1, "added", REGION.id, at(0.2), "simulated", "new", event("new", 0.1))
    view.apply(record(late, offset=1), read_at=50.0)
    ((_, body),) = partition.take(late, 1)
    view.apply(record(body, FORECASTS), read_at=50.25)
    assert list(view.latencies.log_to_forecast) == [0.25]
    assert list(view.latencies.origin_to_log) == [pytest.approx(360.0, abs=0.01)], "events of the first poll have no measurable delay"


def test_an_alert_is_its_last_revision_and_all_of_them_are_kept() -> None:
    revised = alert(revision=1, alert_type="update", supersedes="rule-test-0-0.0")
    over = alert(revision=2, alert_type="retraction", active=False)
    view = view_of(alert(), alert(1), revised, topic=ALERTS)
    assert [one.id for one in view.active_alerts()] == ["rule-test-0-0", "rule-test-0-1"]
    view.apply(record(over, ALERTS))
    view.apply(record(revised, ALERTS))  # a repeated revision changes nothing
    assert [one.revision for one in view.alerts["rule-test-0-0"]] == [0, 1, 2]
    assert [one.id for one in view.active_alerts()] == ["rule-test-0-1"]


def test_an_alert_ends_when_the_stream_time_reaches_its_expiry() -> None:
    view = view_of(alert(), topic=ALERTS)
    view.apply(record(beat(23.0)))
    assert len(view.active_alerts()) == 1
    view.apply(record(beat(24.0)))
    assert view.active_alerts() == []


def test_the_number_of_alerts_is_bounded() -> None:
    view = view_of(*(alert(number) for number in range(ALERTS_KEPT + 3)), topic=ALERTS)
    assert len(view.alerts) == ALERTS_KEPT
    assert "rule-test-0-2" not in view.alerts


def test_dead_letters_are_counted_by_reason_and_promotions_kept() -> None:
    view = view_of(DeadLetter(at(1), "all_day", "time_damaged", "", used=False), topic=DEAD_LETTERS)
    view.apply(record(Promotion(at(2), {"lstm": "lstm-1"}), MODELS))
    assert dict(view.dead_letters) == {"time_damaged": 1}
    assert [type(one) for one in view.models] == [Promotion]
