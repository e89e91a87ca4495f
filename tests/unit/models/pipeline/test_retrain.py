"""Retraining: a new model is promoted only if its whole interval of gain, on time that neither model has seen, is above 0."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ingest.bus.database import Database
from ingest.bus.sqlite import SqliteLog
from ingest.instant import MILLISECONDS_PER_DAY, Instant
from ingest.problem import Problem
from ingest.region import RegionTable
from ingest.simulated import Sequence
from models.artifact.model_files import write_forecaster
from models.artifact.trained import WEIGHTS
from models.catalog.point_pattern import PointPattern, Span
from models.cnn.train import MapOptions
from models.pipeline.decision import FEWEST_EVENTS, Decision, Gains, decide
from models.pipeline.forecaster_gains import datasets_covering, forecaster_gains, unseen_span
from models.pipeline.retrain import Plan, recent_datasets, retrain_models
from models.registry.registry import Registry, built_in
from stream.cli.application import application
from stream.cli.retrain import _apply_decision
from stream.promotion import models_in_force
from tests.support.stand_ins import csv_of
from tests.unit.models.forecaster.test_live import EMPTY_CARD, small_network
from tests.unit.models.pipeline.test_publish_forecaster import QUICK, ignore_progress, simulated_dataset

START = Instant.parse("2024-01-01T00:00:00Z")
DAYS = 120.0
QUICK_MAPS = MapOptions(side=6, width=4, steps=4, batch=16, validate_every=2, most_targets=200, validation_targets=100)


def gains(mean: float, events: int = 400, days: float = 200.0, spread: float = 0.1) -> Gains:
    """Return gains of events that are spread evenly over some days."""
    differences = mean + np.random.default_rng(0).normal(0.0, spread, events)
    event_times = int(START) + np.linspace(0.0, days * MILLISECONDS_PER_DAY, events).astype(np.int64)
    return Gains(differences, event_times, np.empty(0, np.int64))


def without_events_in(one: PointPattern, span: Span) -> PointPattern:
    """Return a pattern that covers the span but has no event in it."""
    return replace(one.before(span.start), observed=Span(one.observed.start, span.end))


@pytest.mark.parametrize(
    ("of_challenger", "promoted", "why"),
    [
        (gains(0.1), True, "better beyond its interval"),
        (gains(0.005), False, "not better beyond its interval"),
        (gains(-0.1), False, "not better beyond its interval"),
        (gains(9.0, events=FEWEST_EVENTS - 1), False, "too few to decide"),
        (gains(9.0, days=20.0), False, "too short for an interval"),
        (gains(np.nan), False, "interval"),
        (Gains(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)), False, "0 events"),
    ],
    ids=["better", "better by chance", "worse", "few events", "few days", "not a number", "no events"],
)
def test_a_model_is_promoted_only_if_its_whole_interval_is_above_zero(of_challenger: Gains, promoted: bool, why: str) -> None:
    decision = decide("lstm", "lstm-new", "lstm-old", of_challenger)
    assert decision.promoted is promoted
    assert why in decision.why
    assert decision.line().startswith(f"lstm: promote lstm-new: {why}" if promoted else "lstm: keep lstm-old: ")
    assert "\n" not in decision.line()


def test_the_line_of_a_decision_has_the_gain_the_interval_and_the_events() -> None:
    line = decide("cnn", "cnn-new", "none", gains(0.1)).line()
    assert re.search(r"; \+0\.09\d+ nats an event \[\+0\.08\d+, \+0\.1\d+\] on 400 events$", line)


def test_time_that_the_incumbent_was_trained_on_does_not_count() -> None:
    recent = Span(START, START.plus(days=100.0))

    def unseen_after(days: float) -> Span:
        return unseen_span(
            recent, [{"validation": {"to": str(START.plus(days=-50.0))}}, {"validation": {"to": str(START.plus(days=days))}}]
        )

    assert unseen_after(-10.0) == recent
    assert unseen_after(40.0) == Span(START.plus(days=40.0), recent.end)
    assert unseen_after(400.0) == Span(recent.end, recent.end)
    assert unseen_span(recent, []) == recent


def test_a_region_without_events_counts_by_the_probability_of_that_silence() -> None:
    busy, network, other = simulated_dataset(region="busy"), small_network(), small_network()
    other.timing.kernels.log_background.data += 1.0
    recent = busy.test
    without_events = busy._replace(pattern=without_events_in(busy.pattern, recent), region="ignore_progress")
    assert datasets_covering([busy, without_events], recent) == [busy, without_events]
    alone, both = (forecaster_gains(network, other, datasets, recent) for datasets in ([busy], [busy, without_events]))
    assert len(both.differences) == len(alone.differences) + 1
    assert both.end_times.tolist() == [int(recent.end)] * 2
    assert both.differences[-1] > 0.0, "the network that expects fewer events gains where none came"
    assert not forecaster_gains(network, network, [busy, without_events], recent).differences.any()


def test_a_region_whose_catalogue_ends_or_begins_within_the_span_is_not_compared() -> None:
    dataset = simulated_dataset()
    ended = dataset._replace(pattern=dataset.pattern.before(dataset.test.start))
    began = Span(Instant(int(dataset.pattern.observed.start) - 1), dataset.test.end)
    assert datasets_covering([dataset, ended], dataset.test) == [dataset]
    assert datasets_covering([dataset], began) == []


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("catalogue") / "newest.csv"
    file.write_bytes(csv_of([event for event in Sequence(START, DAYS, 1, mainshock=5.0).events if event.network in ("ak", "pr")]))
    return file


def plan(catalogue: Path, models: Path, kinds: tuple[str, ...] = ("lstm",)) -> Plan:
    return Plan((catalogue,), 65.0, 20.0, kinds, 1, RegionTable.load(None), models, 2.5, QUICK, QUICK_MAPS)


def untrained_forecaster(models: Path) -> str:
    """Add an untrained forecaster to the registry; return its name."""
    card = write_forecaster(models.parent / "untrained", small_network(), EMPTY_CARD)
    Registry(models).add(models.parent / "untrained")
    return card.name


@pytest.fixture(scope="module")
def retraining(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Decision], Path, str]:
    """Retrain all kinds, with an untrained forecaster in force; return the decisions, the folder of models, and the incumbent."""
    models, trained = tmp_path_factory.mktemp("retrained") / "models", tmp_path_factory.mktemp("trained")
    incumbent = untrained_forecaster(models)
    decisions = list(retrain_models(plan(catalogue, models, ("lstm", "cnn", "gan")), {"lstm": incumbent}, trained, ignore_progress))
    return decisions, models, incumbent


def test_a_better_forecaster_is_promoted_and_the_cnn_is_trained_on_top_of_it(retraining: tuple[list[Decision], Path, str]) -> None:
    (lstm, cnn, _), models, incumbent = retraining
    assert (lstm.kind, lstm.incumbent, lstm.promoted) == ("lstm", incumbent, True)
    assert lstm.gain["low"] is not None
    assert lstm.gain["low"] > 0.0
    assert (cnn.kind, cnn.incumbent) == ("cnn", "none"), "the CNN of the old forecaster went out of force with it"
    cards = {entry.name: entry for entry in Registry(models).entries()}
    assert cards[cnn.challenger].card["base"] == lstm.challenger
    assert all(entry.damage is None for entry in cards.values())
    for name in ("reliability.png", "training.png"):
        assert any((entry.folder / name).is_file() for entry in cards.values() if not entry.built_in)


def test_a_kind_with_too_few_new_events_is_not_trained(retraining: tuple[list[Decision], Path, str]) -> None:
    gan = retraining[0][-1]
    assert (gan.kind, gan.challenger, gan.promoted, gan.failed) == ("gan", "none", False, False)
    assert re.search(r"\d events that neither has seen are too few to decide \(50 are needed\)", gan.line())
    assert not [entry for entry in Registry(retraining[1]).entries() if entry.kind == "gan" and not entry.built_in]


def test_too_few_new_events_are_reported_before_any_training(catalogue: Path, tmp_path: Path) -> None:
    """A second retraining on the same catalogue: the model in force was chosen on most of the recent days."""
    models, stages = tmp_path / "models", list[str]()
    times = sorted(int(time) for dataset in recent_datasets(plan(catalogue, models))[0] for time in dataset.pattern.times)
    seen = [{"validation": {"to": str(Instant(times[-30]))}}]
    card = write_forecaster(tmp_path / "newer", small_network(), EMPTY_CARD | {"data": seen})
    Registry(models).add(tmp_path / "newer")
    decisions = list(
        retrain_models(plan(catalogue, models, ("lstm", "cnn")), {"lstm": card.name}, tmp_path, lambda stage, *_: stages.append(stage))
    )
    assert [(one.kind, one.challenger, one.failed) for one in decisions] == [("lstm", "none", False), ("cnn", "none", False)]
    assert all("are too few to decide" in one.line() and one.events < FEWEST_EVENTS for one in decisions)
    assert not stages


def test_the_new_models_are_not_trained_on_the_recent_span(retraining: tuple[list[Decision], Path, str], catalogue: Path) -> None:
    _, recent = recent_datasets(plan(catalogue, Path("none")))
    for decision in retraining[0][:2]:
        card = next(entry.card for entry in Registry(retraining[1]).entries() if entry.name == decision.challenger)
        assert [one["validation"]["to"] for one in card["data"]] == [str(recent.start)]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_prints_the_decision_and_promotes_nothing(
    retraining: tuple[list[Decision], Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], dry_run: bool
) -> None:
    log = SqliteLog(Database(tmp_path / "log.db"))
    log.create_topics()
    for decision in retraining[0]:
        _apply_decision(decision, log, dry_run=dry_run, json=False)
    lstm = retraining[0][0]
    assert capsys.readouterr().out.splitlines() == [decision.line() for decision in retraining[0]]
    assert models_in_force(log).get("lstm") == (None if dry_run else lstm.challenger)


def test_a_damaged_incumbent_is_reported_before_any_training(catalogue: Path, tmp_path: Path) -> None:
    models, stages = tmp_path / "models", list[str]()
    incumbent = untrained_forecaster(models)
    (models / incumbent / WEIGHTS).write_bytes(b"")
    (decision,) = retrain_models(plan(catalogue, models), {"lstm": incumbent}, tmp_path, lambda stage, *_: stages.append(stage))
    assert decision.failed
    assert "is damaged: weights.safetensors" in decision.line()
    assert not stages


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (0, "no events in"),
        (3, "no region has 20 events"),
        (2, "validation and comparison need more than"),
    ],
)
def test_a_catalogue_with_too_few_events_is_a_problem(tmp_path: Path, rows: int, message: str) -> None:
    file = tmp_path / "few.csv"
    events = Sequence(START, DAYS, 7, mainshock=5.0).events
    few = {0: [], 3: [events[0], events[1], events[-1]], 2: events[:2]}[rows]
    file.write_bytes(csv_of(few))
    with pytest.raises(Problem, match=message):
        list(retrain_models(plan(file, tmp_path / "models"), {}, tmp_path, ignore_progress))
    assert not (tmp_path / "models").exists()


def test_the_command_refuses_an_unknown_kind_and_a_missing_log(tmp_path: Path) -> None:
    ask = ["retrain", "--catalog", "none.csv", "--models", str(tmp_path / "models")]
    unknown = CliRunner().invoke(application, [*ask, "--only", "rnn"])
    assert unknown.exit_code == 2
    assert "rnn" in unknown.output
    nowhere = CliRunner().invoke(application, [*ask, "--bus", f"sqlite:///{tmp_path}/none.db"])
    assert isinstance(nowhere.exception, Problem)
    assert not (tmp_path / "none.db").exists()


def test_without_any_promotion_the_built_in_models_are_the_incumbents(catalogue: Path, tmp_path: Path) -> None:
    def stop_at_once(*_: object) -> None:
        raise Problem("stopped", "by the test")

    (decision,) = retrain_models(plan(catalogue, tmp_path / "models"), {}, tmp_path, stop_at_once)
    assert decision.incumbent == built_in("lstm")
