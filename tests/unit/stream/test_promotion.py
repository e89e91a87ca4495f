"""Promotions: a partition changes models at a record of its log, and loses neither event nor forecast."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.bus.database import Database
from ingest.bus.log import EVENTS, MODELS, Outgoing
from ingest.bus.sqlite import SqliteLog
from ingest.event import InputRecord, Promotion, decode, encode
from ingest.instant import Instant
from ingest.publish import Publisher
from stream.core.lineup import Lineup
from stream.partition import Partition
from stream.promotion import champions, champions_before, lineups_before, models_in_force, promote, read_promotions
from stream.records.activation import Activation
from stream.records.forecast import decode_forecast
from tests.support.simulated import NEIGHBOUR, REGION, ForecasterLibrary, SumForecaster, at, beat, change, event, fold_events, table
from tests.unit.stream.test_partition import FakeStore, records_of_both_regions

TABLE = table()
TO_TWO = Promotion(Instant(0), {"lstm": "sum-2"})
BACK = Promotion(Instant(0), {"lstm": "sum-1"})
SHADOW = Promotion(Instant(0), {"lstm": "sum-2"}, challenger=True)


def forecaster_library() -> ForecasterLibrary:
    return ForecasterLibrary(SumForecaster("sum-1"), SumForecaster("sum-2", weight=3.0))


def partition() -> Partition:
    return Partition(4, TABLE, SumForecaster("sum-1"), library=forecaster_library())


def fold(into: Partition, records: list[InputRecord | Promotion], first_offset: int = 0) -> tuple[list[bytes], list[Activation]]:
    issued: list[bytes] = []
    activations: list[Activation] = []
    for offset, record in enumerate(records, first_offset):
        if isinstance(record, Promotion):
            activations.append(into.apply_promotion(record, offset))
        else:
            issued += [body for _, body in into.take(record, offset)]
    return issued, activations


def records_with_promotion(at_record: int, promotion: Promotion = TO_TWO, count: int = 60) -> list[InputRecord | Promotion]:
    records: list[InputRecord | Promotion] = list(records_of_both_regions(count=count))
    return [*records[:at_record], promotion, *records[at_record:]]


def test_from_its_mark_on_forecasts_name_the_promoted_model_and_before_it_the_other() -> None:
    issued, (activation,) = fold(partition(), records_with_promotion(100))
    models = [(forecast.input_sequence, forecast.model) for forecast in map(decode_forecast, issued)]
    assert {model for sequence, model in models if sequence < 100} == {"sum-1"}
    assert {model for sequence, model in models if sequence >= 100} == {"sum-2"}
    assert (activation.model, activation.after_sequence, activation.offset, activation.refused) == ("sum-2", 99, 100, None)


def test_every_change_has_its_forecast() -> None:
    plain, _ = fold(partition(), list(records_of_both_regions()))
    swapped, _ = fold(partition(), records_with_promotion(100))
    changes = [forecast.id for forecast in map(decode_forecast, plain) if forecast.cause != "heartbeat"]
    assert [forecast.id for forecast in map(decode_forecast, swapped) if forecast.cause != "heartbeat"] == changes


def test_the_memory_is_folded_again_from_the_window_with_the_new_weights() -> None:
    live = partition()
    fold(live, records_with_promotion(200, count=80)[:201])
    for region in (REGION, NEIGHBOUR):
        state, model = live.state(region.id), SumForecaster("sum-2", weight=3.0)
        assert len(state.window.events) > 3
        assert state.memory.head == fold_events(model, state.window.events, model.start(region), region)


def test_after_a_promotion_late_events_refold_as_if_the_new_model_had_always_been_in_force() -> None:
    """The memory equals a fold of the final window with the new weights."""
    live, records = partition(), records_with_promotion(100)
    fold(live, [record for record in records if isinstance(record, Promotion) or record.observed_at < at(100)])
    state, model = live.state(REGION.id), SumForecaster("sum-2", weight=3.0)
    assert state.memory.head == fold_events(model, state.window.events, state.memory.base)


def test_the_next_heartbeat_reissues_the_forecast_of_every_region() -> None:
    live = partition()
    live.take(change(event("t", 0), sequence=0), 0)
    live.take(change(event("n", 0.25, longitude=44.0), region=NEIGHBOUR.id, sequence=1), 1)
    live.apply_promotion(TO_TWO, 2)
    issued = [forecast for forecast, _ in live.take(beat(0.3, 2), 3)]
    assert [(forecast.region, forecast.model) for forecast in issued] == [(NEIGHBOUR.id, "sum-2"), (REGION.id, "sum-2")]


def test_the_new_models_score_is_its_own() -> None:
    live = partition()
    fold(live, records_with_promotion(100)[:100])
    assert live.state(REGION.id).scoring.since is not None
    live.apply_promotion(TO_TWO, 100)
    assert live.state(REGION.id).scoring.since is None


def test_a_promotion_whose_model_cannot_be_loaded_is_refused_and_the_current_model_stays_in_force() -> None:
    missing = Promotion(Instant(0), {"lstm": "sum-9"})
    plain, _ = fold(partition(), list(records_of_both_regions()))
    refusing = partition()
    issued, (activation,) = fold(refusing, records_with_promotion(100, missing))
    assert issued == plain
    assert activation.model == "sum-1"
    assert activation.refused is not None
    assert "sum-9" in activation.refused
    assert refusing.position.lineup == Lineup()


def test_promoting_the_current_model_changes_no_byte() -> None:
    again = Promotion(Instant(0), {"lstm": "sum-1"})
    assert fold(partition(), records_with_promotion(100, again))[0] == fold(partition(), list(records_of_both_regions()))[0]


def test_a_rollback_gives_the_old_model_with_the_memory_of_the_window() -> None:
    live = partition()
    records = records_with_promotion(60)
    fold(live, [*records[:101], BACK, *records[101:]])
    state, model = live.state(REGION.id), SumForecaster("sum-1")
    assert state.memory.head == fold_events(model, state.window.events, state.memory.base)
    assert decode_forecast(live.changes()[REGION.id].forecast or b"").model == "sum-1"


def test_a_challenger_changes_nothing_in_forecasts_but_the_score() -> None:
    plain, _ = fold(partition(), list(records_of_both_regions()))
    shadowed, _ = fold(partition(), [SHADOW, *records_of_both_regions()])
    without_scores = [msgspec.structs.replace(decode_forecast(body), score=None) for body in plain]
    assert [msgspec.structs.replace(decode_forecast(body), score=None) for body in shadowed] == without_scores
    last = [score for body in shadowed if (score := decode_forecast(body).score) is not None][-1]
    assert set(last.gain_per_event) == {"daily", "halving", "sum-2"}
    assert last.gain_per_event["sum-2"] != 0.0


def test_a_challenger_has_the_score_that_it_has_as_champion() -> None:
    """The challenger is scored when the champion issues forecasts; here both issue them at the same times."""
    shadowed, _ = fold(partition(), [SHADOW, *records_of_both_regions()])
    alone, _ = fold(partition(), [TO_TWO, *records_of_both_regions()])
    scores = [[score for body in issued if (score := decode_forecast(body).score) is not None][-1] for issued in (shadowed, alone)]
    assert scores[0].log_score_per_event["sum-2"] == scores[1].log_score_per_event["model"]


@settings(max_examples=40)
@given(st.integers(0, 120), st.integers(0, 120), st.integers(0, 120), st.sampled_from([TO_TWO, SHADOW]))
def test_a_history_with_promotions_saved_and_restored_anywhere_gives_the_same_bytes(
    first: int, second: int, cut: int, promotion: Promotion
) -> None:
    records = records_with_promotion(first, promotion)
    records = [*records[:second], BACK, *records[second:]]
    whole, _ = fold(partition(), records)
    store, before = FakeStore(), partition()
    issued, _ = fold(before, records[:cut])
    store.save(before)
    after = Partition(4, TABLE, SumForecaster("sum-1"), before.position, forecaster_library())
    after.restore(store.regions())
    assert issued + fold(after, records[cut:], cut)[0] == whole


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> SqliteLog:
    log = SqliteLog(Database(tmp_path_factory.mktemp("log") / "log.db"))
    publisher = Publisher(log, TABLE)
    publisher.publish([change(event("a", 1.0)), beat(2.0)])
    return log


def test_a_promotion_is_written_to_every_partition_and_the_models_topic_at_the_logs_own_time(log: SqliteLog) -> None:
    promotion = promote(log, {"lstm": "lstm-a"}, reason="better")
    assert promotion.promoted_at == at(2.0)
    for number, end in log.ends(EVENTS).items():
        assert decode(list(log.read(EVENTS, number, 0, end))[-1].value) == promotion
    assert list(read_promotions(log)) == [promotion]


def test_the_promotion_of_a_generator_is_not_written_to_the_input(log: SqliteLog) -> None:
    ends = log.ends(EVENTS)
    promote(log, {"gan": "gan-a"})
    assert log.ends(EVENTS) == ends
    assert models_in_force(log) == {"gan": "gan-a"}


def test_the_models_in_force_are_the_last_champions_that_were_not_refused(log: SqliteLog) -> None:
    promote(log, {"lstm": "lstm-a", "cnn": "cnn-a"})
    promote(log, {"lstm": "lstm-b"}, challenger=True)
    refused = promote(log, {"lstm": "lstm-c"}, reason="this one is damaged")
    promote(log, {"cnn": "cnn-b"})
    answer = Activation(0, 5, 4, at(2.0), "lstm-a", refused, "damaged")
    log.producer("worker").commit([Outgoing(MODELS, 0, b"activation", encode(answer), at(2.0))])
    assert models_in_force(log) == {"lstm": "lstm-a", "cnn": "cnn-b"}
    assert champions(log) == {"lstm": ["lstm-a"], "cnn": ["cnn-a", "cnn-b"]}


def test_a_cnn_replaced_with_its_forecaster_is_not_in_force_when_that_forecaster_is_promoted_again(log: SqliteLog) -> None:
    for models in ({"lstm": "lstm-a", "cnn": "cnn-a"}, {"lstm": "lstm-b"}, {"lstm": "lstm-a"}):
        promote(log, models)
    assert models_in_force(log) == {"lstm": "lstm-a"}


def test_a_rollback_promotes_a_forecaster_with_the_cnn_trained_on_it(log: SqliteLog) -> None:
    assert champions_before(log, "lstm") is None
    promote(log, {"lstm": "lstm-a", "cnn": "cnn-a"})
    assert champions_before(log, "lstm") == {}  # those that come with the program
    promote(log, {"lstm": "lstm-b"})
    assert champions_before(log, "lstm") == {"lstm": "lstm-a", "cnn": "cnn-a"}
    promote(log, champions_before(log, "lstm") or {})
    assert models_in_force(log) == {"lstm": "lstm-a", "cnn": "cnn-a"}
    promote(log, {"cnn": "cnn-b"})
    assert champions_before(log, "cnn") == {"cnn": "cnn-a"}


def test_models_that_failed_in_force_do_not_count_and_the_one_before_them_takes_over(log: SqliteLog) -> None:
    for models in ({"lstm": "lstm-a", "cnn": "cnn-a"}, {"lstm": "lstm-b"}, {"cnn": "cnn-b"}):
        promote(log, models)
    failed, good = Lineup.of({"lstm": "lstm-b", "cnn": "cnn-b"}), Lineup.of({"lstm": "lstm-a", "cnn": "cnn-a"})
    candidates = [Lineup.of({"lstm": "lstm-b"}), good, Lineup()]
    assert lineups_before(log, failed) == candidates
    assert lineups_before(log, failed._replace(challenger=(("lstm", "lstm-c"),))) == [failed, *candidates]
    taken = [
        Activation(number, 9, 8, at(2.0), "lstm-a+cnn-a", Promotion(at(2.0), dict(good.champion)), failed=dict(failed.champion))
        for number in (0, 1)
    ]
    log.producer("worker").commit([Outgoing(MODELS, 0, b"takeover", encode(one), at(2.0)) for one in taken])
    assert models_in_force(log) == {"lstm": "lstm-a", "cnn": "cnn-a"}
    assert lineups_before(log, failed)[0] == good
    promote(log, {"lstm": "lstm-d"})
    assert champions_before(log, "lstm") == {"lstm": "lstm-a", "cnn": "cnn-a"}


def test_a_publisher_counts_sequences_past_a_promotion(log: SqliteLog) -> None:
    promote(log, {"lstm": "lstm-a"})
    publisher = Publisher(log, TABLE)
    counted = dict(publisher.sequences)
    publisher.publish([beat(3.0)])
    assert publisher.sequences == {number: last + 1 for number, last in counted.items()}
    assert min(publisher.sequences.values()) == 1


def test_unknown_records_in_the_models_topic_are_skipped(log: SqliteLog) -> None:
    log.producer("someone").commit([Outgoing(MODELS, 0, b"", body, at(0)) for body in (b"\xff", b"{}", b"[1]")])
    promotion = promote(log, {"lstm": "lstm-a"})
    assert list(read_promotions(log)) == [promotion]
