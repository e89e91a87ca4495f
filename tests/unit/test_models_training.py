"""From catalogues to scores: sequences, training, the baselines, evaluation and publishing."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest.event import Event
from ingest.instant import Instant
from ingest.problem import Problem
from ingest.region import Region
from models import artifact
from models.baselines import poisson
from models.dataset import Catalogue, Sequence, catalogue, earthquakes, sequences, spans, targets
from models.evaluate import Scored, distance_from_uniform, evaluate, evaluate_sequences, gain, score, summary
from models.publish import publish
from models.train import BEGINNING, END, TrainingOptions, train_lstm
from tests.simulated import REGION, at, event

DAYS = 400.0
QUICK = TrainingOptions(epochs=8, hidden=8, head=8, components=4, chunk=64, warm_up=16, batch=3, learning_rate=2e-2, threads=1)


def bursts(days: float = DAYS, seed: int = 0) -> list[Event]:
    """A burst of about eight events within hours, every four days or so: far from Poisson. Magnitudes with b = 1."""
    chance, hours = np.random.default_rng(seed), 0.0
    made: list[Event] = []
    while hours < 24.0 * days:
        hours += chance.exponential(96.0)
        within = hours
        for _ in range(chance.poisson(8) + 1):
            within += chance.exponential(0.5)
            made.append(event(f"{seed}-{len(made):05d}", within, round(2.45 + chance.exponential(1 / math.log(10)), 1)))
    return [each for each in made if (each.magnitude or 0.0) >= 2.5 and each.time < at(24.0 * days)]


def source(events: list[Event], name: str = "simulated") -> Catalogue:
    return catalogue(name, events, at(24.0 * DAYS * 0.6), at(24.0 * DAYS * 0.8), 2.5)


@pytest.fixture(scope="module")
def rows() -> list[Sequence]:
    return sequences([source(bursts())], lambda latitude, longitude: REGION)


def test_only_earthquakes_with_a_magnitude_count_and_each_once() -> None:
    first = event("us1", 0.0, 4.0)
    given = [
        event("later", 5.0, 3.0),
        first,
        event("us1", 0.0, 4.2),
        event("ci9", 0.0005, 4.1, latitude=37.1),
        event("far", 0.0005, 4.1, latitude=44.0),
        event("blast", 1.0, 3.0, type="quarry blast"),
        event("none", 2.0, None),
    ]
    assert [each.id for each in earthquakes(given)] == ["us1", "far", "later"]
    assert earthquakes(given)[0].magnitude == 4.2


def test_a_hole_in_a_catalogue_is_not_a_wait() -> None:
    hourly = [int(at(n)) for n in range(1_000)] + [int(at(n)) for n in range(5_000, 6_000)]
    assert spans(hourly) == [
        (at(0).plus(seconds=0.001), at(999).plus(seconds=0.001)),
        (at(5_000).plus(seconds=0.001), at(5_999).plus(seconds=0.001)),
    ]
    assert spans([]) == []


def test_the_catalogue_named_first_serves_a_region_where_two_overlap() -> None:
    events = [event(str(n), n, 3.0) for n in range(400)]
    first, second = source(events[100:200], "first"), source(events, "second")
    made = sequences([first, second], lambda latitude, longitude: REGION)
    assert [one.catalogue for one in made] == ["first", "second", "second"]
    ordered = sorted((one.start, one.end) for one in made)
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))


def test_a_catalogue_serves_only_regions_complete_above_its_cut() -> None:
    coarse = catalogue("coarse", [event(str(n), n, 4.5) for n in range(99)], at(50), at(70), 4.5)
    assert sequences([coarse], lambda latitude, longitude: REGION) == []
    assert len(sequences([coarse], lambda latitude, longitude: Region("r", "R", 4.5, 90.0))) == 1


def test_periods_that_meet_share_out_a_sequence_exactly(rows: list[Sequence]) -> None:
    one, cuts = rows[0], [BEGINNING, at(500), at(501), at(5_000), END]
    parts = [targets(one, start, end) for start, end in pairwise(cuts)]
    assert sum(int(part.observed.sum()) for part in parts) == len(one.times)
    days = sum(float(part.waits.sum()) for part in parts)
    assert days == pytest.approx((one.end - one.start) / 86_400_000)
    rate = poisson.PoissonGutenbergRichter({REGION.id: 2.0}, {}, 1.0, 2.3)
    scored = [score(rate, [one], lambda _, cut=cut: cut) for cut in pairwise(cuts)]  # type: ignore[misc]
    whole = score(rate, [one], lambda _: (BEGINNING, END))
    assert sum(part.time.sum() for part in scored) == pytest.approx(whole.time.sum())
    assert whole.time.sum() == pytest.approx(len(one.times) * math.log(2.0) - 2.0 * days)


def test_the_baselines_find_the_rate_and_the_slope(rows: list[Sequence]) -> None:
    fitted = poisson.fit(rows, lambda one: (BEGINNING, END))
    days = (rows[0].end - rows[0].start) / 86_400_000
    assert fitted.rates[REGION.id] == pytest.approx(len(rows[0].times) / days, rel=0.02)
    assert fitted.slopes[REGION.id] == pytest.approx(math.log(10.0), rel=0.1)


def test_training_beats_poisson_on_held_back_bursts_and_is_calibrated(rows: list[Sequence]) -> None:
    seen: list[tuple[int, int]] = []
    network, history = train_lstm(rows, QUICK, lambda epoch, epochs, scores: seen.append((epoch, epochs)))
    assert seen == [(n + 1, QUICK.epochs) for n in range(len(history))]
    scores = evaluate_sequences(network, rows, lambda one: (one.test_from, END), lambda one: (BEGINNING, one.validation_from))
    assert scores["gain_over_poisson"]["low"] > 0.3
    assert scores["pit_time_ks"] < 0.2 < scores["baselines"]["poisson"]["pit_time_ks"]
    assert scores["time_median_ae_minutes"] < scores["baselines"]["poisson"]["time_median_ae_minutes"]
    assert scores["events"] == scores["baselines"]["poisson"]["events"] > 100


def test_training_with_a_seed_is_repeatable_and_knows_nothing_of_the_test_span(rows: list[Sequence]) -> None:
    options = TrainingOptions(epochs=1, hidden=4, head=4, components=2, batch=8, threads=1)
    cut = at(24.0 * DAYS * 0.8)
    shorter = sequences([source([each for each in bursts() if each.time < cut])], lambda latitude, longitude: REGION)
    first, again, blind = (train_lstm(given, options)[0].state_dict() for given in (rows, rows, shorter))
    for name, value in first.items():
        assert value.equal(again[name])
        assert value.equal(blind[name])


def test_a_catalogue_is_scored_as_one_region_within_a_polygon(rows: list[Sequence], tmp_path: Path) -> None:
    network, _ = train_lstm(rows, TrainingOptions(epochs=1, hidden=4, head=4, components=2, batch=8, threads=1))
    events = bursts() + [event(f"out{n}", n, 3.0, latitude=0.0) for n in range(500)]
    np.save(tmp_path / "shape.npy", np.array([[36.0, 36.0], [36.0, 38.0], [38.0, 38.0], [38.0, 36.0]]))
    start, end = at(24.0 * 300), at(24.0 * 390)
    scores = evaluate(network, events, 2.5, start, end, polygon=tmp_path / "shape.npy", deduplicate=False)
    assert scores["events"] == sum(start <= each.time < end for each in bursts())
    with pytest.raises(Problem, match="no events"):
        evaluate(network, bursts(), 2.5, at(24.0 * 500), at(24.0 * 600))
    with pytest.raises(Problem, match="polygon"):
        evaluate(network, events, 2.5, start, end, polygon=tmp_path / "none.npy")


def test_the_interval_of_a_gain_holds_the_gain_and_widens_when_events_cluster() -> None:
    chance, count = np.random.default_rng(2), 2_000
    none = np.zeros(count)

    def scored(times: np.ndarray) -> Scored:
        return Scored(times.astype(np.int64), np.ones(count, dtype=bool), none, none, none, none, none, none)

    spread = scored(np.linspace(int(at(0)), int(at(24 * 400)), count))
    independent = gain(0.2 + chance.normal(size=count), none, spread)
    clustered = gain(0.2 + np.repeat(chance.normal(size=count // 50), 50), none, spread)
    assert independent["low"] < independent["mean"] < independent["high"]
    assert independent["high"] - independent["low"] == pytest.approx(4 / math.sqrt(count), rel=0.3)
    assert clustered["high"] - clustered["low"] > 2.5 * (independent["high"] - independent["low"])


def test_the_distance_from_uniform_is_zero_for_even_ranks_and_large_for_one_value() -> None:
    assert distance_from_uniform((np.arange(1_000) + 0.5) / 1_000) == pytest.approx(0.0005)
    assert distance_from_uniform(np.full(100, 0.9)) == pytest.approx(0.9)


def test_publishing_writes_the_best_seed_with_a_card_that_says_what_was_measured(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=2, hidden=4, head=4, components=2, batch=8, threads=1)
    calls: list[int] = []
    card = publish(
        [source(bursts())], lambda latitude, longitude: REGION, tmp_path / "lstm", options, (0, 1), lambda *said: calls.append(said[0])
    )
    network, read = artifact.read(tmp_path / "lstm")
    assert read == card
    assert calls == [1, 2, 3, 4]
    assert [each["seed"] for each in card.seeds] == [0, 1]
    best = max(card.seeds, key=lambda each: sum(each["validation"].values()))
    assert card.options["seed"] == best["seed"]
    assert card.scores["time_log_likelihood"] == best["test"]["time_log_likelihood"]
    assert card.data[0]["train"]["events"] > card.data[0]["test"]["events"] > 0
    assert not network.training


def test_a_summary_of_the_shipped_card_beats_poisson_with_its_whole_interval() -> None:
    _, card = artifact.read()
    assert card.scores["gain_over_poisson"]["low"] > 0.0
    assert len(card.seeds) == 3


def test_too_little_to_train_on_is_a_problem() -> None:
    late = catalogue("late", bursts(), Instant(0), Instant(1), 2.5)
    with pytest.raises(Problem, match="training or the validation"):
        train_lstm(sequences([late], lambda latitude, longitude: REGION), QUICK)


def test_scores_of_nothing_are_a_problem(rows: list[Sequence]) -> None:
    assert summary(score(poisson.fit(rows, lambda one: (BEGINNING, END)), rows, lambda one: (BEGINNING, END)))["events"] == len(
        rows[0].times
    )
    with pytest.raises(Problem, match="period"):
        score(poisson.fit(rows, lambda one: (BEGINNING, END)), rows, lambda one: (at(1e6), at(2e6)))
