"""The models in force after promotions, and a challenger beside the champion."""

from __future__ import annotations

from ingest.event import Promotion
from ingest.instant import Instant
from stream.core.lineup import Lineup
from stream.core.shadow import ShadowedForecaster
from tests.support.simulated import REGION, SumForecaster, at, event


def promotion(challenger: bool = False, **models: str) -> Promotion:
    return Promotion(Instant(0), models, challenger)


def test_a_promotion_replaces_the_kinds_that_it_names() -> None:
    lineup = Lineup().after(promotion(lstm="lstm-a", cnn="cnn-a")).after(promotion(cnn="cnn-b"))
    assert dict(lineup.champion) == {"lstm": "lstm-a", "cnn": "cnn-b"}


def test_a_cnn_is_removed_with_the_model_that_it_was_trained_on() -> None:
    lineup = Lineup().after(promotion(lstm="lstm-a", cnn="cnn-a")).after(promotion(lstm="lstm-b"))
    assert dict(lineup.champion) == {"lstm": "lstm-b"}


def test_a_challenger_changes_nothing_of_the_champion() -> None:
    before = Lineup().after(promotion(lstm="lstm-a"))
    after = before.after(promotion(challenger=True, lstm="lstm-b"))
    assert after.champion == before.champion
    assert dict(after.challenger_as_champion().champion) == {"lstm": "lstm-b"}


def test_the_challenge_ends_by_a_challenger_without_models_and_by_a_new_champion() -> None:
    challenged = Lineup().after(promotion(challenger=True, lstm="lstm-b"))
    assert challenged.after(promotion(challenger=True)) == Lineup()
    assert challenged.after(promotion(lstm="lstm-b")) == Lineup((("lstm", "lstm-b"),))


def test_a_lineup_survives_its_encoding() -> None:
    lineup = Lineup().after(promotion(lstm="lstm-a")).after(promotion(challenger=True, cnn="cnn-b"))
    assert Lineup.decode(lineup.encode()) == lineup
    assert Lineup.decode(b"") == Lineup()


def test_with_a_challenger_the_champion_expects_what_it_expects_alone() -> None:
    alone, both = SumForecaster("sum-1"), ShadowedForecaster(SumForecaster("sum-1"), SumForecaster("sum-2", weight=3.0))
    one, two = alone.start(REGION), both.start(REGION)
    for earthquake in (event("a", 1.0), event("b", 2.0, 5.1)):
        one, two = alone.observe(one, earthquake, REGION), both.observe(two, earthquake, REGION)
    assert both.expect(two, REGION, at(3)) == alone.expect(one, REGION, at(3))
    assert both.name == "sum-1"


def test_the_challenger_is_one_more_rival_and_observes_the_same_events() -> None:
    challenger, both = SumForecaster("sum-2", weight=3.0), ShadowedForecaster(SumForecaster("sum-1"), SumForecaster("sum-2", weight=3.0))
    one, two = challenger.start(REGION), both.start(REGION)
    for earthquake in (event("a", 1.0), event("b", 2.0, 5.1)):
        one, two = challenger.observe(one, earthquake, REGION), both.observe(two, earthquake, REGION)
    assert both.rivals == (*challenger.rivals, "sum-2")
    hazards = both.hazards(two, REGION, at(3), at(4))
    assert hazards[-1] == challenger.hazards(one, REGION, at(3), at(4))[0]
    assert hazards[0] != hazards[-1]
    assert len(hazards) == 1 + len(both.rivals)


def test_two_challengers_give_two_bases() -> None:
    bases = {ShadowedForecaster(SumForecaster("sum-1"), SumForecaster(name)).basis for name in ("sum-2", "sum-3")}
    assert len(bases) == 2
