"""Models that fail in force give way to the last ones that can be used, at a record that every replay finds again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.event import InputRecord, Promotion
from ingest.instant import Instant
from ingest.problem import Problem
from stream import takeover
from stream.core import Forecaster, Lineup, ModelFailed
from stream.core.forecaster import Expectation
from stream.partition import Partition
from stream.records import Activation, decode_forecast
from stream.takeover import ModelWatch
from tests.support.simulated import ForecasterLibrary, SumForecaster, at, beat, change, event, table
from tests.unit.stream.test_partition import records_of_both_regions

RECORDS = list(records_of_both_regions(count=60))
TO_TWO = Promotion(Instant(0), {"lstm": "sum-2"})
AFTER = 20
"""The promotion comes before the record of this sequence."""
Folded = tuple[list[bytes], list[Activation]]


class FailingForecaster(SumForecaster):
    """Fails from an hour on, as broken weights do: by an error, or by a number that is none."""

    def __init__(self, name: str, hour: float, *, raises: bool = True) -> None:
        super().__init__(name, weight=3.0)
        self._hour, self._raises = hour, raises

    def expect(self, memory: bytes, region: Any, now: Instant) -> Expectation:
        expected = super().expect(memory, region, now)
        if now < at(self._hour):
            return expected
        if self._raises:
            raise ValueError("math domain error")
        return expected._replace(wait=type(expected.wait)(float("nan"), {}, {"1d": 0.5}, 1.0))


class EmptyLibrary:
    """A library whose folder of models is gone."""

    def forecaster(self, lineup: Lineup) -> Forecaster:
        raise Problem(f"there is no model {dict(lineup.champion)['lstm']}", "list the models with `quakecast models`")


def library(two: SumForecaster | None = None) -> ForecasterLibrary:
    return ForecasterLibrary(SumForecaster("sum-1"), two or SumForecaster("sum-2", weight=3.0), SumForecaster("sum-3", weight=0.5))


def partition(library: Any, recorded: list[Activation] | None = None) -> Partition:
    return Partition(4, table(), SumForecaster("sum-1"), library=library, recorded=lambda: recorded or [])


def watch(*candidates: Lineup) -> ModelWatch:
    return ModelWatch(lambda lineup: [one for one in (*candidates, Lineup()) if one != lineup])


def fold(
    into: Partition, by: ModelWatch, promotion: Promotion = TO_TWO, records: list[InputRecord] | None = None, new_from: int = 0
) -> Folded:
    """Fold the records with a promotion after some of them. Returns the forecasts and takeovers of the new ones."""
    issued: list[bytes] = []
    takeovers: list[Activation] = []
    for offset, record in enumerate(RECORDS if records is None else records):
        if record.sequence == AFTER:
            into.apply_promotion(promotion, offset)
        is_new = record.sequence >= new_from
        some, others = by.take(into, record, offset, is_new=is_new)
        issued += [body for _, body in some] if is_new else []
        takeovers += others
    return issued, takeovers


def models_of(issued: list[bytes]) -> list[str]:
    """Return the models of the forecasts in order, without repetitions."""
    names = [decode_forecast(body).model for body in issued]
    return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]


@pytest.mark.parametrize(
    ("raises", "reason"), [(True, "it fails (ValueError: math domain error)"), (False, "a number of its forecast is not finite")]
)
def test_a_model_that_fails_gives_way_before_the_record_at_which_it_fails(raises: bool, reason: str) -> None:
    plain, _ = fold(partition(library()), watch())
    issued, (taken,) = fold(partition(library(FailingForecaster("sum-2", 30.0, raises=raises))), watch())
    assert models_of(issued) == ["sum-1", "sum-2", "sum-1"]
    assert [decode_forecast(body).id for body in issued if decode_forecast(body).cause != "heartbeat"] == [
        decode_forecast(body).id for body in plain if decode_forecast(body).cause != "heartbeat"
    ]
    first = next(decode_forecast(body) for body in issued if decode_forecast(body).issued_at >= at(30.0))
    assert (first.input_sequence, first.model) == (taken.after_sequence + 1, "sum-1")
    assert (taken.partition, taken.model, taken.failed, taken.refused) == (4, "sum-1", {"lstm": "sum-2"}, None)
    assert (taken.promotion.models, taken.promotion.reason) == ({}, reason)


@given(st.floats(2.0, 40.0), st.booleans())
@settings(max_examples=30)
def test_a_replay_changes_models_at_the_recorded_takeover_whether_the_failed_model_works_again_or_not(hour: float, raises: bool) -> None:
    broken = FailingForecaster("sum-2", hour, raises=raises)
    issued, takeovers = fold(partition(library(broken)), watch())
    assert takeovers
    for again in (library(), library(broken)):
        assert fold(partition(again, takeovers), watch()) == (issued, [])


def test_the_newest_lineup_that_can_forecast_takes_over() -> None:
    bad, good = Lineup.of({"lstm": "sum-0"}), Lineup.of({"lstm": "sum-3"})
    issued, (taken,) = fold(partition(library(FailingForecaster("sum-2", 30.0))), watch(bad, good))
    assert models_of(issued)[-1] == "sum-3"
    assert (taken.promotion.models, taken.failed) == ({"lstm": "sum-3"}, {"lstm": "sum-2"})


def test_a_lineup_that_fails_at_the_same_record_is_passed_over() -> None:
    models = ForecasterLibrary(SumForecaster("sum-1"), FailingForecaster("sum-2", 30.0), FailingForecaster("sum-3", 0.0))
    issued, (taken,) = fold(partition(models), watch(Lineup.of({"lstm": "sum-3"})))
    assert models_of(issued) == ["sum-1", "sum-2", "sum-1"]
    assert taken.failed == {"lstm": "sum-2"}


def test_a_challenger_that_fails_ends_its_challenge() -> None:
    challenge = Promotion(Instant(0), {"lstm": "sum-2"}, challenger=True)
    broken = FailingForecaster("sum-2", 30.0)
    broken.hazards = broken.expect  # type: ignore[assignment]  # the challenger's hazards are what is used of it
    live = partition(library(broken))
    issued, (taken,) = fold(live, ModelWatch(lambda lineup: [Lineup(lineup.champion)]), challenge)
    assert models_of(issued) == ["sum-1"]
    assert live.position.lineup == Lineup()
    assert taken.failed == {}


def test_a_model_that_fails_in_one_partition_gives_way_in_the_others_until_it_is_promoted_again() -> None:
    by, models = watch(), library(FailingForecaster("sum-2", 30.0))
    first, second = partition(models), Partition(5, table(), SumForecaster("sum-1"), library=models)
    second.apply_promotion(TO_TWO, 0)
    assert by.take(second, beat(1.0, 0), 1, is_new=True) == ([], [])
    fold(first, by)
    _, (taken,) = by.take(second, beat(1.1, 1), 2, is_new=True)
    assert (taken.partition, taken.failed, taken.after_sequence) == (5, {"lstm": "sum-2"}, 0)
    assert "math domain error" in taken.promotion.reason
    second.apply_promotion(TO_TWO, 3)
    by.trust(second.position.lineup)
    assert by.take(second, beat(1.2, 2), 4, is_new=True) == ([], [])


def test_a_worker_s_own_model_that_fails_ends_the_worker() -> None:
    live = Partition(4, table(), FailingForecaster("sum-1", 30.0))
    with pytest.raises(ModelFailed, match="math domain error"):
        fold(live, watch())


def test_a_model_that_is_too_slow_twice_in_a_row_gives_way_but_not_for_refolds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "LONGEST_FORECAST_SECONDS", 0.0)
    live, by = partition(library()), watch()
    live.apply_promotion(TO_TWO, 0)
    hours = (5.0, 4.0, 3.0, 6.0, 7.0)  # the second and the third are late
    taken = [
        by.take(live, change(event(str(hour), hour), sequence=n, observed=at(8.0 + n)), n, is_new=True) for n, hour in enumerate(hours)
    ]
    assert [bool(takeovers) for _, takeovers in taken] == [False] * 4 + [True]
    assert "s for a forecast" in taken[-1][1][0].promotion.reason


def test_a_promotion_whose_model_fails_on_the_windows_is_refused() -> None:
    broken = SumForecaster("sum-2")
    broken.observe = lambda *_: 1 / 0  # type: ignore[assignment,method-assign]
    live = partition(library(broken))
    for record in RECORDS[:AFTER]:
        live.take(record, record.sequence)
    refused = live.apply_promotion(TO_TWO, AFTER)
    assert (refused.model, refused.refused) == ("sum-1", "it fails (ZeroDivisionError: division by zero)")


def test_a_recorded_refusal_is_followed_where_the_model_is_here_now() -> None:
    live = partition(EmptyLibrary())
    for record in RECORDS[:AFTER]:
        live.take(record, record.sequence)
    refused = live.apply_promotion(TO_TWO, AFTER)
    assert refused.refused is not None
    assert models_of(fold(partition(library(), [refused]), watch())[0]) == ["sum-1"]
    promoted_again = partition(library(), [refused])
    fold(promoted_again, watch(), records=RECORDS[: AFTER + 1])
    assert promoted_again.apply_promotion(TO_TWO, AFTER + 1).refused is None


@pytest.mark.parametrize("new_from", [AFTER, AFTER + 1, 100, 120])
def test_a_model_that_is_missing_at_a_restart_gives_way_at_the_first_new_record(new_from: int) -> None:
    """What it said before stays; what is said from there on is the same in a replay that has the model."""
    before = [body for body in fold(partition(library()), watch())[0] if decode_forecast(body).input_sequence < new_from]
    mark = Activation(4, AFTER, AFTER - 1, Instant(0), "sum-2", TO_TWO)
    issued, (taken,) = fold(partition(EmptyLibrary(), [mark]), watch(), new_from=new_from)
    assert (taken.after_sequence, taken.failed, taken.model) == (new_from - 1, {"lstm": "sum-2"}, "sum-1")
    assert "there is no model sum-2" in taken.promotion.reason
    assert fold(partition(library(), [taken]), watch()) == ([*before, *issued], [])


def test_a_model_that_fails_on_what_it_has_said_already_gives_way_at_the_first_new_record() -> None:
    before = [body for body in fold(partition(library()), watch())[0] if decode_forecast(body).input_sequence < 100]
    issued, (taken,) = fold(partition(library(FailingForecaster("sum-2", 5.0))), watch(), new_from=100)
    assert taken.after_sequence == 99
    assert fold(partition(library(), [taken]), watch()) == ([*before, *issued], [])


def test_a_promotion_ends_the_time_of_a_stand_in_even_if_the_two_are_one_model() -> None:
    """The scores begin anew there, as they do where the missing model was in force."""
    mark = Activation(4, AFTER, AFTER - 1, Instant(0), "sum-2", TO_TWO)
    issued = []
    for models in (library(), ForecasterLibrary(SumForecaster("sum-1"))):
        live, by = partition(models, [mark]), watch()
        fold(live, by, records=RECORDS[:60], new_from=60)
        live.apply_promotion(Promotion(Instant(0), {"lstm": "sum-1"}), 60)
        issued.append([body for record in RECORDS[60:] for body in by.take(live, record, record.sequence + 1, is_new=True)[0]])
    assert issued[0] == issued[1]
